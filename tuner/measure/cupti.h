/* cupti.h - kernel times from the GPU's own activity records.
 *
 * CUPTI is one for the whole process, and so is this: windows do not nest, and belong to one
 * thread.
 *
 *     moe_cupti_begin();  launch ...; synchronise;  moe_cupti_end(&window);
 */
#ifndef MOE_CUPTI_H
#define MOE_CUPTI_H

#include "device/library.h"

typedef struct moe_cupti_window {
    int64_t kernels; /* kernels that ran in it */
    double sum;      /* of their times, ns */
    double span;     /* from the first one's start to the last one's end, ns */
} moe_cupti_window;

extern const moe_library moe_library_cupti;

/* Opens CUPTI and switches kernel records on. MOE_E_LIBRARY (missing), MOE_E_DEVICE (refused:
 * another profiler has it, or no right to use it). */
moe_status moe_cupti_open(void);

/* The version, for example "130000", or "" before moe_cupti_open. */
const char *moe_cupti_version(void);

/* Forgets all records up to now, and collects those up to the end. The device must be idle at both.
 * */
moe_status moe_cupti_begin(void);
moe_status moe_cupti_end(moe_cupti_window *out);

#endif
