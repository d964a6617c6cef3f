/* label: sim */
/* test_route.c - selection by the route template on a simulated GPU, from given logits of every
 * kind and from random inputs. The latter are judged by the reference's check, which knows how far
 * an fp32 sum may be off. */
#include "random.h"
#include "route_case.h"
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
    float *logits = route_room((size_t)n, sizeof *logits);
    double *exact = route_room((size_t)n, sizeof *exact);
    route_case r;
    route_case_make(&r, kernel, layer, tokens);
    fill_logits(p, n, (uint64_t)(tokens + layer->e), logits);
    for (int64_t i = 0; i < n; i++) exact[i] = (double)logits[i];
    r.logits = logits;
    r.statistics = p != TIES;
    route_case_run(f, &r);
    route_case_check(&r, exact);
    route_case_free(&r);
    free(logits);
    free(exact);
}

static const char *const rules[] = {"softmax>topk>renorm", "softmax>topk", "topk>softmax"};

static void given_logits_of_every_kind(void **state) {
    (void)state;
    static const int shapes[][2] = {{1, 1},   {4, 2},    {8, 1},   {8, 8},    {40, 8},   {60, 4},
                                    {64, 6},  {128, 8},  {257, 22}, {512, 10}, {1024, 2},
                                    {2048, 32}, {31, 16}, {2048, 4}, {33, 32}};
    static const int64_t tokens[] = {7, 1, 64};
    fixture f;
    fixture_open(&f, "sim:a100");
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        char text[128];
        moe_layer layer;
        fixture_kernel kernel;
        snprintf(text, sizeof text, "d=8 f=8 e=%d k=%d router=%s", shapes[i][0], shapes[i][1],
                 rules[i % 3]);
        route_build(&f, text, i % 2 ? 1 : 4096, "", &layer, &kernel);
        for (int p = 0; p < PATTERNS; p++)
            check_given(&f, &kernel, &layer, (pattern)p, tokens[p % 3]);
        fixture_kernel_free(&f, &kernel);
    }
    fixture_close(&f);
}

static void random_inputs_of_every_dtype(void **state) {
    (void)state;
    static const char *const dtypes[] = {"bf16", "f16", "f32", "bf16 router_dtype=f32",
                                         "f16 router_dtype=f32"};
    fixture f;
    fixture_open(&f, "sim:a100");
    for (int i = 0; i < 5; i++) {
        char text[128];
        moe_layer layer;
        fixture_kernel kernel;
        moe_workload inputs;
        route_case r;
        int64_t tokens = i == 0 ? 1000 : 100;
        snprintf(text, sizeof text, "d=1024 f=8 e=128 k=8 x=%s router=%s bias=router", dtypes[i],
                 rules[i % 3]);
        route_build(&f, text, tokens, "", &layer, &kernel);
        CHECK(moe_workload_init(&inputs, &layer, tokens, MOE_ROUTING_UNIFORM, 3,
                                MOE_MAKE_X | MOE_MAKE_ROUTER));
        moe_host_layer host = moe_workload_host(&inputs);
        double *logits = route_room((size_t)(tokens * layer.e), sizeof *logits);
        CHECK(moe_ref_logits(&layer, tokens, &host, logits));
        route_case_make(&r, &kernel, &layer, tokens);
        r.x = inputs.x, r.router_weight = inputs.router_weight, r.router_bias = inputs.router_bias;
        route_case_run(&f, &r);
        route_case_judge(&r, logits, moe_logit_tolerance(&layer));
        route_case_free(&r);
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
        route_case r[3];
        moe_layer layer;
        for (int i = 0; i < 3; i++) {
            fixture f;
            fixture_kernel kernel;
            moe_workload inputs;
            fixture_open(&f, devices[i]);
            route_build(&f, "d=520 f=8 e=32 k=4 router=softmax>topk", TOKENS, configs[c], &layer,
                  &kernel);
            CHECK(moe_workload_init(&inputs, &layer, TOKENS, MOE_ROUTING_UNIFORM, 4,
                                    MOE_MAKE_X | MOE_MAKE_ROUTER));
            route_case_make(&r[i], &kernel, &layer, TOKENS);
            r[i].x = inputs.x, r[i].router_weight = inputs.router_weight;
            route_case_run(&f, &r[i]);
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
        for (int i = 0; i < 3; i++) route_case_free(&r[i]);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(given_logits_of_every_kind),
        cmocka_unit_test(random_inputs_of_every_dtype),
        cmocka_unit_test(schedules_do_not_matter),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
