/* fill.c - what a run sets to 0 before its kernels.
 *
 * Sums that a router adds to start at 0. Without a router, or tokens, nobody writes what follows
 * from them: it is 0; nor the flags of ops that hand over by some, which a router zeroes. */
#include "run/fill.h"

#include <string.h>

typedef enum when { ALWAYS, ROUTED, UNROUTED } when;

static const struct {
    size_t output; /* offset of the pointer in moe_io, */
    moe_arg arg;   /* or MOE_ARG_COUNT above, and the argument that is the address */
    size_t each, more; /* bytes for each expert, and besides */
    when when;
} rows[] = {
#define OUTPUT(member) offsetof(moe_io, member), MOE_ARG_COUNT
#define ARGUMENT(name) 0, MOE_ARG_##name
    {OUTPUT(counts), 4, 0, ALWAYS},
    {ARGUMENT(prob_sums), 8, 0, ROUTED},
    {ARGUMENT(loss_sums), 24, 16, ROUTED},
    {OUTPUT(mean_probs), 4, 0, UNROUTED},
    {OUTPUT(losses), 0, MOE_LOSS_COUNT * 4, UNROUTED},
    {ARGUMENT(flags), 0, MOE_FLAGS * 4, UNROUTED},
#undef OUTPUT
#undef ARGUMENT
};

_Static_assert(sizeof rows / sizeof *rows <= MOE_MAX_FILLS, "MOE_MAX_FILLS is too small");

static uint64_t address(int row, const moe_io *io, const moe_arg_values *values) {
    void *pointer;
    if (rows[row].arg != MOE_ARG_COUNT) return values->value[rows[row].arg];
    memcpy(&pointer, (const char *)io + rows[row].output, sizeof pointer);
    return (uintptr_t)pointer;
}

int moe_fills(const moe_layer *layer, const moe_io *io, bool routed, const moe_arg_values *values,
              moe_fill out[MOE_MAX_FILLS]) {
    int count = 0;
    for (int i = 0; i < (int)(sizeof rows / sizeof *rows); i++) {
        const uint64_t to = address(i, io, values);
        if (!to || rows[i].when == (routed ? UNROUTED : ROUTED)) continue;
        out[count++] = (moe_fill){to, rows[i].each * (size_t)layer->e + rows[i].more};
    }
    return count;
}
