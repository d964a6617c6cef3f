/* route_case.c - one run of the route template and its exact result, for tests. */
#include "route_case.h"

#include "check.h"
#include "random.h"
#include "reference.h"
#include "tolerance.h"
#include "workload.h"

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

/* Elements of loss_sums. */
static size_t route_losses(const moe_layer *layer) { return 3 * (size_t)layer->e + 2; }

void route_case_make(route_case *r, fixture_kernel *kernel, const moe_layer *layer,
                     int64_t tokens) {
    *r = (route_case){.kernel = kernel, .layer = layer, .tokens = tokens, .statistics = true};
    r->ids = route_room((size_t)(tokens * layer->k), sizeof *r->ids);
    r->weights = route_room((size_t)(tokens * layer->k), sizeof *r->weights);
    r->counts = route_room((size_t)layer->e, sizeof *r->counts);
    r->prob_sums = route_room((size_t)layer->e, sizeof *r->prob_sums);
    r->loss_sums = route_room(route_losses(layer), sizeof *r->loss_sums);
}

void route_case_free(route_case *r) {
    free(r->ids);
    free(r->weights);
    free(r->counts);
    free(r->prob_sums);
    free(r->loss_sums);
}

void route_case_run(fixture *f, route_case *r) {
    const moe_layer *layer = r->layer;
    size_t e = (size_t)layer->e, slots = (size_t)(r->tokens * layer->k);
    size_t losses = route_losses(layer);
    size_t width = (size_t)layer->d * moe_dtype_size(layer->x);
    moe_arg_values args = {0};
    if (r->x) args.value[MOE_ARG_x] = fixture_put(f, r->x, (size_t)r->tokens * width);
    if (r->router_weight)
        args.value[MOE_ARG_router_weight] =
            fixture_put(f, r->router_weight,
                        e * (size_t)layer->d * moe_dtype_size(moe_layer_router_dtype(layer)));
    if (r->router_bias)
        args.value[MOE_ARG_router_bias] = fixture_put(f, r->router_bias, e * sizeof(float));
    if (r->router_noise)
        args.value[MOE_ARG_router_noise] =
            fixture_put(f, r->router_noise,
                        e * (size_t)layer->d * moe_dtype_size(moe_layer_router_dtype(layer)));
    if (r->token_ids)
        args.value[MOE_ARG_token_ids] =
            fixture_put(f, r->token_ids, (size_t)r->tokens * sizeof(int));
    if (r->expert_table)
        args.value[MOE_ARG_expert_table] = fixture_put(
            f, r->expert_table, (size_t)r->vocab * (size_t)layer->k * sizeof(int));
    args.value[MOE_ARG_vocab] = (uint64_t)r->vocab;
    if (r->seed) args.value[MOE_ARG_seed] = fixture_put(f, r->seed, sizeof *r->seed);
    if (layer->router.jitter_input)
        args.value[MOE_ARG_jittered] = fixture_room(f, (size_t)r->tokens * width);
    if (r->logits)
        args.value[MOE_ARG_logits] =
            fixture_put(f, r->logits, (size_t)r->tokens * e * sizeof(float));
    args.value[MOE_ARG_ids] = fixture_room(f, slots * sizeof(int));
    args.value[MOE_ARG_weights] = fixture_room(f, slots * sizeof(float));
    memset(r->counts, 0, e * sizeof *r->counts);
    memset(r->prob_sums, 0, e * sizeof *r->prob_sums);
    memset(r->loss_sums, 0, losses * sizeof *r->loss_sums);
    if (r->statistics) {
        args.value[MOE_ARG_counts] = fixture_put(f, r->counts, e * sizeof *r->counts);
        args.value[MOE_ARG_prob_sums] = fixture_put(f, r->prob_sums, e * sizeof *r->prob_sums);
        args.value[MOE_ARG_loss_sums] = fixture_put(f, r->loss_sums, losses * sizeof *r->loss_sums);
    }
    int flags[MOE_FLAGS];
    args.value[MOE_ARG_flags] = fixture_room(f, sizeof flags);
    r->kernel->op.t = r->tokens;
    fixture_run(f, r->kernel, &args);
    fixture_get(f, args.value[MOE_ARG_flags], flags, sizeof flags);
    for (int i = 0; i < MOE_FLAGS; i++)
        if (flags[i]) fail_msg("%s: flags[%d] is left at %d", r->kernel->what, i, flags[i]);
    if (r->jittered)
        fixture_get(f, args.value[MOE_ARG_jittered], r->jittered, (size_t)r->tokens * width);
    fixture_get(f, args.value[MOE_ARG_ids], r->ids, slots * sizeof(int));
    fixture_get(f, args.value[MOE_ARG_weights], r->weights, slots * sizeof(float));
    if (r->statistics) {
        fixture_get(f, args.value[MOE_ARG_counts], r->counts, e * sizeof *r->counts);
        fixture_get(f, args.value[MOE_ARG_prob_sums], r->prob_sums, e * sizeof *r->prob_sums);
        fixture_get(f, args.value[MOE_ARG_loss_sums], r->loss_sums, losses * sizeof *r->loss_sums);
    }
    fixture_forget(f);
}

void route_build_by(fixture *f, const char *template, const char *text, int64_t tokens,
                    const char *config, moe_layer *layer, fixture_kernel *kernel) {
    CHECK(moe_layer_parse(text, layer));
    moe_op op = moe_op_make(MOE_OP_route, layer, tokens, MOE_ROUTING_UNIFORM, MOE_CACHE_COLD);
    fixture_build(f, template, &op, config, kernel);
}

