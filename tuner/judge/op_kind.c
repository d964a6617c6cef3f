/* op_kind.c - the kinds of ops by number. */
#include "judge/op_kind.h"

static const op_kind *const kinds[MOE_OP_COUNT] = {
#define MOE_OP(name, fields, workload, help, args) [MOE_OP_##name] = &op_##name,
#include "core/op.def"
#undef MOE_OP
};

const op_kind *op_kind_of(moe_op_kind kind) { return kinds[kind]; }

moe_work_size moe_op_work(const moe_op *op) { return op_kind_of(op->kind)->work(op); }

int moe_op_wish(moe_op_kind kind) { return op_kind_of(kind)->wish; }
