/* permute_case.c - see permute_case.h. */
#include "permute_case.h"

#include "core/number.h"
#include "random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

void permute_case_build(fixture *f, const char *text, int64_t tokens, const char *config,
                        permute_case_layer *out) {
    CHECK(moe_layer_parse(text, &out->layer));
    moe_op op = moe_op_make(MOE_OP_route_permute, &out->layer, tokens, MOE_ROUTING_UNIFORM,
                            MOE_CACHE_COLD);
    fixture_build(f, "route_permute", &op, config, &out->kernel);
}

/* Exact logits [T,e] of a few distinct values that fp32 holds, with ties. */
static void fill_logits(int64_t n, uint64_t seed, float *logits, double *exact) {
    moe_random random = moe_random_stream(seed, 5);
    for (int64_t i = 0; i < n; i++) {
        logits[i] = (float)(int)(moe_random_bits(random, (uint64_t)i) % 4096) / 256 - 8;
        exact[i] = (double)logits[i];
    }
}

static void check_mean(const map_case *c, const maps *got, const unsigned long long *sums) {
    for (int64_t i = 0; i < c->kernel->op.layer.e; i++) {
        float want = (float)sums[i] * 0x1p-32f / (float)c->tokens;
        if (got->mean[i] != want)
            fail_msg("%s: mean_probs[%lld] is %.9g, should be %.9g", c->kernel->what, (long long)i,
                     (double)got->mean[i], (double)want);
    }
}

/* Inputs into arguments. Elements of x are small whole numbers and weights small multiples of 1/64,
 * so that fp32 sums are exact in any order. */
static void bind_router(fixture *f, permute_source from, route_case *r, double *exact,
                        moe_arg_values *args) {
    const moe_layer *layer = r->layer;
    int64_t e = layer->e, n = r->tokens * e;
    if (from == PERMUTE_FROM_LOGITS) {
        float *logits = route_room((size_t)n, sizeof *logits);
        fill_logits(n, (uint64_t)(r->tokens + e), logits, exact);
        args->value[MOE_ARG_logits] = fixture_put(f, logits, (size_t)n * sizeof *logits);
        free(logits);
        return;
    }
    size_t size = moe_dtype_size(layer->x), width = (size_t)layer->d * size;
    float *x = route_room((size_t)(r->tokens * layer->d), sizeof *x);
    float *w = route_room((size_t)(e * layer->d), sizeof *w);
    void *x_bits = route_room((size_t)r->tokens, width), *w_bits = route_room((size_t)e, width);
    moe_random random = moe_random_stream((uint64_t)(r->tokens + e), 6);
    for (int64_t i = 0; i < r->tokens * layer->d; i++)
        x[i] = (float)(int)(moe_random_bits(random, (uint64_t)i) % 8) - 4;
    for (int64_t i = 0; i < e * layer->d; i++)
        w[i] = (float)(int)(moe_random_bits(random, ~(uint64_t)i) % 8) / 64 - 0.0625f;
    moe_store_block(layer->x, x_bits, 0, r->tokens * layer->d, x);
    moe_store_block(layer->x, w_bits, 0, e * layer->d, w);
    for (int64_t t = 0; t < r->tokens; t++)
        for (int64_t i = 0; i < e; i++) {
            double sum = 0;
            for (int64_t j = 0; j < layer->d; j++)
                sum += (double)x[t * layer->d + j] * (double)w[i * layer->d + j];
            exact[t * e + i] = sum;
        }
    args->value[MOE_ARG_x] = fixture_put(f, x_bits, (size_t)r->tokens * width);
    args->value[MOE_ARG_router_weight] = fixture_put(f, w_bits, (size_t)e * width);
    free(x);
    free(w);
    free(x_bits);
    free(w_bits);
}

void permute_case_check(fixture *f, permute_case_layer *l, permute_source from, const map_case *c) {
    const moe_layer *layer = &l->layer;
    size_t slots = (size_t)(c->tokens * layer->k), e = (size_t)layer->e;
    moe_arg_values args = {0};
    route_case r;
    route_case_make(&r, &l->kernel, layer, c->tokens);
    r.statistics = c->statistics;
    double *exact = route_room((size_t)c->tokens * e, sizeof *exact);
    maps got = maps_make(c);
    if (from == PERMUTE_GIVEN) {
        map_fill_ids(c->pattern, c->tokens, layer->e, layer->k, (uint64_t)c->tokens, r.ids);
        args.value[MOE_ARG_ids] = fixture_put(f, r.ids, slots * sizeof(int));
        args.value[MOE_ARG_given] = 1;
    } else {
        bind_router(f, from, &r, exact, &args);
        args.value[MOE_ARG_ids] = fixture_room(f, slots * sizeof(int));
        args.value[MOE_ARG_weights] = fixture_room(f, slots * sizeof(float));
    }
    map_case_bind(f, c, &args);
    if (c->statistics)
        args.value[MOE_ARG_prob_sums] = fixture_put(f, r.prob_sums, e * sizeof *r.prob_sums);
    l->kernel.op.t = c->tokens;
    fixture_run(f, &l->kernel, &args);
    map_case_collect(f, c, &args, &got);
    fixture_get(f, args.value[MOE_ARG_ids], r.ids, slots * sizeof(int));
    if (from != PERMUTE_GIVEN)
        fixture_get(f, args.value[MOE_ARG_weights], r.weights, slots * sizeof(float));
    if (c->statistics) {
        fixture_get(f, args.value[MOE_ARG_prob_sums], r.prob_sums, e * sizeof *r.prob_sums);
        memcpy(r.counts, got.counts, e * sizeof(int));
        check_mean(c, &got, r.prob_sums);
    }
    fixture_forget(f);
    if (from != PERMUTE_GIVEN) route_case_check(&r, exact);
    map_case_check(c, r.ids, &got);
    maps_free(&got);
    free(exact);
    route_case_free(&r);
}

void permute_case_check_all(fixture *f, permute_case_layer *l, int64_t tokens, bool from_x) {
    static const int aligns[] = {1, 16, 64};
    int64_t slots = tokens * l->layer.k, some = (slots * 5 / 4 + l->layer.e - 1) / l->layer.e;
    map_case c = {.kernel = &l->kernel, .tokens = tokens};
    for (int p = 0; p < MAP_PATTERNS; p++) {
        c.pattern = (map_pattern)p;
        c.capacity = p % 2 ? some : slots;
        c.row_align = aligns[p % 3];
        c.statistics = p % 2 == 0;
        permute_case_check(f, l, PERMUTE_GIVEN, &c);
        if (p < 2) permute_case_check(f, l, PERMUTE_FROM_LOGITS, &c);
        if (from_x && p < 2) permute_case_check(f, l, PERMUTE_FROM_X, &c);
    }
}
