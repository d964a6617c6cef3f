/* workload.c - random inputs of a layer. */
#include "workload.h"

#include "core/router.h"
#include "random.h"

#include <math.h>
#include <stdlib.h>

/* Streams of random numbers, one an array. */
enum { X, ROUTER_WEIGHT, ROUTER_BIAS, LOGITS, UP, UP_BIAS, DOWN, DOWN_BIAS, SHARED_UP, SHARED_DOWN,
       SHARED_GATE, ROUTER_KEYS, ROUTER_NOISE, TOKEN_IDS, TABLE };

static const double bias_deviation = 0.25;

/* Logits that no noise of 4.2 deviations can turn round. */
static const double far_away = 16;

moe_layer_sizes moe_layer_elements(const moe_layer *layer, int64_t tokens) {
    int64_t width = moe_layer_up_rows(layer), held = moe_layer_held(layer);
    int64_t shared = moe_layer_shared_experts(layer);
    return (moe_layer_sizes){
        .x = tokens * layer->d,
        .router_weight = moe_layer_queries(layer) * layer->d,
        .router_noise = layer->router.noise ? layer->e * layer->d : 0,
        .router_keys = moe_layer_keys(layer),
        .router_bias = moe_layer_router_bias(layer) ? moe_layer_queries(layer) : 0,
        .logits = tokens * moe_layer_logits(layer),
        .up = held * width * layer->d,
        .up_bias = layer->bias & MOE_BIAS_UP ? held * width : 0,
        .down = held * layer->d * layer->f,
        .down_bias = layer->bias & MOE_BIAS_DOWN ? held * layer->d : 0,
        .y = tokens * layer->d,
        .slots = tokens * layer->k,
        .shared_up = shared * width * layer->d,
        .shared_down = shared * layer->f * layer->d,
        .shared_gate = layer->shared.gated ? layer->d : 0,
    };
}

/* Log-popularity of an expert, or a key, under a routing class. */
static double popularity(const moe_layer *layer, moe_routing routing, int64_t expert) {
    int64_t all = moe_layer_choices(layer), picks = moe_layer_picks(layer), step = all / picks;
    bool open = true;
    switch (routing) {
    case MOE_ROUTING_ZIPF: return -log((double)(expert + 1));
    case MOE_ROUTING_ONE: open = expert % step == 0 && expert / step < picks; break;
    case MOE_ROUTING_EMPTY: open = expert % 2 == 0 || 2 * picks > all; break;
    default: break;
    }
    return open ? 0 : -far_away;
}

void moe_workload_logits(const moe_layer *layer, int64_t tokens, moe_routing routing, uint64_t seed,
                         float *logits) {
    moe_random random = moe_random_stream(seed, LOGITS);
    const int64_t width = moe_layer_logits(layer);
    moe_random_normal(random, MOE_F32, logits, tokens * width, 1);
    if (routing == MOE_ROUTING_UNIFORM) return;
#pragma omp parallel for
    for (int64_t e = 0; e < width; e++) {
        double bias = popularity(layer, routing, e % moe_layer_choices(layer));
        for (int64_t i = e; i < tokens * width; i += width) {
            double noise = (double)logits[i];
            if (routing == MOE_ROUTING_ZIPF)
                noise = -log(-log(moe_random_uniform(random, (uint64_t)i)));
            logits[i] = (float)(bias + noise);
        }
    }
}

/* An array of n normal numbers, or NULL where n = 0 or it is not asked for. */
static bool make(void **out, moe_dtype dtype, bool wanted, int64_t n, moe_random random,
                 double deviation) {
    if (!wanted || n == 0) return true;
    *out = malloc((size_t)n * moe_dtype_size(dtype));
    if (!*out) return false;
    moe_random_normal(random, dtype, *out, n, deviation);
    return true;
}

static void make_table(const moe_layer *layer, moe_routing routing, uint64_t seed, float *logits,
                       double *exact, double *weights, int *table) {
    uint64_t own = moe_random_bits(moe_random_stream(seed, TABLE), 0);
    moe_workload_logits(layer, MOE_WORKLOAD_VOCAB, routing, own, logits);
    for (int64_t i = 0; i < MOE_WORKLOAD_VOCAB * layer->e; i++) exact[i] = (double)logits[i];
    moe_ref_route(layer, MOE_WORKLOAD_VOCAB, exact, NULL, table, weights, NULL, NULL);
    for (int64_t j = 0; j < layer->k; j++) table[j] = table[layer->k - 1];
    table[layer->k] = (int)layer->e;
}

/* Rows of the table are as a router would choose by the routing class. */
static bool make_hash(moe_workload *w, moe_routing routing, uint64_t seed) {
    const moe_layer *layer = &w->layer;
    if (!moe_router_looks_up(&layer->router)) return true;
    size_t rows = MOE_WORKLOAD_VOCAB, e = (size_t)layer->e, k = (size_t)layer->k;
    float *logits = malloc(rows * e * sizeof *logits);
    double *exact = malloc(rows * e * sizeof *exact), *weights = malloc(rows * k * sizeof *weights);
    w->token_ids = malloc((size_t)w->tokens * sizeof *w->token_ids + 1);
    w->expert_table = malloc(rows * k * sizeof *w->expert_table);
    bool made = logits && exact && weights && w->token_ids && w->expert_table;
    if (made) make_table(layer, routing, seed, logits, exact, weights, w->expert_table);
    for (int64_t t = 0; made && t < w->tokens; t++)
        w->token_ids[t] = (int)(moe_random_bits(moe_random_stream(seed, TOKEN_IDS), (uint64_t)t) %
                                (MOE_WORKLOAD_VOCAB + 2)) - 1;
    free(logits);
    free(exact);
    free(weights);
    return made;
}

