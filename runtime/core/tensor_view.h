/* tensor_view.h - a tensor in device memory, as hardware that copies boxes of it is told. */
#ifndef MOE_TENSOR_VIEW_H
#define MOE_TENSOR_VIEW_H

#include "moetune.h"

typedef uint64_t moe_ptr; /* a device address */

/* A tensor in device memory as the bulk tensor copies (TMA) of sm_90 see it. The fastest dimension
 * comes first. Limits are those of cuTensorMapEncodeTiled: the address and all strides but the
 * first are multiples of 16 bytes, a box has at most 256 elements along a dimension, and its first
 * is at most `swizzle` bytes long where there is a swizzle. What a copy reads outside is zero. */
typedef struct moe_tensor_view {
    moe_ptr address;
    moe_dtype dtype;
    int rank;           /* 1..5 */
    uint64_t size[5];   /* elements */
    uint64_t stride[5]; /* bytes from one to the next; stride[0] is the size of an element */
    uint32_t box[5];    /* elements that one copy moves */
    int swizzle;        /* 0, 32, 64 or 128 bytes */
} moe_tensor_view;

/* An encoded tensor is opaque; kernels take it at a multiple of 128 bytes (what CUDA 13
 * declares). */
enum { MOE_TENSOR_MAP_SIZE = 128, MOE_TENSOR_MAP_ALIGN = 128 };

#endif
