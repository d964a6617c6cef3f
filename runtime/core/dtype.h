/* dtype.h - types of elements: one row of facts each. */
#ifndef MOE_DTYPE_H
#define MOE_DTYPE_H

#include "moetune.h"

/* The floats, which come first: what a layer's x may be, and w where it is like x. */
enum {
    MOE_FLOATS = 0
#define FLOAT +1
#define STORED +0
#define OTHER +0
#define MOE_DTYPE(constant, text, bits, roundoff, cuda, rate, kind) kind
#include "core/dtype.def"
#undef MOE_DTYPE
#undef OTHER
#undef STORED
#undef FLOAT
};

typedef struct moe_dtype_info {
    const char *name;
    int bits;          /* of one element */
    double roundoff;   /* the largest relative error of a rounding; 0 of integers */
    const char *cuda;  /* the type in generated code */
    double rate;       /* of tensor products, as a share of bf16's; 0: there are none */
    const char *config; /* in a config.json */
} moe_dtype_info;

extern const moe_dtype_info moe_dtype_table[MOE_DTYPE_COUNT];

extern const char *const moe_dtype_names[]; /* by moe_dtype, NULL-terminated */
extern const char *const moe_float_names[]; /* the same of floats alone */
extern const char *const moe_stored_names[]; /* the same of what w may be; "" for the others */

/* Bytes of `count` neighbours, which start and end with a byte. */
int64_t moe_dtype_bytes(moe_dtype dtype, int64_t count);

#endif
