/* enqueue.c - one launch put on a stream. */
#include "run/enqueue.h"

#include "core/map.h"

#include <limits.h>

static moe_status encode_maps(const moe_enqueue *e, const moe_arg_values *values,
                              unsigned char *to) {
    const moe_device_class *class = e->device->class;
    for (int64_t i = 0; i < e->launch->maps.count; i++) {
        const moe_map *map = &e->launch->maps.map[i];
        if (!values->value[map->arg]) continue; /* not given, so no kernel looks at its map */
        moe_tensor_view view = moe_map_view(map, e->layer, e->tokens, e->rows, values);
        if (!class->tensor_map)
            return moe_fail(MOE_E_UNSUPPORTED, "%s has no tensor maps", e->device->name);
        moe_status status =
            class->tensor_map(e->device->self, &view, to + i * MOE_TENSOR_MAP_SIZE);
        if (status) return moe_fail_context(status, "map of %s", moe_arg_table[map->arg].name);
    }
    return MOE_OK;
}

static moe_status size_grid(const moe_enqueue *e, const moe_kernel *kernel, bool first,
                            moe_dims *out) {
    int64_t sms = moe_device_facts(e->device)->sms;
    int64_t blocks = moe_grid_blocks(&kernel->grid, e->layer, e->tokens, sms);
    /* A grid is made of whole clusters. */
    blocks = (blocks + kernel->cluster - 1) / kernel->cluster * kernel->cluster;
    if (blocks < 1 || blocks > INT_MAX)
        return moe_fail(MOE_E_INVALID, "%s: %lld blocks are not what a grid holds; split the batch",
                        kernel->symbol, (long long)blocks);
    *out = (moe_dims){
        .grid = {(uint32_t)blocks, 1, 1}, .block = {(uint32_t)kernel->block, 1, 1},
        .cluster = (uint32_t)kernel->cluster, .smem = (uint32_t)kernel->smem,
        .overlap = kernel->overlap && (e->follows || !first),
        .cooperative = kernel->cooperative,
    };
    return MOE_OK;
}

moe_status moe_enqueue_launch(const moe_enqueue *e, const moe_arg_values *values, void *stream) {
    _Alignas(MOE_TENSOR_MAP_ALIGN) unsigned char args[MOE_ARGS_MAX_SIZE] = {0};
    size_t size = moe_args_pack(e->kind, e->launch->maps.count, values, args);
    MOE_TRY(encode_maps(e, values, args));
    for (int i = 0; i < (int)e->launch->kernels; i++) {
        const moe_kernel *kernel = &e->launch->kernel[i];
        moe_dims dims;
        MOE_TRY(size_grid(e, kernel, i == 0, &dims));
        moe_status status = e->device->class->launch(e->device->self, e->module, i, &dims, args,
                                                     size, stream);
        if (status)
            return moe_fail_context(status, "%s, kernel %s", moe_op_names[e->kind],
                                    kernel->symbol);
    }
    return MOE_OK;
}
