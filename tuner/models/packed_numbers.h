/* packed_numbers.h - a tensor's elements as numbers, also where a model keeps them in blocks that
 * share a factor. Two published forms are read:
 *
 *   FP8    NAME is F8_E4M3 [rows,columns]; NAME_scale_inv holds the factor of each 128 x 128
 *          elements (DeepSeek-V3, Kimi-K2, MiniMax-M2)
 *   MXFP4  NAME_blocks is U8 [...,n,16], of which each byte has two elements (E2M1), the low half
 *          first; NAME_scales is U8 [...,n]: 32 elements are multiplied by 2^(scale-127)
 *          (gpt-oss) */
#ifndef MOE_PACKED_NUMBERS_H
#define MOE_PACKED_NUMBERS_H

#include "models/shards.h"

struct moe_packing;

enum { MOE_SCALES_NAME_SIZE = 256 };

typedef struct moe_numbers {
    moe_tensor tensor;                 /* its shape is that of the elements */
    const moe_tensor *scales;          /* NULL: elements have none */
    const struct moe_packing *packing; /* NULL: likewise */
} moe_numbers;

/* Finds a tensor, and its scales where it has some. What moe_shards_get says; MOE_E_INVALID where
 * their shapes do not belong together. */
moe_status moe_numbers_find(moe_shards *shards, const char *name, moe_numbers *out);

/* True where a tensor is read with scales, whose name is written. */
bool moe_numbers_scales(moe_shards *shards, const char *name, char scales[MOE_SCALES_NAME_SIZE]);

/* Elements first .. first+n as floats. What moe_tensor_floats says; MOE_E_CORRUPT (a NaN among
 * packed ones). */
moe_status moe_numbers_read(const moe_numbers *numbers, int64_t first, int64_t n, float *out);

#endif