moe_status moe_workload_init(moe_workload *workload, const moe_layer *layer, int64_t tokens,
                             moe_routing routing, uint64_t seed, unsigned set) {
    const moe_layer_sizes n = moe_layer_elements(layer, tokens);
    const double by_d = 1 / sqrt((double)layer->d), by_f = 1 / sqrt((double)layer->f);
    const double by_key = 1 / sqrt(fmax((double)layer->router.key_width / 2, 1));
    const double by_shared = 1 / sqrt(fmax((double)layer->shared.f, 1));
    moe_workload w = {.layer = *layer, .tokens = tokens, .seed = seed};
    void *router_bias = NULL;
#define STREAM(which) moe_random_stream(seed, which)
    /* Keys have their bias whoever makes the logits. */
    const unsigned biased = MOE_MAKE_ROUTER | (layer->router.key_bias ? MOE_MAKE_LOGITS : 0);
    bool made =
        make(&w.x, layer->x, set & MOE_MAKE_X, n.x, STREAM(X), 1) &&
        make(&w.router_weight, moe_layer_router_dtype(layer), set & MOE_MAKE_ROUTER,
             n.router_weight, STREAM(ROUTER_WEIGHT), by_d) &&
        make(&w.router_keys, layer->w, set & MOE_MAKE_ROUTER, n.router_keys, STREAM(ROUTER_KEYS),
             by_key) &&
        make(&w.router_noise, moe_layer_router_dtype(layer), set & MOE_MAKE_ROUTER, n.router_noise,
             STREAM(ROUTER_NOISE), by_d) &&
        make(&router_bias, MOE_F32, set & biased, n.router_bias, STREAM(ROUTER_BIAS),
             bias_deviation) &&
        make(&w.up, layer->w, set & MOE_MAKE_UP, n.up, STREAM(UP), by_d) &&
        make(&w.up_bias, layer->w, set & MOE_MAKE_UP, n.up_bias, STREAM(UP_BIAS), bias_deviation) &&
        make(&w.down, layer->w, set & MOE_MAKE_DOWN, n.down, STREAM(DOWN), by_f) &&
        make(&w.down_bias, layer->w, set & MOE_MAKE_DOWN, n.down_bias, STREAM(DOWN_BIAS),
             bias_deviation) &&
        make(&w.shared_up, layer->w, set & MOE_MAKE_UP, n.shared_up, STREAM(SHARED_UP), by_d) &&
        make(&w.shared_down, layer->w, set & MOE_MAKE_DOWN, n.shared_down, STREAM(SHARED_DOWN),
             by_shared) &&
        make(&w.shared_gate, layer->w, set & MOE_MAKE_GATE, n.shared_gate, STREAM(SHARED_GATE),
             by_d);
#undef STREAM
    w.router_bias = router_bias;
    made = made && make_hash(&w, routing, seed);
    if (made && set & MOE_MAKE_LOGITS && n.logits) {
        w.logits = malloc((size_t)n.logits * sizeof *w.logits);
        made = w.logits != NULL;
        if (made) moe_workload_logits(layer, tokens, routing, seed, w.logits);
    }
    if (!made) {
        moe_workload_free(&w);
        return moe_fail(
            MOE_E_MEMORY,
            "no memory for a layer of %.1f GB; use a machine with more or a smaller one",
            (double)(n.up + n.down) * (double)moe_dtype_size(layer->w) / 1e9);
    }
    *workload = w;
    return MOE_OK;
}

void moe_workload_free(moe_workload *w) {
    free(w->x);
    free(w->router_weight);
    free(w->router_keys);
    free(w->router_noise);
    free(w->token_ids);
    free(w->expert_table);
    free(w->router_bias);
    free(w->logits);
    free(w->up);
    free(w->up_bias);
    free(w->down);
    free(w->down_bias);
    free(w->shared_up);
    free(w->shared_down);
    free(w->shared_gate);
    *w = (moe_workload){0};
}

moe_host_layer moe_workload_host(const moe_workload *w) {
    return (moe_host_layer){.x = w->x,
                            .router_weight = w->router_weight,
                            .router_keys = w->router_keys,
                            .router_noise = w->router_noise,
                            .token_ids = w->token_ids,
                            .expert_table = w->expert_table,
                            .vocab = MOE_WORKLOAD_VOCAB,
                            .seed = moe_router_draws(&w->layer.router) ? &w->seed : NULL,
                            .router_bias = w->router_bias,
                            .logits = w->logits,
                            .up = w->up,
                            .up_bias = w->up_bias,
                            .down = w->down,
                            .down_bias = w->down_bias,
                            .shared_up = w->shared_up,
                            .shared_down = w->shared_down,
                            .shared_gate = w->shared_gate};
}
