/* workspace.c - what a run of T tokens keeps in device memory, and where. */
#include "core/workspace.h"

#include "core/layer.h"

int64_t moe_workspace_rows(const moe_layer *layer, int64_t tokens, int64_t align) {
    int64_t slots = tokens * layer->k;
    int64_t held = moe_layer_held(layer), shared = moe_layer_shared_experts(layer);
    int64_t limit = moe_layer_capacity(layer, tokens) * held;
    int64_t kept = slots < limit ? slots : limit;
    int64_t busy = kept < held ? kept : held;
    int64_t whole = (tokens + align - 1) / align * align; /* rows of a shared expert, with their gap */
    int64_t rows = kept + busy * (align - 1) + shared * whole;
    return rows ? rows : 1; /* a tensor map has no room for none */
}

static int64_t round_up(int64_t bytes) {
    return (bytes + MOE_WORKSPACE_ALIGN - 1) / MOE_WORKSPACE_ALIGN * MOE_WORKSPACE_ALIGN;
}

int64_t moe_workspace_layout(const moe_layer *layer, int64_t tokens, int64_t align, uint64_t base,
                             moe_arg_values *values) {
    const bool maps = !moe_layer_neurons(layer); /* and what is written by expert or by row */
    const int64_t R = tokens * layer->k;
    const int64_t E = maps ? layer->e : 0, LISTED = maps ? moe_layer_listed(layer) : 0;
    const int64_t D = layer->d, F = layer->f;
    const int64_t ROWS = maps ? moe_workspace_rows(layer, tokens, align) : 0;
    const int64_t XS = (int64_t)moe_dtype_size(layer->x);
    int64_t used = 0;
#define WORK(argument, bytes)                                                                      \
    if (values) values->value[MOE_ARG_##argument] = base + (uint64_t)used;                         \
    used += round_up(bytes);
#include "core/workspace.def"
#undef WORK
    return used;
}
