/* args.c - the arguments of every op's kernels. */
#include "core/args.h"

#include "core/tensor_view.h"

#include <string.h>

const moe_arg_info moe_arg_table[MOE_ARG_COUNT] = {
#define POINTER true
#define NUMBER false
#define MOE_ARG(name, kind, type, help) {#name, type, kind},
#include "core/args.def"
#undef MOE_ARG
#undef POINTER
#undef NUMBER
};

#define A(name) MOE_ARG_##name,
#define MOE_OP_ARGS(op, list) static const moe_arg op##_args[] = {list};
#include "core/args.def"
#undef MOE_OP_ARGS

static const struct {
    const moe_arg *args;
    int count;
} op_args[MOE_OP_COUNT] = {
#define MOE_OP_ARGS(op, list)                                                                      \
    [MOE_OP_##op] = {op##_args, (int)(sizeof op##_args / sizeof op##_args[0])},
#include "core/args.def"
#undef MOE_OP_ARGS
};
#undef A

const moe_arg *moe_op_args(moe_op_kind kind, int *count) {
    *count = op_args[kind].count;
    return op_args[kind].args;
}

const int moe_tile_heights[MOE_TILE_HEIGHTS] = {8, 16, 32, 64, 128, 192, 256};

size_t moe_args_pack(moe_op_kind kind, int64_t maps, const moe_arg_values *values, void *buffer) {
    size_t used = (size_t)maps * MOE_TENSOR_MAP_SIZE;
    size_t align = maps ? MOE_TENSOR_MAP_ALIGN : 8;
    for (int i = 0; i < op_args[kind].count; i++) {
        moe_arg arg = op_args[kind].args[i];
        size_t size = moe_arg_table[arg].pointer ? 8 : 4;
        used = (used + size - 1) & ~(size - 1); /* a division an argument would be felt */
        memcpy((char *)buffer + used, &values->value[arg], size); /* little-endian, as all GPUs */
        used += size;
    }
    return (used + align - 1) / align * align;
}
