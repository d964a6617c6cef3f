/* workspace.c - what a run of T tokens keeps in device memory, and where. */
#include "core/workspace.h"

#include "core/tensor.h"

static int64_t round_up(int64_t bytes) {
    return (bytes + MOE_WORKSPACE_ALIGN - 1) / MOE_WORKSPACE_ALIGN * MOE_WORKSPACE_ALIGN;
}

int64_t moe_workspace_layout(const moe_layer *layer, int64_t tokens, int64_t align, uint64_t base,
                             moe_arg_values *values) {
    const moe_sizes sizes = moe_sizes_make(layer, tokens, align);
    int64_t used = 0;
    for (int i = 0; i < MOE_TENSORS; i++) {
        if (moe_tensor_place((moe_arg)i) == MOE_PLACE_CALLER) continue;
        const int64_t bytes = moe_sizes_bytes(&sizes, (moe_arg)i);
        if (!bytes) continue;
        if (values) values->value[i] = base + (uint64_t)used;
        used += round_up(bytes);
    }
    return used;
}
