/* label: sim
 * test_route_sm90.c - the router of sm_90a on the simulated H100: sizes, configs, rules, sums,
 * other orders of warps. MOE_SWEEP=N takes N random configs instead of a few, and more orders. */
#include "gemm_sweep.h"
#include "route_case.h"
#include "workload.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define TEMPLATE "route_sm90"
enum { SWEEP = 3, SEEDS = 1, SWEEP_SEEDS = 20, ROOM = 192 };

/* Routes integers, without spills and with wgmma that overlaps. */
static void check_integers(fixture *f, const char *text, const char *config, int64_t built,
                           const int64_t *tokens, int count) {
    moe_layer layer;
    fixture_kernel kernel;
    route_build_by(f, TEMPLATE, text, built, config, &layer, &kernel);
    /* ptxas says so where it must wait for wgmma. */
    if (kernel.compiled.image.launch.kernel[0].spills || strstr(kernel.compiled.log, "wgmma"))
        fail_msg("%s: %s", kernel.what, kernel.compiled.log);
    for (int i = 0; i < count; i++) route_check_integers(f, &kernel, &layer, tokens[i]);
    fixture_kernel_free(f, &kernel);
}

/* Defaults for few and for many tokens, at some of both. */
static void defaults_of_every_size(void **state) {
    static const char *const layers[] = {
        "d=136 f=8 e=8 k=2", "d=200 f=8 e=32 k=4 x=f16", "d=136 f=8 e=60 k=4 bias=router",
        "d=136 f=8 e=64 k=6 router=softmax>topk", "d=8 f=8 e=1 k=1", "d=72 f=8 e=160 k=6",
        "d=200 f=8 e=256 k=8", "d=72 f=8 e=257 k=8 bias=router", "d=72 f=8 e=512 k=10 x=f16",
        "d=72 f=8 e=896 k=1", "d=72 f=8 e=1024 k=16",
        "d=72 f=8 e=768 k=8 router_dtype=f32",
    };
    static const int64_t tokens[][2] = {{1, 64}, {7, 129}};
    fixture f;
    (void)state;
    fixture_open(&f, "sim:h100");
    for (int i = 0; i < (int)(sizeof layers / sizeof *layers); i++)
        check_integers(&f, layers[i], "", i % 2 ? 4096 : 1, tokens[i / 2 % 2], 2);
    fixture_close(&f);
}

/* Both operands tall, shared by warpgroups in both ways; blocks of a cluster that share weights, or
 * K; tokens, experts and K that end inside a tile. */
static void paths_in_company(void **state) {
    static const struct {
        const char *layer, *config;
    } cases[] = {
        {"d=328 f=8 e=60 k=4 bias=router",
         "bt=128 bk=64 stages=4 wgs=2 tall=1 cluster=4 split=1 blocks=1"},
        {"d=136 f=8 e=160 k=4", "bt=128 bk=64 stages=3 wgs=2 tall=1 cluster=2 split=0 blocks=1"},
        {"d=136 f=8 e=300 k=4", "bt=64 bk=64 stages=2 wgs=2 tall=1 cluster=2 split=1 blocks=1"},
        {"d=328 f=8 e=40 k=4", "bt=192 bk=32 stages=3 wgs=2 tall=1 cluster=1 split=0 blocks=1"},
        {"d=1048 f=8 e=130 k=4", "bt=16 bk=64 stages=5 wgs=2 tall=0 cluster=16 split=1 blocks=1"},
        {"d=328 f=8 e=128 k=6 router_dtype=f32",
         "bt=64 bk=64 stages=2 wgs=2 tall=0 cluster=2 split=0 blocks=1"},
        {"d=200 f=8 e=60 k=4 bias=router router_dtype=f32",
         "bt=32 bk=32 stages=3 wgs=2 tall=0 cluster=2 split=1 blocks=2"},
        {"d=136 f=8 e=200 k=4 x=f16 bias=router",
         "bt=32 bk=32 stages=3 wgs=2 tall=0 cluster=4 split=0 blocks=2"},
    };
    static const int64_t tokens[] = {133};
    fixture f;
    (void)state;
    fixture_open(&f, "sim:h100");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        check_integers(&f, cases[i].layer, cases[i].config, tokens[0], tokens, 1);
    fixture_close(&f);
}

