/* args.c - the arguments of every op's kernels. */
#include "core/args.h"

#include "core/tensor_view.h"

#include <string.h>

/* The CUDA type of a tensor's pointer: const where kernels only read it. */
#define TYPE_X "XT"
#define TYPE_W "WT"
#define TYPE_R "RT"
#define TYPE_F32 "float"
#define TYPE_I32 "int"
#define TYPE_U64 "unsigned long long"
#define CONST_INPUT "const "
#define CONST_WEIGHT "const "
#define CONST_BIAS "const "
#define CONST_OUTPUT ""
#define CONST_SCRATCH ""

const moe_arg_info moe_arg_table[MOE_ARG_COUNT] = {
#define MOE_TENSOR(name, role, dtype, ...)                                                         \
    [MOE_ARG_##name] = {#name, CONST_##role TYPE_##dtype " *", true},
#include "core/tensor.def"
#undef MOE_TENSOR
#define POINTER true
#define NUMBER false
#define MOE_ARG(name, kind, type, help) [MOE_ARG_##name] = {#name, type, kind},
#include "core/args.def"
#undef MOE_ARG
#undef POINTER
#undef NUMBER
};

#define IN(name) {MOE_ARG_##name, MOE_USE_IN},
#define OUT(name) {MOE_ARG_##name, MOE_USE_OUT},
#define ADD(name) {MOE_ARG_##name, MOE_USE_ADD},
#define ZERO(name) {MOE_ARG_##name, MOE_USE_ZERO},
#define ASK_IN(name) {MOE_ARG_##name, MOE_USE_ASK_IN},
#define ASK_OUT(name) {MOE_ARG_##name, MOE_USE_ASK_OUT},
#define MOE_OP(op, fields, workload, help, list) static const moe_op_arg op##_args[] = {list};
#include "core/op.def"
#undef MOE_OP

static const struct {
    const moe_op_arg *args;
    int count;
} op_args[MOE_OP_COUNT] = {
#define MOE_OP(op, fields, workload, help, list)                                                   \
    [MOE_OP_##op] = {op##_args, (int)(sizeof op##_args / sizeof op##_args[0])},
#include "core/op.def"
#undef MOE_OP
};

const moe_op_arg *moe_op_args(moe_op_kind kind, int *count) {
    *count = op_args[kind].count;
    return op_args[kind].args;
}

static bool uses(moe_op_kind kind, moe_arg arg, moe_use use) {
    for (int i = 0; i < op_args[kind].count; i++)
        if (op_args[kind].args[i].arg == arg) return op_args[kind].args[i].use == use;
    return false;
}

bool moe_op_reads(moe_op_kind kind, moe_arg arg) { return uses(kind, arg, MOE_USE_IN); }

bool moe_op_writes(moe_op_kind kind, moe_arg arg) { return uses(kind, arg, MOE_USE_OUT); }

const int moe_tile_heights[MOE_TILE_HEIGHTS] = {8, 16, 32, 64, 128, 192, 256};

size_t moe_args_pack(moe_op_kind kind, int64_t maps, const moe_arg_values *values, void *buffer) {
    size_t used = (size_t)maps * MOE_TENSOR_MAP_SIZE;
    size_t align = maps ? MOE_TENSOR_MAP_ALIGN : 8;
    for (int i = 0; i < op_args[kind].count; i++) {
        moe_arg arg = op_args[kind].args[i].arg;
        size_t size = moe_arg_table[arg].pointer ? 8 : 4;
        used = (used + size - 1) & ~(size - 1); /* a division an argument would be felt */
        memcpy((char *)buffer + used, &values->value[arg], size); /* little-endian, as all GPUs */
        used += size;
    }
    return (used + align - 1) / align * align;
}
