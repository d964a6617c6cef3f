/* layer_case.h - a whole layer on one device: its inputs, and what its outputs must be.
 *
 * Any plan of the layer may run on it. The router's choice is judged by the reference's logits; y
 * by the reference for the experts that were chosen, so that a near tie broken either way is right.
 * */
#ifndef MOE_LAYER_CASE_H
#define MOE_LAYER_CASE_H

#include "core/op.h"

typedef struct moe_layer_case moe_layer_case;

/* Where the experts of a token come from when a whole layer is timed. */
moe_entry moe_layer_entry(const moe_layer *layer, moe_routing routing);

extern const char *const moe_entry_names[]; /* by moe_entry: router, logits, given */

/* Makes and uploads inputs at unit scale. T may be 0. MOE_E_MEMORY, MOE_E_DEVICE. */
moe_status moe_layer_case_open(moe_device *device, const moe_layer *layer, int64_t tokens,
                               moe_routing routing, moe_entry entry, uint64_t seed,
                               moe_layer_case **out);
/* The same with ids and weights [T,k] given. */
moe_status moe_layer_case_open_routed(moe_device *device, const moe_layer *layer, int64_t tokens,
                                      const int *ids, const float *weights, uint64_t seed,
                                      moe_layer_case **out);
void moe_layer_case_close(moe_layer_case *c);

/* How y compares. All errors but `error` are relative l2. */
typedef struct moe_layer_verdict {
    bool ok;
    double error, tolerance;       /* largest error over the rms of the reference */
    double rel_l2, tolerance_l2;
    double yardstick;              /* rel_l2 of a plain pipeline of library GEMMs */
    char text[256];                /* what is wrong, or "" */
} moe_layer_verdict;

/* Makes the workspace that a plan needs. MOE_E_MEMORY (no room for it). */
moe_status moe_layer_case_fit(moe_layer_case *c, const moe_plan *plan);

/* Poisons the outputs, runs the plan with all outputs, and judges them. `*ns` gets the device's own
 * time of the run. A status other than MOE_OK is a fault of a kernel or the device. */
moe_status moe_layer_case_verify(moe_layer_case *c, const moe_plan *plan, moe_layer_verdict *out,
                                 double *ns);

/* Judges y alone, of whatever has just run on the case's buffers with its ids and weights. */
moe_status moe_layer_case_judge_y(moe_layer_case *c, moe_layer_verdict *out);

/* The device pointers of the case, as a run takes them. ids hold what the last run chose. */
moe_io moe_layer_case_io(const moe_layer_case *c);

#endif
