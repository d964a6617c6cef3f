/* label: sim */
/* test_route.c - the route template on a simulated GPU against plain loops in double.
 *
 * Where the logits are given, or are sums of small integers and so exact in every dtype, there is
 * one right choice, ties included. Logits of random inputs are judged by the reference's check,
 * which knows how far an fp32 sum may be off. */
#include "check.h"
#include "fixture.h"
#include "random.h"
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

/* One run: host inputs, NULL where unused, and what came back. */
typedef struct run {
    fixture_kernel *kernel;
    const moe_layer *layer;
    int64_t tokens;
    const void *x, *router_weight;
    const float *router_bias, *logits;
    bool statistics;
    int *ids, *counts;
    float *weights;
    unsigned long long *prob_sums;
} run;

static void *room(size_t count, size_t size) {
    void *made = calloc(count + 1, size);
    assert_non_null(made);
    return made;
}

static void run_make(run *r, fixture_kernel *kernel, const moe_layer *layer, int64_t tokens) {
    *r = (run){.kernel = kernel, .layer = layer, .tokens = tokens, .statistics = true};
    r->ids = room((size_t)(tokens * layer->k), sizeof *r->ids);
    r->weights = room((size_t)(tokens * layer->k), sizeof *r->weights);
    r->counts = room((size_t)layer->e, sizeof *r->counts);
    r->prob_sums = room((size_t)layer->e, sizeof *r->prob_sums);
}

static void run_free(run *r) {
    free(r->ids);
    free(r->weights);
    free(r->counts);
    free(r->prob_sums);
}

static void run_route(fixture *f, run *r) {
    const moe_layer *layer = r->layer;
    size_t e = (size_t)layer->e, slots = (size_t)(r->tokens * layer->k);
    size_t width = (size_t)layer->d * moe_dtype_size(layer->x);
    moe_arg_values args = {0};
    if (r->x) args.value[MOE_ARG_x] = fixture_put(f, r->x, (size_t)r->tokens * width);
    if (r->router_weight)
        args.value[MOE_ARG_router_weight] = fixture_put(f, r->router_weight, e * width);
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
    r->kernel->op.t = r->tokens;
    fixture_run(f, r->kernel, &args);
    fixture_get(f, args.value[MOE_ARG_ids], r->ids, slots * sizeof(int));
    fixture_get(f, args.value[MOE_ARG_weights], r->weights, slots * sizeof(float));
    if (r->statistics) {
        fixture_get(f, args.value[MOE_ARG_counts], r->counts, e * sizeof *r->counts);
        fixture_get(f, args.value[MOE_ARG_prob_sums], r->prob_sums, e * sizeof *r->prob_sums);
    }
    fixture_forget(f);
}

/* ---------------------------------------------------------------------------- plain loops */

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

static void near(const run *r, const char *what, int64_t i, double got, double want,
                 double allowed) {
    if (fabs(got - want) <= allowed) return;
    fail_msg("%s, T=%lld: %s[%lld] is %.9g, should be %.9g", r->kernel->what, (long long)r->tokens,
             what, (long long)i, got, want);
}

/* Compares with exact logits [T,e]. A logit's difference from the largest is rounded to fp32, which
 * moves its exponential by up to its size times 2^-24; beyond 100 that is 0 all the same. */
