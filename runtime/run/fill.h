/* fill.h - what a run sets to 0 before its kernels. */
#ifndef MOE_FILL_H
#define MOE_FILL_H

#include "core/args.h"

enum {
    MOE_MAX_FILLS = 0
#define MOE_WRITTEN(name, zero, sums, why) +1
#include "core/tensor.def"
#undef MOE_WRITTEN
};

typedef struct moe_fill {
    uint64_t to; /* a device address */
    size_t bytes;
} moe_fill;

/* Lists the fills in order and returns how many there are. `routed`: a router runs. Without tokens
 * `values` are all 0. */
int moe_fills(const moe_layer *layer, const moe_io *io, bool routed, const moe_arg_values *values,
              moe_fill out[MOE_MAX_FILLS]);

#endif
