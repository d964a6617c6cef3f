/* workspace_rows.c - how many rows a layer may come to. */
#include "core/layer.h"
#include "core/workspace.h"

int64_t moe_workspace_rows(const moe_layer *layer, int64_t tokens, int64_t align) {
    int64_t slots = tokens * layer->k;
    int64_t held = moe_layer_held(layer), shared = moe_layer_shared_experts(layer);
    int64_t limit = moe_layer_capacity(layer, tokens) * held;
    int64_t kept = slots < limit ? slots : limit;
    int64_t busy = kept < held ? kept : held;
    int64_t whole = (tokens + align - 1) / align * align; /* of a shared expert, with the gap */
    int64_t rows = kept + busy * (align - 1) + shared * whole;
    return rows ? rows : 1; /* a tensor map has no room for none */
}
