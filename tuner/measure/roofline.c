/* roofline.c - the least work that an op or a layer has to do, and the least time for it. */
#include "measure/roofline.h"

#include "core/loads.h"

#include <math.h>

/* Rows kept, and experts with any: shared ones too, which get all tokens. */
typedef struct load {
    double rows, experts;
} load;

static load expected_load(const moe_layer *layer, int64_t tokens, moe_routing routing) {
    moe_loads loads = moe_loads_of(layer, tokens, routing);
    load sum = {0, 0};
    for (moe_load kind; moe_loads_next(&loads, &kind);) {
        sum.rows += kind.experts * kind.rows;
        sum.experts += kind.experts * kind.used;
    }
    return sum;
}

/* Of a device of several that hold the experts: the mean over these. */
static double held_share(const moe_layer *layer) {
    return (double)moe_layer_held(layer) / (double)layer->e;
}

static moe_work_size add(moe_work_size a, moe_work_size b) {
    return (moe_work_size){a.flops + b.flops, a.bytes + b.bytes};
}

/* Bytes of an element between the kernels, and of one of the experts' weights. */
static double x_size(const moe_layer *l) { return (double)moe_dtype_table[l->x].bits / 8; }
static double w_size(const moe_layer *l) { return (double)moe_dtype_table[l->w].bits / 8; }

static moe_work_size route_work(const moe_layer *l, double t) {
    double weight = (double)moe_dtype_size(moe_layer_router_dtype(l));
    double products = (double)moe_layer_router_work(l); /* each by a weight of its own */
    return (moe_work_size){2 * t * products, t * (double)l->d * x_size(l) + products * weight +
                                                 t * (double)l->k * 8};
}

/* Weights of the experts in use. */
static double weights(const moe_layer *l, load at) {
    return at.experts * (double)(l->d * (moe_layer_up_rows(l) + l->f)) * w_size(l);
}

moe_work_size moe_op_work(const moe_op *op) {
    const moe_layer *l = &op->layer;
    double t = (double)op->t, k = (double)l->k, d = (double)l->d, f = (double)l->f;
    const double x = x_size(l), w = w_size(l), up = (double)moe_layer_up_rows(l);
    const double shared = (double)moe_layer_shared_experts(l);
    const load at = expected_load(l, op->t, op->routing);
    switch (op->kind) {
    case MOE_OP_route: return route_work(l, t);
    case MOE_OP_permute: return (moe_work_size){0, t * (k * 3 + shared * 2) * 4};
    case MOE_OP_gemm_up:
        return (moe_work_size){2 * at.rows * d * up,
                               at.experts * d * up * w + (fmin(t, at.rows) * d + at.rows * f) * x};
    case MOE_OP_gemm_down:
        return (moe_work_size){2 * at.rows * d * f,
                               at.experts * d * f * w + at.rows * (f + d) * x};
    case MOE_OP_combine:
        return (moe_work_size){0, t * (k * held_share(l) + shared + 1) * d * x + t * k * 8};
    case MOE_OP_route_permute: {
        moe_work_size work = route_work(l, t);
        work.bytes += t * (k + shared) * 2 * 4;
        return work;
    }
    case MOE_OP_neurons:
    case MOE_OP_experts: return moe_experts_work(l, op->t, op->routing);
    case MOE_OP_down_combine:
        return (moe_work_size){2 * at.rows * d * f,
                               at.experts * d * f * w + (at.rows * f + t * d) * x + t * k * 8};
    case MOE_OP_COUNT: break;
    }
    return (moe_work_size){0, 0};
}

moe_work_size moe_experts_work(const moe_layer *layer, int64_t tokens, moe_routing routing) {
    double t = (double)tokens, d = (double)layer->d, up = (double)moe_layer_up_rows(layer);
    const load at = expected_load(layer, tokens, routing);
    return (moe_work_size){2 * at.rows * d * (up + (double)layer->f),
                           weights(layer, at) + 2 * t * d * x_size(layer)};
}

moe_work_size moe_layer_work(const moe_layer *layer, int64_t tokens, moe_routing routing) {
    moe_work_size work = add(route_work(layer, (double)tokens),
                             moe_experts_work(layer, tokens, routing));
    /* x is needed twice, moved once */
    work.bytes -= (double)tokens * (double)layer->d * x_size(layer);
    return work;
}

double moe_peak_flops(const moe_facts *facts, moe_dtype dtype) {
    double peak = (double)facts->tensor_rate * (double)facts->sms * (double)facts->clock * 1e6;
    return peak * moe_dtype_table[dtype].rate;
}

double moe_roofline_ns(moe_work_size work, const moe_facts *facts, moe_dtype dtype) {
    double compute = work.flops / moe_peak_flops(facts, dtype);
    double memory = work.bytes / ((double)facts->bandwidth * 1e9);
    return fmax(compute, memory) * 1e9;
}
