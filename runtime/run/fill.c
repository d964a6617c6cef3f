/* fill.c - what a run sets to 0 before its kernels.
 *
 * Sums that a router adds to start at 0. Without a router, or tokens, nobody writes what follows
 * from them: it is 0; nor the flags of ops that hand over by some, which a router zeroes. */
#include "run/fill.h"

#include "core/tensor.h"

typedef enum zero { ALWAYS, ROUTED, UNROUTED, NEVER } zero;

static const struct {
    moe_arg tensor;
    zero zero;
} rows[] = {
#define MOE_WRITTEN(name, zero, sums, why) {MOE_ARG_##name, zero},
#include "core/tensor.def"
#undef MOE_WRITTEN
};

enum { ROWS = sizeof rows / sizeof *rows };

/* Pointers of the caller's that a run has no kernels for are filled all the same. */
static uint64_t address(moe_arg tensor, const moe_io *io, const moe_arg_values *values) {
    if (moe_tensor_place(tensor) == MOE_PLACE_OWN) return values->value[tensor];
    return (uintptr_t)moe_io_pointer(io, tensor);
}

int moe_fills(const moe_layer *layer, const moe_io *io, bool routed, const moe_arg_values *values,
              moe_fill out[MOE_MAX_FILLS]) {
    int count = 0;
    for (int i = 0; i < ROWS; i++) {
        const uint64_t to = address(rows[i].tensor, io, values);
        const zero not_now = routed ? UNROUTED : ROUTED;
        if (!to || rows[i].zero == NEVER || rows[i].zero == not_now) continue;
        const moe_sizes sizes = moe_sizes_make(layer, 0, 1);
        out[count++] = (moe_fill){to, (size_t)moe_sizes_bytes(&sizes, rows[i].tensor)};
    }
    return count;
}
