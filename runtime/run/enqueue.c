/* enqueue.c - one launch: made ready, and put on a stream. */
#include "run/enqueue.h"

#include "core/map.h"

#include <limits.h>
#include <string.h>

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

moe_status moe_enqueue_prepare(const moe_enqueue *e, const moe_arg_values *values, moe_ready *out) {
    out->device = e->device;
    out->module = e->module;
    out->launch = e->launch;
    out->kind = e->kind;
    memset(out->args, 0, sizeof out->args);
    out->args_size = moe_args_pack(e->kind, e->launch->maps.count, values, out->args);
    for (int i = 0; i < (int)e->launch->kernels; i++)
        MOE_TRY(size_grid(e, &e->launch->kernel[i], i == 0, &out->dims[i]));
    return encode_maps(e, values, out->args);
}

moe_status moe_ready_run(const moe_ready *ready, void *stream) {
    moe_device *device = ready->device;
    for (int i = 0; i < (int)ready->launch->kernels; i++) {
        moe_status status = device->class->launch(device->self, ready->module, i, &ready->dims[i],
                                                  ready->args, ready->args_size, stream);
        if (status)
            return moe_fail_context(status, "%s, kernel %s", moe_op_names[ready->kind],
                                    ready->launch->kernel[i].symbol);
    }
    return MOE_OK;
}

moe_status moe_enqueue_launch(const moe_enqueue *e, const moe_arg_values *values, void *stream) {
    moe_ready ready;
    MOE_TRY(moe_enqueue_prepare(e, values, &ready));
    return moe_ready_run(&ready, stream);
}
