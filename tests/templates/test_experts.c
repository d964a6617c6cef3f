/* label: sim
 * test_experts.c - the fused kernel behind the router on the simulated H100: defaults and random
 * configs on awkward shapes, other orders of warps and blocks, and the same bits in every run.
 * MOE_SWEEP=N checks N configs instead of a few, and more orders. */
#include "fixture.h"
#include "judge/op_case.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { SEEDS = 1, SWEEP_SEEDS = 20 };

typedef struct shape {
    const char *layer;
    int64_t tokens;
    moe_routing routing;
} shape;

static const shape shapes[] = {
    {"d=64 f=176 e=8 k=1", 1, MOE_ROUTING_UNIFORM},
    {"d=136 f=192 e=40 k=2 act=geglu bias=up,down", 7, MOE_ROUTING_UNIFORM},
    {"d=72 f=88 e=8 k=2 x=f16 act=gelu bias=up", 64, MOE_ROUTING_ZIPF},
    {"d=264 f=80 e=257 k=8", 16, MOE_ROUTING_UNIFORM},
    {"d=200 f=352 e=4 k=2 act=swiglu_clamp(7,1.702)", 33, MOE_ROUTING_ONE},
    {"d=64 f=64 e=128 k=8", 32, MOE_ROUTING_EMPTY},
    {"d=136 f=72 e=8 k=2 capacity=0.5 act=relu2", 64, MOE_ROUTING_UNIFORM},
    {"d=64 f=704 e=1 k=1", 64, MOE_ROUTING_UNIFORM},
};
enum { SHAPES = sizeof shapes / sizeof *shapes };

static moe_op op_of(const shape *each) {
    moe_layer layer;
    CHECK(moe_layer_parse(each->layer, &layer));
    return moe_op_make(MOE_OP_experts, &layer, each->tokens, each->routing, MOE_CACHE_COLD);
}

static void compile(fixture *f, const shape *each, const char *config, fixture_kernel *out) {
    const moe_op op = op_of(each);
    fixture_compile(f, "experts", &op, moe_device_facts(f->device), config, out);
    assert_int_equal(out->compiled.image.launch.kernel[0].spills, 0);
}

/* Judged by the reference, run twice. */
static void judge(fixture *f, const shape *each, const fixture_kernel *kernel) {
    const moe_op op = op_of(each);
    moe_op_case *c;
    moe_trial *trial;
    moe_verdict verdict;
    double ns;
    CHECK(moe_op_case_open(f->device, &op, 11, &c));
    CHECK(moe_trial_open(c, &kernel->compiled.image, &trial));
    for (int run = 0; run < 2; run++) {
        moe_status status = moe_trial_verify(trial, &verdict, &ns);
        if (status || !verdict.ok)
            fail_msg("%s: %s", kernel->what, status ? moe_error_text() : verdict.text);
    }
    moe_trial_close(trial);
    moe_op_case_close(c);
}

/* `config` "" is the default. */
static void check(fixture *f, const shape *each, const char *config) {
    fixture_kernel kernel;
    compile(f, each, config, &kernel);
    judge(f, each, &kernel);
    fixture_kernel_free(f, &kernel);
}

static void defaults_on_awkward_shapes(void **state) {
    fixture f;
    (void)state;
    fixture_open(&f, "sim:h100");
    for (int i = 0; i < SHAPES; i++) check(&f, &shapes[i], "");
    fixture_close(&f);
}

static void every_config(void **state) {
    const char *sweep = getenv("MOE_SWEEP");
    fixture f;
    (void)state;
    fixture_open(&f, "sim:h100");
    for (int i = 0, count = sweep ? atoi(sweep) : 3; i < count; i++) {
        static const int n[] = {8, 16, 32}, stages[] = {4, 6, 8, 10};
        char config[64];
        snprintf(config, sizeof config, "n=%d stages=%d", n[i % 3], stages[i / 3 % 4]);
        check(&f, &shapes[i * 5 % SHAPES], config);
    }
    fixture_close(&f);
}

static void any_order_of_warps_and_blocks(void **state) {
    static const struct {
        const shape *shape;
        const char *config;
    } kernels[] = {{&shapes[1], ""}, {&shapes[6], "stages=4"}};
    const int seeds = getenv("MOE_SWEEP") ? SWEEP_SEEDS : SEEDS;
    fixture own;
    (void)state;
    fixture_open(&own, "sim:h100");
    for (int i = 0; i < 2; i++) {
        fixture_kernel kernel;
        compile(&own, kernels[i].shape, kernels[i].config, &kernel);
        for (int seed = 1; seed <= seeds; seed++) {
            fixture f;
            char device[64];
            snprintf(device, sizeof device, "sim:h100,seed=%d", seed);
            fixture_open(&f, device);
            judge(&f, kernels[i].shape, &kernel);
            fixture_close(&f);
        }
        fixture_kernel_free(&own, &kernel);
    }
    fixture_close(&own);
}

static void more_slots_are_refused(void **state) {
    char reason[256];
    moe_layer layer;
    fixture f;
    (void)state;
    fixture_open(&f, "sim:h100");
    CHECK(moe_layer_parse("d=64 f=64 e=8 k=2", &layer));
    const moe_template *t = moe_gen_find(f.gen, "experts");
    for (int64_t tokens = 128; tokens <= 129; tokens++) {
        moe_op op = moe_op_make(MOE_OP_experts, &layer, tokens, MOE_ROUTING_UNIFORM,
                                MOE_CACHE_COLD);
        bool serves = moe_template_serves(t, &op, moe_device_facts(f.device), reason,
                                          sizeof reason);
        assert_int_equal(serves, tokens == 128);
    }
    assert_non_null(strstr(reason, "at most 256 routed rows"));
    fixture_close(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_on_awkward_shapes),
        cmocka_unit_test(every_config),
        cmocka_unit_test(any_order_of_warps_and_blocks),
        cmocka_unit_test(more_slots_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
