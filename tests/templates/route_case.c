/* route_case.c - one run of the route template and its exact result, for tests. */
#include "route_case.h"

#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

void *route_room(size_t count, size_t size) {
    void *made = calloc(count + 1, size);
    assert_non_null(made);
    return made;
}

void route_case_make(route_case *r, fixture_kernel *kernel, const moe_layer *layer,
                     int64_t tokens) {
    *r = (route_case){.kernel = kernel, .layer = layer, .tokens = tokens, .statistics = true};
    r->ids = route_room((size_t)(tokens * layer->k), sizeof *r->ids);
    r->weights = route_room((size_t)(tokens * layer->k), sizeof *r->weights);
    r->counts = route_room((size_t)layer->e, sizeof *r->counts);
    r->prob_sums = route_room((size_t)layer->e, sizeof *r->prob_sums);
}

void route_case_free(route_case *r) {
    free(r->ids);
    free(r->weights);
    free(r->counts);
    free(r->prob_sums);
}

void route_case_run(fixture *f, route_case *r) {
    const moe_layer *layer = r->layer;
    size_t e = (size_t)layer->e, slots = (size_t)(r->tokens * layer->k);
    size_t width = (size_t)layer->d * moe_dtype_size(layer->x);
    moe_arg_values args = {0};
    if (r->x) args.value[MOE_ARG_x] = fixture_put(f, r->x, (size_t)r->tokens * width);
    if (r->router_weight)
        args.value[MOE_ARG_router_weight] =
            fixture_put(f, r->router_weight,
                        e * (size_t)layer->d * moe_dtype_size(moe_layer_router_dtype(layer)));
    if (r->router_bias)
        args.value[MOE_ARG_router_bias] = fixture_put(f, r->router_bias, e * sizeof(float));
    if (r->logits)
        args.value[MOE_ARG_logits] =
            fixture_put(f, r->logits, (size_t)r->tokens * e * sizeof(float));
    args.value[MOE_ARG_ids] = fixture_room(f, slots * sizeof(int));
    args.value[MOE_ARG_weights] = fixture_room(f, slots * sizeof(float));
    memset(r->counts, 0, e * sizeof *r->counts);
    memset(r->prob_sums, 0, e * sizeof *r->prob_sums);
    if (r->statistics) {
        args.value[MOE_ARG_counts] = fixture_put(f, r->counts, e * sizeof *r->counts);
        args.value[MOE_ARG_prob_sums] = fixture_put(f, r->prob_sums, e * sizeof *r->prob_sums);
    }
    int flags[MOE_FLAGS];
    args.value[MOE_ARG_flags] = fixture_room(f, sizeof flags);
    r->kernel->op.t = r->tokens;
    fixture_run(f, r->kernel, &args);
    fixture_get(f, args.value[MOE_ARG_flags], flags, sizeof flags);
    for (int i = 0; i < MOE_FLAGS; i++)
        if (flags[i]) fail_msg("%s: flags[%d] is left at %d", r->kernel->what, i, flags[i]);
    fixture_get(f, args.value[MOE_ARG_ids], r->ids, slots * sizeof(int));
    fixture_get(f, args.value[MOE_ARG_weights], r->weights, slots * sizeof(float));
    if (r->statistics) {
        fixture_get(f, args.value[MOE_ARG_counts], r->counts, e * sizeof *r->counts);
        fixture_get(f, args.value[MOE_ARG_prob_sums], r->prob_sums, e * sizeof *r->prob_sums);
    }
    fixture_forget(f);
}

void route_build(fixture *f, const char *text, int64_t tokens, const char *config,
                  moe_layer *layer, fixture_kernel *kernel) {
    CHECK(moe_layer_parse(text, layer));
    moe_op op = moe_op_make(MOE_OP_route, layer, tokens, MOE_ROUTING_UNIFORM, MOE_CACHE_COLD);
    fixture_build(f, "route", &op, config, kernel);
}

static double clamped(double logit) {
    if (isnan(logit)) return -(double)FLT_MAX;
    return logit > (double)FLT_MAX    ? (double)FLT_MAX
           : logit < -(double)FLT_MAX ? -(double)FLT_MAX
                                      : logit;
}

static void best_experts(const moe_layer *layer, const double *logits, int *ids) {
    for (int j = 0; j < layer->k; j++) {
        ids[j] = -1;
        for (int i = 0; i < layer->e; i++) {
            bool taken = false;
            for (int before = 0; before < j; before++) taken |= ids[before] == i;
            if (!taken && (ids[j] < 0 || clamped(logits[i]) > clamped(logits[ids[j]]))) ids[j] = i;
        }
    }
}

static double softmax_sum(const double *logits, int64_t n, double most) {
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += exp(clamped(logits[i]) - most);
    return sum;
}

static void near(const route_case *r, const char *what, int64_t i, double got, double want,
                 double allowed) {
    if (fabs(got - want) <= allowed) return;
    fail_msg("%s, T=%lld: %s[%lld] is %.9g, should be %.9g", r->kernel->what, (long long)r->tokens,
             what, (long long)i, got, want);
}

/* Compares with exact logits [T,e]. A logit's difference from the largest is rounded to fp32, which
 * moves its exponential by up to its size times 2^-24; beyond 100 that is 0 all the same. */
void route_case_check(const route_case *r, const double *logits) {
    const moe_layer *layer = r->layer;
    int64_t e = layer->e, k = layer->k;
    int ids[32], *counts = route_room((size_t)e, sizeof *counts);
    double *probs = route_room((size_t)e, sizeof *probs);
    for (int64_t t = 0; t < r->tokens; t++) {
        const double *l = logits + t * e;
        best_experts(layer, l, ids);
        double most = clamped(l[ids[0]]), chosen[32], all = softmax_sum(l, e, most);
        for (int j = 0; j < k; j++) chosen[j] = l[ids[j]];
        double sum = layer->router.score == MOE_SCORE_SOFTMAX && !layer->router.renorm ? all : softmax_sum(chosen, k, most);
        for (int64_t j = 0; j < k; j++) {
            if (r->ids[t * k + j] != ids[j])
                fail_msg("%s, T=%lld: ids[%lld,%lld] is %d (%.9g), should be %d (%.9g)",
                         r->kernel->what, (long long)r->tokens, (long long)t, (long long)j,
                         r->ids[t * k + j], l[r->ids[t * k + j]], ids[j], l[ids[j]]);
            double want = exp(clamped(chosen[j]) - most) / sum;
            near(r, "weights", t * k + j, (double)r->weights[t * k + j], want, 8e-6 * want + 1e-30);
            counts[ids[j]]++;
        }
        for (int64_t i = 0; i < e; i++) probs[i] += exp(clamped(l[i]) - most) / all;
    }
    for (int64_t i = 0; r->statistics && i < e; i++) {
        double got = (double)r->prob_sums[i] * 0x1p-32;
        if (r->counts[i] != counts[i])
            fail_msg("%s: counts[%lld] is %d, should be %d", r->kernel->what, (long long)i,
                     r->counts[i], counts[i]);
        near(r, "prob_sums", i, got, probs[i], 8e-6 * probs[i] + (double)r->tokens * 0x1p-32);
    }
    free(counts);
    free(probs);
}
