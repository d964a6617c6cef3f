/* loads.c - how tokens are expected to spread over experts. */
#include "core/loads.h"

#include <math.h>

/* A token takes the k largest of log(1/rank) and a Gumbel number each, so an expert is chosen with
 * 1 - exp(-popularity / rank), where the popularity is such that these add up to k. Newton's steps
 * come from below, as the sum is concave; where k is close to e, they stop at a large one. */
static double zipf_popularity(double e, double k) {
    enum { STEPS = 12 };
    const double close = 1e-6;
    double popularity = 0;
    for (int step = 0; step < STEPS; step++) {
        double sum = 0, slope = 0;
        for (double rank = 1; rank <= e; rank++) {
            double missed = exp(-popularity / rank);
            sum += 1 - missed;
            slope += missed / rank;
        }
        if (k - sum < close * k) break;
        popularity += (k - sum) / slope;
    }
    return popularity;
}

/* Kinds among those that tokens choose. */
static int64_t kinds(const moe_loads *loads) {
    return loads->routing == MOE_ROUTING_ZIPF ? loads->experts : 1;
}

/* Experts of the present kind, and rows that come to each. */
static moe_load coming(const moe_loads *loads) {
    double t = (double)loads->tokens, e = (double)loads->experts, k = (double)loads->chosen;
    double alive = fmax(k, ceil(e / 2));
    switch (loads->routing) {
    case MOE_ROUTING_ZIPF:
        return (moe_load){1, t * (1 - exp(-loads->popularity / (double)(loads->at + 1))), 0};
    case MOE_ROUTING_ONE: return (moe_load){k, t, 0};
    case MOE_ROUTING_EMPTY: return (moe_load){alive, t * k / alive, 0};
    default: return (moe_load){e, t * k / e, 0};
    }
}

static moe_load present(const moe_loads *loads) {
    double t = (double)loads->tokens;
    moe_load load = coming(loads);
    load.experts = load.experts * (double)loads->held / (double)loads->experts;
    load.used = 1 - pow(1 - fmin(1, load.rows / t), t); /* each token comes once at most */
    load.rows = fmin(load.rows, (double)loads->most);
    return load;
}

moe_loads moe_loads_of(const moe_layer *layer, int64_t tokens, moe_routing routing) {
    return (moe_loads){
        .tokens = tokens,
        .experts = layer->e,
        .chosen = layer->k,
        .most = moe_layer_capacity(layer, tokens),
        .held = moe_layer_held(layer),
        .shared = moe_layer_shared_experts(layer),
        .routing = routing,
    };
}

bool moe_loads_next(moe_loads *loads, moe_load *out) {
    int64_t last = kinds(loads);
    if (!loads->tokens || loads->at > last || (loads->at == last && !loads->shared)) return false;
    if (!loads->at && loads->routing == MOE_ROUTING_ZIPF)
        loads->popularity = zipf_popularity((double)loads->experts, (double)loads->chosen);
    if (loads->at == last)
        *out = (moe_load){(double)loads->shared, (double)loads->tokens, 1};
    else
        *out = present(loads);
    loads->at++;
    return true;
}
