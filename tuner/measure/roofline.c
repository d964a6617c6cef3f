/* roofline.c - the least work that a layer has to do, and the least time for it. */
#include "measure/roofline.h"

#include "core/loads.h"

#include <math.h>

moe_expected moe_expect(const moe_layer *layer, int64_t tokens, moe_routing routing) {
    moe_loads loads = moe_loads_of(layer, tokens, routing);
    moe_expected sum = {0, 0};
    for (moe_load kind; moe_loads_next(&loads, &kind);) {
        sum.rows += kind.experts * kind.rows;
        sum.experts += kind.experts * kind.used;
    }
    return sum;
}

static moe_work_size add(moe_work_size a, moe_work_size b) {
    return (moe_work_size){a.flops + b.flops, a.bytes + b.bytes};
}

double moe_x_bytes(const moe_layer *l) { return (double)moe_dtype_table[l->x].bits / 8; }

double moe_w_bytes(const moe_layer *l) { return (double)moe_dtype_table[l->w].bits / 8; }

moe_work_size moe_router_work(const moe_layer *l, int64_t tokens) {
    double t = (double)tokens, weight = (double)moe_dtype_size(moe_layer_router_dtype(l));
    double products = (double)moe_layer_router_work(l); /* each by a weight of its own */
    return (moe_work_size){2 * t * products, t * (double)l->d * moe_x_bytes(l) +
                                                 products * weight + t * (double)l->k * 8};
}

/* Weights of the experts in use. */
static double weights(const moe_layer *l, moe_expected at) {
    return at.experts * (double)(l->d * (moe_layer_up_rows(l) + l->f)) * moe_w_bytes(l);
}

moe_work_size moe_experts_work(const moe_layer *layer, int64_t tokens, moe_routing routing) {
    double t = (double)tokens, d = (double)layer->d, up = (double)moe_layer_up_rows(layer);
    const moe_expected at = moe_expect(layer, tokens, routing);
    return (moe_work_size){2 * at.rows * d * (up + (double)layer->f),
                           weights(layer, at) + 2 * t * d * moe_x_bytes(layer)};
}

moe_work_size moe_layer_work(const moe_layer *layer, int64_t tokens, moe_routing routing) {
    moe_work_size work = add(moe_router_work(layer, tokens),
                             moe_experts_work(layer, tokens, routing));
    /* x is needed twice, moved once */
    work.bytes -= (double)tokens * (double)layer->d * moe_x_bytes(layer);
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
