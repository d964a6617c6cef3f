/* image.h - compiled code with all that is needed to launch it. */
#ifndef MOE_IMAGE_H
#define MOE_IMAGE_H

#include "core/launch.h"

#include <stddef.h>

/* One compiled source. The pointers are borrowed from whoever made the image. A real GPU takes the
 * cubin, or the PTX where there is none; a simulated one always takes the PTX. */
typedef struct moe_image {
    moe_launch launch;  /* kernels by symbol, with geometry rules and resources */
    char arch[16];      /* compile target */
    const void *cubin;  /* may be NULL */
    size_t cubin_size;
    const char *ptx;    /* NUL-terminated; may be NULL */
    size_t ptx_size;    /* without the NUL */
} moe_image;

#endif
