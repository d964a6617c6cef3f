/* args.h - the arguments of every op's kernels: one table for the runtime that packs them and the
 * generator that writes the CUDA struct, so their order cannot drift. */
#ifndef MOE_ARGS_H
#define MOE_ARGS_H

#include "core/op.h"

/* The tensors first, by tensor.def, then the rest. */
typedef enum moe_arg {
#define MOE_TENSOR(name, ...) MOE_ARG_##name,
#include "core/tensor.def"
#undef MOE_TENSOR
    MOE_TENSORS,
    MOE_ARG_before_the_rest = MOE_TENSORS - 1,
#define MOE_ARG(name, kind, type, help) MOE_ARG_##name,
#include "core/args.def"
#undef MOE_ARG
    MOE_ARG_COUNT
} moe_arg;

/* Rows of the tiles that permute counts, ascending. */
enum { MOE_TILE_HEIGHTS = 7 };
extern const int moe_tile_heights[MOE_TILE_HEIGHTS];

/* What `flags` points at: ints. */
enum { MOE_FLAGS = 1024 };

typedef struct moe_arg_info {
    const char *name;
    const char *type; /* CUDA text; ends in " *" for a pointer */
    bool pointer;
} moe_arg_info;

extern const moe_arg_info moe_arg_table[MOE_ARG_COUNT];

/* What the kernels of an op do with an argument. */
typedef enum moe_use {
    MOE_USE_IN,     /* read it */
    MOE_USE_OUT,    /* write all of it */
    MOE_USE_ADD,    /* add to it; it starts at 0. Only where a caller asks */
    MOE_USE_ZERO,   /* hand over by it; it is 0 when they start */
    MOE_USE_ASK_IN, /* read and write what only some callers ask for */
    MOE_USE_ASK_OUT,
} moe_use;

typedef struct moe_op_arg {
    moe_arg arg;
    moe_use use;
} moe_op_arg;

/* The arguments of an op's kernels in order; *count gets their number. */
const moe_op_arg *moe_op_args(moe_op_kind kind, int *count);

/* True where its kernels are there to read the argument, or to write it. */
bool moe_op_reads(moe_op_kind kind, moe_arg arg);
bool moe_op_writes(moe_op_kind kind, moe_arg arg);

/* A value for every argument; pointers are device addresses. */
typedef struct moe_arg_values {
    uint64_t value[MOE_ARG_COUNT];
} moe_arg_values;

enum { MOE_ARGS_MAX_SIZE = 768 };

/* Packs an op's arguments the way the CUDA struct lays them out behind its `maps` tensor maps;
 * returns the size of the struct. `buffer` holds MOE_ARGS_MAX_SIZE bytes, 8-aligned; the maps' part
 * of it is left as it is. */
size_t moe_args_pack(moe_op_kind kind, int64_t maps, const moe_arg_values *values, void *buffer);

#endif
