/* roofline.c - the least work that an op or a layer has to do, and the least time for it. */
#include "measure/roofline.h"

#include <math.h>

/* What routing is expected to leave: rows kept, and experts with any. */
typedef struct load {
    double rows, experts;
} load;

/* A token takes the k largest of log(1/rank) and a Gumbel number each, so an expert is chosen with
 * 1 - exp(-popularity / rank), where the popularity is such that these add up to k. Newton's steps
 * come from below, as the sum is concave; where k is close to e, they stop at a large one. */
static double zipf_popularity(double e, double k) {
    enum { STEPS = 12 };
    double popularity = 0;
    for (int step = 0; step < STEPS; step++) {
        double sum = 0, slope = 0;
        for (double rank = 1; rank <= e; rank++) {
            double missed = exp(-popularity / rank);
            sum += 1 - missed;
            slope += missed / rank;
        }
        popularity += (k - sum) / slope;
    }
    return popularity;
}

/* Expected tokens of expert i; `popularity` of zipf. */
static double tokens_of(const moe_layer *layer, double tokens, moe_routing routing,
                        double popularity, int64_t i) {
    double e = (double)layer->e, k = (double)layer->k, alive;
    switch (routing) {
    case MOE_ROUTING_ZIPF: return tokens * (1 - exp(-popularity / (double)(i + 1)));
    case MOE_ROUTING_ONE: return i < layer->k ? tokens : 0;
    case MOE_ROUTING_EMPTY:
        alive = fmax(k, ceil(e / 2));
        return (double)i < alive ? tokens * k / alive : 0;
    default: return tokens * k / e;
    }
}

/* Of a device of several that hold the experts: the mean over these. */
static double held_share(const moe_layer *layer) {
    return (double)moe_layer_held(layer) / (double)layer->e;
}

static load expected_load(const moe_layer *layer, int64_t t, moe_routing routing) {
    double tokens = (double)t, most = (double)moe_layer_capacity(layer, t);
    bool zipf = routing == MOE_ROUTING_ZIPF;
    double popularity = zipf ? zipf_popularity((double)layer->e, (double)layer->k) : 0;
    load sum = {0, 0};
    for (int64_t i = 0; i < layer->e; i++) {
        double share =
            tokens > 0 ? tokens_of(layer, tokens, routing, popularity, i) / tokens : 0;
        sum.rows += fmin(share * tokens, most);
        /* The chance that at least one of T tokens chose it. */
        sum.experts += 1 - pow(1 - fmin(share, 1), tokens);
    }
    double ours = held_share(layer);
    return (load){ours * fmin(sum.rows, tokens * (double)layer->k), ours * sum.experts};
}

/* The shared expert: as many experts of width f, with all tokens. */
static load with_shared(load at, const moe_layer *layer, double tokens) {
    double shared = tokens > 0 ? (double)moe_layer_shared_experts(layer) : 0;
    return (load){at.rows + tokens * shared, at.experts + shared};
}

static moe_work_size add(moe_work_size a, moe_work_size b) {
    return (moe_work_size){a.flops + b.flops, a.bytes + b.bytes};
}

static moe_work_size route_work(const moe_layer *l, double t, double size) {
    double weight = (double)moe_dtype_size(moe_layer_router_dtype(l));
    double products = (double)moe_layer_router_work(l); /* each by a weight of its own */
    return (moe_work_size){2 * t * products, t * (double)l->d * size + products * weight +
                                                 t * (double)l->k * 8};
}

/* Weights of the experts in use. */
static double weights(const moe_layer *l, load at, double size) {
    return at.experts * (double)(l->d * (moe_layer_up_rows(l) + l->f)) * size;
}

moe_work_size moe_op_work(const moe_op *op) {
    const moe_layer *l = &op->layer;
    double t = (double)op->t, k = (double)l->k, d = (double)l->d, f = (double)l->f;
    double size = (double)moe_dtype_size(l->x), up = (double)moe_layer_up_rows(l);
    const double shared = (double)moe_layer_shared_experts(l);
    const load at = with_shared(expected_load(l, op->t, op->routing), l, t);
    switch (op->kind) {
    case MOE_OP_route: return route_work(l, t, size);
    case MOE_OP_permute: return (moe_work_size){0, t * (k * 3 + shared * 2) * 4};
    case MOE_OP_gemm_up:
        return (moe_work_size){2 * at.rows * d * up,
                               (at.experts * d * up + fmin(t, at.rows) * d + at.rows * f) * size};
    case MOE_OP_gemm_down:
        return (moe_work_size){2 * at.rows * d * f,
                               (at.experts * d * f + at.rows * (f + d)) * size};
    case MOE_OP_combine:
        return (moe_work_size){0, t * (k * held_share(l) + shared + 1) * d * size + t * k * 8};
    case MOE_OP_route_permute: {
        moe_work_size work = route_work(l, t, size);
        work.bytes += t * (k + shared) * 2 * 4;
        return work;
    }
    case MOE_OP_neurons:
    case MOE_OP_experts: return moe_experts_work(l, op->t, op->routing);
    case MOE_OP_down_combine:
        return (moe_work_size){2 * at.rows * d * f,
                               (at.experts * d * f + at.rows * f + t * d) * size + t * k * 8};
    case MOE_OP_COUNT: break;
    }
    return (moe_work_size){0, 0};
}

moe_work_size moe_experts_work(const moe_layer *layer, int64_t tokens, moe_routing routing) {
    double t = (double)tokens, d = (double)layer->d;
    double size = (double)moe_dtype_size(layer->x), up = (double)moe_layer_up_rows(layer);
    const load at = with_shared(expected_load(layer, tokens, routing), layer, t);
    return (moe_work_size){2 * at.rows * d * (up + (double)layer->f),
                           weights(layer, at, size) + 2 * t * d * size};
}

moe_work_size moe_layer_work(const moe_layer *layer, int64_t tokens, moe_routing routing) {
    double size = (double)moe_dtype_size(layer->x);
    moe_work_size work = add(route_work(layer, (double)tokens, size),
                             moe_experts_work(layer, tokens, routing));
    work.bytes -= (double)tokens * (double)layer->d * size; /* x is needed twice, moved once */
    return work;
}

double moe_peak_flops(const moe_facts *facts, moe_dtype dtype) {
    double peak = (double)facts->tensor_rate * (double)facts->sms * (double)facts->clock * 1e6;
    return dtype == MOE_F32 ? peak / 2 : peak;
}

double moe_roofline_ns(moe_work_size work, const moe_facts *facts, moe_dtype dtype) {
    double compute = work.flops / moe_peak_flops(facts, dtype);
    double memory = work.bytes / ((double)facts->bandwidth * 1e9);
    return fmax(compute, memory) * 1e9;
}