static void check_exact(const run *r, const double *logits) {
    const moe_layer *layer = r->layer;
    int64_t e = layer->e, k = layer->k;
    int ids[32], *counts = room((size_t)e, sizeof *counts);
    double *probs = room((size_t)e, sizeof *probs);
    for (int64_t t = 0; t < r->tokens; t++) {
        const double *l = logits + t * e;
        best_experts(layer, l, ids);
        double most = clamped(l[ids[0]]), chosen[32], all = softmax_sum(l, e, most);
        for (int j = 0; j < k; j++) chosen[j] = l[ids[j]];
        double sum = layer->router == MOE_ROUTER_SOFTMAX_TOPK ? all : softmax_sum(chosen, k, most);
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

/* ------------------------------------------------------------------------------ given logits */

typedef enum pattern { NORMAL, NEGATIVE, EQUAL, TIES, SPECIAL, NOT_FINITE, PATTERNS } pattern;

static void fill_logits(pattern p, int64_t n, uint64_t seed, float *logits) {
    static const float specials[] = {NAN,  INFINITY, -INFINITY, 0.0f, -0.0f,        FLT_MAX,
                                     -FLT_MAX, 1e-42f, -1e-42f,   1.0f, 0x1.000002p0f, -NAN};
    moe_random random = moe_random_stream(seed, 99);
    moe_random_normal(moe_random_stream(seed, (uint64_t)p), MOE_F32, logits, n, 3);
    for (int64_t i = 0; i < n; i++) {
        uint64_t any = moe_random_bits(random, (uint64_t)i);
        switch (p) {
        case NORMAL: break;
        case NEGATIVE: logits[i] = -50.0f - fabsf(logits[i]); break;
        case EQUAL: logits[i] = -1.5f; break;
        case TIES: logits[i] = (float)(int)(any % 4) - 2; break;
        case SPECIAL: logits[i] = specials[any % 12]; break;
        case NOT_FINITE: logits[i] = specials[any % 3 == 0 ? 0 : 2]; break;
        case PATTERNS: break;
        }
    }
}

static void check_given(fixture *f, fixture_kernel *kernel, const moe_layer *layer, pattern p,
                        int64_t tokens) {
    int64_t n = tokens * layer->e;
    float *logits = room((size_t)n, sizeof *logits);
    double *exact = room((size_t)n, sizeof *exact);
    run r;
    run_make(&r, kernel, layer, tokens);
    fill_logits(p, n, (uint64_t)(tokens + layer->e), logits);
    for (int64_t i = 0; i < n; i++) exact[i] = (double)logits[i];
    r.logits = logits;
    r.statistics = p != TIES;
    run_route(f, &r);
    check_exact(&r, exact);
    run_free(&r);
    free(logits);
    free(exact);
}

static void build(fixture *f, const char *text, int64_t tokens, const char *config,
                  moe_layer *layer, fixture_kernel *kernel) {
    CHECK(moe_layer_parse(text, layer));
    moe_op op = moe_op_make(MOE_OP_route, layer, tokens, MOE_ROUTING_UNIFORM, MOE_CACHE_COLD);
    fixture_build(f, "route", &op, config, kernel);
}

static const char *const rules[] = {"softmax>topk>renorm", "softmax>topk", "topk>softmax"};

static void given_logits_of_every_kind(void **state) {
    (void)state;
    static const int shapes[][2] = {{1, 1},   {4, 2},    {8, 1},   {8, 8},    {40, 8},   {60, 4},
                                    {64, 6},  {128, 8},  {257, 22}, {512, 10}, {1024, 2}, {2048, 32},
                                    {31, 16}, {2048, 4}, {33, 32}};
    static const int64_t tokens[] = {7, 1, 64};
    fixture f;
    fixture_open(&f, "sim:a100");
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        char text[128];
        moe_layer layer;
        fixture_kernel kernel;
        snprintf(text, sizeof text, "d=8 f=8 e=%d k=%d router=%s", shapes[i][0], shapes[i][1],
                 rules[i % 3]);
        build(&f, text, i % 2 ? 1 : 4096, "", &layer, &kernel);
        for (int p = 0; p < PATTERNS; p++)
            check_given(&f, &kernel, &layer, (pattern)p, tokens[p % 3]);
        fixture_kernel_free(&f, &kernel);
    }
    fixture_close(&f);
}

/* ------------------------------------------------------------------------------- exact GEMM */

static void fill_integers(moe_dtype dtype, void *array, int64_t n, uint64_t stream) {
    moe_random random = moe_random_stream(17, stream);
    for (int64_t i = 0; i < n; i++)
        moe_store(dtype, array, i, (double)(moe_random_bits(random, (uint64_t)i) % 7) - 3);
}

/* x and weights of -3..3 over at most some thousand products: fp32 holds every sum, and there are
 * many ties. An eighth of each keeps the exponentials apart. */
static void check_integers(fixture *f, fixture_kernel *kernel, const moe_layer *layer,
                           int64_t tokens) {
    int64_t d = layer->d, e = layer->e;
    size_t size = moe_dtype_size(layer->x);
    void *x = room((size_t)(tokens * d), size), *w = room((size_t)(e * d), size);
    float *bias = room((size_t)e, sizeof *bias);
    double *logits = room((size_t)(tokens * e), sizeof *logits);
    run r;
    run_make(&r, kernel, layer, tokens);
    fill_integers(layer->x, x, tokens * d, 1);
    fill_integers(layer->w, w, e * d, 2);
    fill_integers(MOE_F32, bias, e, 3);
    for (int64_t i = 0; i < e * d; i++) moe_store(layer->w, w, i, moe_load(layer->w, w, i) / 8);
    for (int64_t t = 0; t < tokens; t++) {
        for (int64_t i = 0; i < e; i++) {
            double sum = layer->bias & MOE_BIAS_ROUTER ? (double)bias[i] : 0;
            for (int64_t n = 0; n < d; n++)
                sum += moe_load(layer->x, x, t * d + n) * moe_load(layer->w, w, i * d + n);
            logits[t * e + i] = sum;
        }
    }
    r.x = x, r.router_weight = w;
    if (layer->bias & MOE_BIAS_ROUTER) r.router_bias = bias;
    run_route(f, &r);
    check_exact(&r, logits);
    run_free(&r);
    free(x);
    free(w);
    free(bias);
    free(logits);
}

typedef struct gemm_case {
    const char *layer, *config;
} gemm_case;

static void run_integers(const char *device, const gemm_case *cases, size_t cases_count,
                         const int64_t *tokens, int count) {
    fixture f;
    fixture_open(&f, device);
    for (size_t i = 0; i < cases_count; i++) {
        moe_layer layer;
        fixture_kernel kernel;
        build(&f, cases[i].layer, tokens[0], cases[i].config, &layer, &kernel);
        for (int t = 0; t < count; t++) check_integers(&f, &kernel, &layer, tokens[t]);
        fixture_kernel_free(&f, &kernel);
    }
    fixture_close(&f);
}

static void every_shape_by_default_config(void **state) {
    (void)state;
    static const gemm_case cases[] = {
        {"d=8 f=8 e=1 k=1", ""},
        {"d=24 f=8 e=4 k=2 x=f16", ""},
        {"d=40 f=8 e=8 k=2 x=f32 router=softmax>topk", ""},
        {"d=264 f=8 e=40 k=8 router=topk>softmax", ""},
        {"d=1000 f=8 e=60 k=4 bias=router", ""},
        {"d=512 f=8 e=64 k=8 x=f32 bias=router", ""},
        {"d=2048 f=8 e=128 k=8 router=softmax>topk", ""},
        {"d=136 f=8 e=257 k=22", ""},
        {"d=128 f=8 e=512 k=10 x=f16", ""},
        {"d=64 f=8 e=1024 k=16", ""},
        {"d=72 f=8 e=2048 k=32", ""},
        {"d=72 f=8 e=2048 k=1 x=f32", ""},
    };
    static const int64_t few[] = {1, 7}, many[] = {129};
    run_integers("sim:a100", cases, sizeof cases / sizeof *cases, few, 2);
    run_integers("sim:l40s", cases, sizeof cases / sizeof *cases, many, 1);
}

static void every_kind_of_config(void **state) {
    (void)state;
    static const gemm_case cases[] = {
        {"d=136 f=8 e=60 k=4", "bt=8 be=64 bk=64 stages=3 warps=4 split=0"},
        {"d=136 f=8 e=60 k=4", "bt=16 be=64 bk=128 stages=3 warps=8 split=0"},
        {"d=136 f=8 e=60 k=4", "bt=128 be=64 bk=64 stages=4 warps=8 split=0"},
        {"d=136 f=8 e=300 k=4", "bt=64 be=128 bk=64 stages=3 warps=8 split=0"},
        {"d=136 f=8 e=300 k=4", "bt=32 be=128 bk=128 stages=2 warps=4 split=0"},
        {"d=136 f=8 e=300 k=4", "bt=16 be=512 bk=64 stages=3 warps=16 split=0"},
        {"d=200 f=8 e=8 k=2", "bt=64 be=16 bk=64 stages=4 warps=4 split=0"},
        {"d=200 f=8 e=8 k=2", "bt=8 be=16 bk=128 stages=2 warps=8 split=0"},
        {"d=1160 f=8 e=60 k=4 bias=router", "bt=16 be=32 bk=128 stages=4 warps=4 split=8"},
        {"d=1160 f=8 e=60 k=4 bias=router", "bt=8 be=16 bk=128 stages=2 warps=8 split=4"},
        {"d=136 f=8 e=60 k=4", "bt=64 be=64 bk=128 stages=2 warps=8 split=1"},
        {"d=136 f=8 e=60 k=4 x=f32", "bt=8 be=64 bk=64 stages=3 warps=4 split=0"},
        {"d=136 f=8 e=300 k=4 x=f32", "bt=32 be=128 bk=64 stages=3 warps=8 split=0"},
        {"d=264 f=8 e=60 k=4 x=f32", "bt=16 be=16 bk=128 stages=4 warps=8 split=2"},
        {"d=136 f=8 e=60 k=4 x=f16", "bt=64 be=32 bk=128 stages=4 warps=8 split=2"},
    };
    static const int64_t tokens[] = {7, 133};
    run_integers("sim:h100", cases, sizeof cases / sizeof *cases, tokens, 2);
}

/* ------------------------------------------------------------------------------ random inputs */

static void random_inputs_of_every_dtype(void **state) {
    (void)state;
    static const char *const dtypes[] = {"bf16", "f16", "f32"};
    fixture f;
    fixture_open(&f, "sim:a100");
    for (int i = 0; i < 3; i++) {
        char text[128];
        moe_layer layer;
        fixture_kernel kernel;
        moe_workload inputs;
        moe_verdict verdict;
        run r;
        int64_t tokens = 100;
        snprintf(text, sizeof text, "d=1024 f=8 e=128 k=8 x=%s router=%s bias=router", dtypes[i],
                 rules[i]);
        build(&f, text, tokens, "", &layer, &kernel);
        CHECK(moe_workload_init(&inputs, &layer, tokens, MOE_ROUTING_UNIFORM, 3,
                                MOE_MAKE_X | MOE_MAKE_ROUTER));
        moe_host_layer host = moe_workload_host(&inputs);
        double *logits = room((size_t)(tokens * layer.e), sizeof *logits);
        CHECK(moe_ref_logits(&layer, tokens, &host, logits));
        run_make(&r, &kernel, &layer, tokens);
        r.x = inputs.x, r.router_weight = inputs.router_weight, r.router_bias = inputs.router_bias;
        run_route(&f, &r);
        moe_route_result got = {r.ids, r.weights, r.counts, r.prob_sums, NULL};
        CHECK(moe_check_route(&layer, tokens, logits, moe_logit_tolerance(&layer),
                              moe_op_tolerance(&kernel.op), &got, &verdict));
        if (!verdict.ok) fail_msg("%s: %s", kernel.what, verdict.text);
        run_free(&r);
        free(logits);
        moe_workload_free(&inputs);
        fixture_kernel_free(&f, &kernel);
    }
    fixture_close(&f);
}

/* The same bits, statistics included, whatever the order of blocks and warps. */
static void schedules_do_not_matter(void **state) {
    (void)state;
    static const char *const devices[] = {"sim:a100", "sim:a100,seed=1", "sim:a100,seed=2"};
    static const char *const configs[] = {"bt=16 be=32 bk=64 stages=3 warps=4 split=0",
                                          "bt=8 be=16 bk=128 stages=4 warps=8 split=2"};
    enum { TOKENS = 70 };
    for (int c = 0; c < 2; c++) {
        run r[3];
        moe_layer layer;
        for (int i = 0; i < 3; i++) {
            fixture f;
            fixture_kernel kernel;
            moe_workload inputs;
            fixture_open(&f, devices[i]);
            build(&f, "d=520 f=8 e=32 k=4 router=softmax>topk", TOKENS, configs[c], &layer, &kernel);
            CHECK(moe_workload_init(&inputs, &layer, TOKENS, MOE_ROUTING_UNIFORM, 4,
                                    MOE_MAKE_X | MOE_MAKE_ROUTER));
            run_make(&r[i], &kernel, &layer, TOKENS);
            r[i].x = inputs.x, r[i].router_weight = inputs.router_weight;
            run_route(&f, &r[i]);
            moe_workload_free(&inputs);
            fixture_kernel_free(&f, &kernel);
            fixture_close(&f);
        }
        for (int i = 1; i < 3; i++) {
            assert_memory_equal(r[i].ids, r[0].ids, TOKENS * 4 * sizeof(int));
            assert_memory_equal(r[i].weights, r[0].weights, TOKENS * 4 * sizeof(float));
            assert_memory_equal(r[i].counts, r[0].counts, 32 * sizeof(int));
            assert_memory_equal(r[i].prob_sums, r[0].prob_sums, 32 * sizeof(*r->prob_sums));
        }
        for (int i = 0; i < 3; i++) run_free(&r[i]);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(given_logits_of_every_kind),
        cmocka_unit_test(every_shape_by_default_config),
        cmocka_unit_test(every_kind_of_config),
        cmocka_unit_test(random_inputs_of_every_dtype),
        cmocka_unit_test(schedules_do_not_matter),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