void route_build(fixture *f, const char *text, int64_t tokens, const char *config,
                  moe_layer *layer, fixture_kernel *kernel) {
    route_build_by(f, "route", text, tokens, config, layer, kernel);
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
        double sum = layer->router.score == MOE_SCORE_SOFTMAX && !layer->router.renorm
                         ? all
                         : softmax_sum(chosen, k, most);
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

static void fill_integers(moe_dtype dtype, void *array, int64_t n, uint64_t stream) {
    moe_random random = moe_random_stream(17, stream);
    for (int64_t i = 0; i < n; i++)
        moe_store(dtype, array, i, (double)(moe_random_bits(random, (uint64_t)i) % 7) - 3);
}

/* x and weights of -3..3 over at most some thousand products: fp32 holds every sum, and there are
 * many ties. An eighth of each keeps the exponentials apart. */
void route_check_integers(fixture *f, fixture_kernel *kernel, const moe_layer *layer,
                          int64_t tokens) {
    int64_t d = layer->d, e = layer->e;
    moe_dtype wide = moe_layer_router_dtype(layer);
    void *x = route_room((size_t)(tokens * d), moe_dtype_size(layer->x));
    void *w = route_room((size_t)(e * d), moe_dtype_size(wide));
    float *bias = route_room((size_t)e, sizeof *bias);
    double *logits = route_room((size_t)(tokens * e), sizeof *logits);
    route_case r;
    route_case_make(&r, kernel, layer, tokens);
    fill_integers(layer->x, x, tokens * d, 1);
    fill_integers(wide, w, e * d, 2);
    fill_integers(MOE_F32, bias, e, 3);
    for (int64_t i = 0; i < e * d; i++) moe_store(wide, w, i, moe_load(wide, w, i) / 8);
    for (int64_t t = 0; t < tokens; t++) {
        for (int64_t i = 0; i < e; i++) {
            double sum = layer->bias & MOE_BIAS_ROUTER ? (double)bias[i] : 0;
            for (int64_t n = 0; n < d; n++)
                sum += moe_load(layer->x, x, t * d + n) * moe_load(wide, w, i * d + n);
            logits[t * e + i] = sum;
        }
    }
    r.x = x, r.router_weight = w;
    if (layer->bias & MOE_BIAS_ROUTER) r.router_bias = bias;
    route_case_run(f, &r);
    route_case_check(&r, logits);
    route_case_free(&r);
    free(x);
    free(w);
    free(bias);
    free(logits);
}

static void fill_logits(route_source from, int64_t n, float *logits) {
    static const float specials[] = {NAN, INFINITY, -INFINITY, 0.0f, -0.0f, 1e30f};
    moe_random random = moe_random_stream(7, from);
    moe_random_normal(moe_random_stream(8, from), MOE_F32, logits, n, 3);
    for (int64_t i = 0; i < n; i++) {
        uint64_t any = moe_random_bits(random, (uint64_t)i);
        if (from == ROUTE_TIES) logits[i] = (float)(int)(any % 4) - 2;
        if (from == ROUTE_NOT_FINITE) logits[i] = specials[any % 6];
    }
}

/* Logits that are not finite leave the choice open, but it has weights that are numbers. */
static void check_weights_are_numbers(const route_case *r) {
    for (int64_t s = 0; s < r->tokens * r->layer->k; s++)
        if (isnan(r->weights[s]))
            fail_msg("%s: weights[%lld] is NaN", r->kernel->what, (long long)s);
}

void route_case_judge(const route_case *r, const double *logits, double logit_error) {
    const moe_route_result got = {r->ids, r->weights, r->counts, r->prob_sums, NULL};
    moe_verdict verdict;
    const moe_host_layer in = {.router_bias = r->router_bias, .seed = r->seed,
                               .token_ids = r->token_ids, .expert_table = r->expert_table,
                               .vocab = r->vocab};
    CHECK(moe_check_route(r->layer, r->tokens, logits, &in, logit_error,
                          moe_op_tolerance(&r->kernel->op), &got, &verdict));
    if (!verdict.ok)
        fail_msg("%s, T=%lld: %s", r->kernel->what, (long long)r->tokens, verdict.text);
    check_weights_are_numbers(r);
}

void route_check_source(fixture *f, fixture_kernel *kernel, const moe_layer *layer,
                        route_source from, int64_t tokens) {
    moe_workload inputs;
    route_case r;
    CHECK(moe_workload_init(&inputs, layer, tokens, MOE_ROUTING_UNIFORM, 5,
                            MOE_MAKE_X | MOE_MAKE_ROUTER | MOE_MAKE_LOGITS));
    moe_host_layer host = moe_workload_host(&inputs);
    double *logits = route_room((size_t)(tokens * layer->e), sizeof *logits);
    route_case_make(&r, kernel, layer, tokens);
    r.router_bias = inputs.router_bias;
    if (from == ROUTE_FROM_X) {
        host.logits = NULL;
        r.x = inputs.x, r.router_weight = inputs.router_weight;
    } else {
        fill_logits(from, tokens * layer->e, inputs.logits);
        r.logits = inputs.logits;
        if (from == ROUTE_NOT_FINITE && inputs.router_bias) inputs.router_bias[layer->e / 2] = NAN;
    }
    CHECK(moe_ref_logits(layer, tokens, &host, logits));
    route_case_run(f, &r);
    route_case_judge(&r, logits, from == ROUTE_FROM_X ? moe_logit_tolerance(layer) : 0);
    route_case_free(&r);
    free(logits);
    moe_workload_free(&inputs);
}