static void configs_from_all_over_the_space(void **state) {
    static const char *const layers[] = {"d=200 f=8 e=60 k=4", "d=136 f=8 e=256 k=8 bias=router",
                                         "d=264 f=8 e=8 k=2", "d=72 f=8 e=384 k=6 x=f16",
                                         "d=520 f=8 e=160 k=6", "d=136 f=8 e=1024 k=10",
                                         "d=200 f=8 e=257 k=6 router_dtype=f32"};
    static const int64_t tokens[] = {1, 150, 513, 64};
    enum { LAYERS = sizeof layers / sizeof *layers, TOKENS = sizeof tokens / sizeof *tokens };
    uint64_t random = gemm_sweep_start(0x9e3779b97f4a7c15);
    fixture f;
    (void)state;
    fixture_open(&f, "sim:h100");
    for (int i = 0, count = gemm_sweep_count(SWEEP); i < count; i++) {
        moe_layer layer;
        char config[MOE_CONFIG_TEXT_SIZE];
        CHECK(moe_layer_parse(layers[i % LAYERS], &layer));
        moe_op op = moe_op_make(MOE_OP_route, &layer, tokens[i % TOKENS], MOE_ROUTING_UNIFORM,
                                MOE_CACHE_COLD);
        gemm_sweep_pick(&f, TEMPLATE, &op, &random, config);
        check_integers(&f, layers[i % LAYERS], config, tokens[i % TOKENS], &tokens[i % TOKENS], 1);
    }
    fixture_close(&f);
}

/* Rules of every kind of score, key and weight, from given logits and from x. */
static void rules_from_every_source(void **state) {
    static const char *const layers[] = {
        "e=256 k=8 router=sigmoid+bias>groups(8,4,sum2)>topk>renorm>scale(2.5)",
        "e=60 k=4 router=softmax>groups(5,2,max)>topk>scale(16)",
        "e=64 k=6 router=sqrtsoftplus+bias>topk>renorm",
        "e=16 k=2 router=topk>sparsemixer(0.01)",
        "e=16 k=1 router=topk>sigmoid>input",
        "e=130 k=6 router=sigmoid+bias>topk>renorm>scale(2.5) router_dtype=f32",
    };
    fixture f;
    (void)state;
    fixture_open(&f, "sim:h100");
    for (int i = 0; i < (int)(sizeof layers / sizeof *layers); i++) {
        char text[ROOM];
        moe_layer layer;
        fixture_kernel kernel;
        snprintf(text, sizeof text, "d=72 f=8 %s", layers[i]);
        route_build_by(&f, TEMPLATE, text, i % 2 ? 1 : 4096, "", &layer, &kernel);
        for (int from = 0; from < ROUTE_SOURCES; from++)
            route_check_source(&f, &kernel, &layer, (route_source)from, 33);
        fixture_kernel_free(&f, &kernel);
    }
    fixture_close(&f);
}

enum { TOKENS = 70 };

/* Routes TOKENS tokens of random inputs; their logits are given where `given`. */
static void route_random(const char *device, const char *template, const char *config, bool given,
                         moe_layer *layer, route_case *out) {
    fixture f;
    fixture_kernel kernel;
    moe_workload inputs;
    fixture_open(&f, device);
    route_build_by(&f, template, "d=328 f=8 e=64 k=4 router=softmax>topk", TOKENS, config, layer,
                   &kernel);
    CHECK(moe_workload_init(&inputs, layer, TOKENS, MOE_ROUTING_UNIFORM, 4,
                            MOE_MAKE_X | MOE_MAKE_ROUTER | MOE_MAKE_LOGITS));
    route_case_make(out, &kernel, layer, TOKENS);
    if (given) out->logits = inputs.logits;
    else out->x = inputs.x, out->router_weight = inputs.router_weight;
    route_case_run(&f, out);
    moe_workload_free(&inputs);
    fixture_kernel_free(&f, &kernel);
    fixture_close(&f);
}

