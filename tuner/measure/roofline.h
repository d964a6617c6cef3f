/* roofline.h - the least work that a layer has to do, and the least time for it. What an op has to
 * do stands in its kind's row: see judge/op_work.h. */
#ifndef MOE_ROOFLINE_H
#define MOE_ROOFLINE_H

#include "core/facts.h"
#include "core/op.h"

/* For an expected number of experts that get rows, and with what a capacity drops left out. */
typedef struct moe_work_size {
    double flops; /* multiplications and additions of the matrix products */
    double bytes; /* of weights, inputs and outputs, each moved once */
} moe_work_size;

/* Rows that experts keep, and experts with any: shared ones too, which get all tokens. */
typedef struct moe_expected {
    double rows, experts;
} moe_expected;

moe_expected moe_expect(const moe_layer *layer, int64_t tokens, moe_routing routing);

/* Bytes of an element between the kernels, and of one of the experts' weights. */
double moe_x_bytes(const moe_layer *layer);
double moe_w_bytes(const moe_layer *layer);

/* The router alone. */
moe_work_size moe_router_work(const moe_layer *layer, int64_t tokens);

/* The whole layer: what lies between its steps does not count as moved. */
moe_work_size moe_layer_work(const moe_layer *layer, int64_t tokens, moe_routing routing);

/* The same without its router: ids and weights are given. */
moe_work_size moe_experts_work(const moe_layer *layer, int64_t tokens, moe_routing routing);

/* Peak FLOP/s of matrix products of a dtype: tensor cores; f32 counts at the tf32 rate, which is
 * half of bf16's. */
double moe_peak_flops(const moe_facts *facts, moe_dtype dtype);

/* The larger of flops / peak and bytes / bandwidth, in ns. */
double moe_roofline_ns(moe_work_size work, const moe_facts *facts, moe_dtype dtype);

#endif
