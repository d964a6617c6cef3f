/* label: unit
 * What a tune plans to spend on a GPU: a layer's whole range of token counts takes ten minutes, and
 * no op is starved in it. Arithmetic on the facts of a real board; nothing runs. */
#include "core/pipeline.h"
#include "tune/tune_plan.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static const char h100[] =
    "sm_90a \"NVIDIA H100 80GB HBM3\" sm=90 sms=132 smem=232448 smem_sm=233472 regs_sm=65536 "
    "threads_sm=2048 blocks_sm=32 l2=52428800 memory=85520809984 clock=1980 bandwidth=3352 "
    "tensor_rate=4096";
static const int64_t range[] = {1,   2,   4,    8,    16,   32,   64,   128,
                                256, 512, 1024, 2048, 4096, 8192, 16384};
static const char *const layers[] = {
    "d=2048 f=768 e=128 k=8", "d=4096 f=14336 e=8 k=2", "d=2048 f=512 e=512 k=10",
    "d=7168 f=2048 e=32 k=8",
};

enum { COUNTS = sizeof range / sizeof *range, MOST = COUNTS * MOE_OP_COUNT };
static const double BUDGET = 600, LAYERS = 0.12; /* s; share of whole layers */

typedef struct plans {
    moe_op_result op[MOST];
    moe_op_plan plan[MOST];
    int64_t count;
    double ops, layers; /* seconds */
} plans;

/* Ops of the fused kernels only where they serve: up to 256 rows. */
static void plan(const moe_tuner *tuner, const char *text, double budget, plans *out) {
    moe_layer layer;
    *out = (plans){0};
    assert_int_equal(moe_layer_parse(text, &layer), MOE_OK);
    for (int t = 0; t < COUNTS; t++) {
        const moe_layer_result whole = {.layer = layer, .t = range[t]};
        out->layers += moe_layer_plan_seconds(tuner, &whole);
        for (int kind = 0; kind < MOE_OP_COUNT; kind++)
            if (moe_pipeline_wants(&layer, (moe_op_kind)kind) &&
                (kind != MOE_OP_experts || range[t] * layer.k <= 256))
                out->op[out->count++].op = moe_op_make((moe_op_kind)kind, &layer, range[t],
                                                       MOE_ROUTING_UNIFORM, MOE_CACHE_COLD);
    }
    moe_tune_plan(tuner, out->op, out->count, budget, out->plan);
    for (int64_t i = 0; i < out->count; i++) out->ops += moe_op_plan_seconds(&out->plan[i]);
}

static void a_whole_range_takes_ten_minutes(void **state) {
    (void)state;
    static plans p;
    moe_facts facts;
    assert_int_equal(moe_facts_parse(h100, &facts), MOE_OK);
    const moe_tuner tuner = {.facts = &facts, .limit = 400, .workers = 16};
    for (size_t i = 0; i < sizeof layers / sizeof *layers; i++) {
        plan(&tuner, layers[i], BUDGET * (1 - LAYERS), &p);
        print_message("%s: %.0f s for ops, %.0f s for layers\n", layers[i], p.ops, p.layers);
        if (p.ops > BUDGET * (1 - LAYERS) || p.layers > BUDGET * LAYERS)
            fail_msg("%s: %.0f s for ops, %.0f s for layers", layers[i], p.ops, p.layers);
        for (int64_t o = 0; o < p.count; o++) {
            int64_t least = p.op[o].op.kind == MOE_OP_combine ? 8 : 12;
            if (p.plan[o].limit < least)
                fail_msg("%s: %lld candidates of %s t=%lld", layers[i],
                         (long long)p.plan[o].limit, moe_op_names[p.op[o].op.kind],
                         (long long)p.op[o].op.t);
        }
    }
}

/* More time goes into candidates; what is fixed stays. */
static void limits_follow_the_budget(void **state) {
    (void)state;
    static plans small, large;
    moe_facts facts;
    assert_int_equal(moe_facts_parse(h100, &facts), MOE_OK);
    const moe_tuner tuner = {.facts = &facts, .limit = 400, .workers = 16};
    plan(&tuner, layers[0], 300, &small);
    plan(&tuner, layers[0], 900, &large);
    assert_true(small.ops <= 300 && large.ops <= 900);
    for (int64_t i = 0; i < small.count; i++) {
        assert_true(small.plan[i].setup == large.plan[i].setup);
        assert_true(small.plan[i].limit <= large.plan[i].limit && large.plan[i].limit <= 400);
    }
    const moe_tuner few = {.facts = &facts, .limit = 3, .workers = 16};
    plan(&few, layers[0], 300, &small);
    for (int64_t i = 0; i < small.count; i++) assert_int_equal(small.plan[i].limit, 3);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_whole_range_takes_ten_minutes),
        cmocka_unit_test(limits_follow_the_budget),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
