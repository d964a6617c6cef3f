/* matmul.h - rows times the transposed weights of their group, on the CPU. */
#ifndef MOE_MATMUL_H
#define MOE_MATMUL_H

#include "core/layer.h"

/* out_r [outputs] = in_r [inputs] @ weight_g^T for each row r of each group g. Rows of a group are
 * neighbours: start[g] up to start[g+1]. */
typedef struct moe_matmul {
    moe_dtype dtype;
    const void *weight; /* [groups, outputs, inputs] of dtype */
    int64_t groups, outputs, inputs;
    const int64_t *start;    /* [groups+1] */
    const double *const *in; /* [rows], each [inputs] */
    double *const *out;      /* [rows], each [outputs] */
    bool single;             /* round inputs and every partial sum to float */
} moe_matmul;

/* Every sum takes its products in order of the input, in double or in float. Threaded over groups
 * and outputs. */
void moe_matmul_run(const moe_matmul *matmul);

#endif