/* Two routings of TOKENS tokens are the same bits, sums and all. */
static void assert_alike(const moe_layer *layer, const route_case *a, const route_case *b) {
    size_t e = (size_t)layer->e, slots = (size_t)(TOKENS * layer->k);
    assert_memory_equal(a->ids, b->ids, slots * sizeof *a->ids);
    assert_memory_equal(a->weights, b->weights, slots * sizeof *a->weights);
    assert_memory_equal(a->counts, b->counts, e * sizeof *a->counts);
    assert_memory_equal(a->prob_sums, b->prob_sums, e * sizeof *a->prob_sums);
    assert_memory_equal(a->loss_sums, b->loss_sums, (3 * e + 2) * sizeof *a->loss_sums);
}

static const char *const clusters[] = {
    "bt=64 bk=64 stages=3 wgs=2 tall=1 cluster=2 split=0 blocks=1",
    "bt=16 bk=64 stages=3 wgs=1 tall=0 cluster=4 split=1 blocks=1",
};

static void sums_are_those_of_the_portable_template(void **state) {
    moe_layer layer;
    route_case portable, own;
    (void)state;
    route_random("sim:h100", "route", "", true, &layer, &portable);
    for (int c = 0; c < 2; c++) {
        route_random("sim:h100", TEMPLATE, clusters[c], true, &layer, &own);
        assert_alike(&layer, &portable, &own);
        route_case_free(&own);
    }
    route_case_free(&portable);
}

static void any_order_of_warps_and_blocks(void **state) {
    (void)state;
    for (int c = 0; c < 2; c++) {
        moe_layer layer;
        route_case first, other;
        route_random("sim:h100", TEMPLATE, clusters[c], false, &layer, &first);
        for (int seed = 1, n = getenv("MOE_SWEEP") ? SWEEP_SEEDS : SEEDS; seed <= n; seed++) {
            char device[64];
            snprintf(device, sizeof device, "sim:h100,seed=%d", seed);
            route_random(device, TEMPLATE, clusters[c], false, &layer, &other);
            assert_alike(&layer, &first, &other);
            route_case_free(&other);
        }
        route_case_free(&first);
    }
}

static void what_it_cannot_do_is_refused(void **state) {
    static const struct {
        const char *layer, *reason;
    } cases[] = {
        {"d=64 f=8 e=8 k=2 x=f32", "wgmma has no fp32 inputs"},
        {"d=64 f=8 e=8 k=2 x=f16 router_dtype=f32", "three f16 numbers"},
        {"d=64 f=8 e=1025 k=2", "at most 1024 experts"},
        {"d=64 f=8 e=769 k=2 router_dtype=f32", "at most 768 experts"},
        {"d=64 f=8 e=8 k=1 router=base", "no rule base"},
    };
    fixture f;
    (void)state;
    fixture_open(&f, "sim:h100");
    const moe_template *t = moe_gen_find(f.gen, TEMPLATE);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        moe_layer layer;
        char reason[256] = "";
        CHECK(moe_layer_parse(cases[i].layer, &layer));
        moe_op op = moe_op_make(MOE_OP_route, &layer, 64, MOE_ROUTING_UNIFORM, MOE_CACHE_COLD);
        assert_false(
            moe_template_serves(t, &op, moe_device_facts(f.device), reason, sizeof reason));
        if (!strstr(reason, cases[i].reason)) fail_msg("%s: %s", cases[i].layer, reason);
    }
    fixture_close(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_of_every_size),
        cmocka_unit_test(paths_in_company),
        cmocka_unit_test(configs_from_all_over_the_space),
        cmocka_unit_test(rules_from_every_source),
        cmocka_unit_test(sums_are_those_of_the_portable_template),
        cmocka_unit_test(any_order_of_warps_and_blocks),
        cmocka_unit_test(what_it_cannot_do_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
