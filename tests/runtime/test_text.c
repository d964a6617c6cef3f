/* label: unit - every text form reads back what it wrote, whatever it holds. */
#include "check.h"

#include "core/args.h"
#include "core/config.h"
#include "core/launch.h"
#include "core/layer.h"
#include "core/op.h"
#include "core/record.h"
#include "core/router.h"
#include "device/device.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ROUNDS = 2000 };

/* --------------------------------------------------------------------------------- random nouns */

static moe_router random_router(dice *d, int64_t e, int64_t k) {
    moe_router r = {.score = (moe_score)dice_between(d, 0, MOE_SCORE_COUNT - 1), .scale = 1};
    if (r.score) r.key_bias = dice_roll(d) % 2;
    else r.weigh = (moe_weigh)dice_between(d, 1, MOE_WEIGH_RELU - 1);
    if (r.weigh == MOE_WEIGH_SPARSEMIXER) r.jitter = (double)dice_between(d, 1, 1000) / 997;
    for (int64_t groups = 2; groups <= 32 && dice_roll(d) % 3 == 0; groups *= 2) {
        if (e % groups || e / groups < 2 || e / 2 < k) continue;
        r.groups = groups, r.groups_kept = dice_between(d, groups / 2, groups);
        r.group_rule = (moe_group_rule)dice_between(d, 0, MOE_GROUP_COUNT - 1);
        r.zero_fill = r.key_bias && dice_roll(d) % 2;
    }
    r.renorm = r.weigh != MOE_WEIGH_SOFTMAX && dice_roll(d) % 2;
    if (r.renorm)
        r.epsilon = dice_roll(d) % 2 ? moe_router_epsilon(r.score)
                                     : (double)dice_between(d, 1, 1000) / 1e9;
    if (dice_roll(d) % 2) r.scale = (double)dice_between(d, 1, 1000) / 7;
    r.input = dice_roll(d) % 2;
    if (dice_roll(d) % 2) r.jitter_input = (double)dice_between(d, 1, 996) / 997;
    r.jitter_experts = r.jitter_input && dice_roll(d) % 2;
    if (dice_roll(d) % 2) r.noise = (double)dice_between(d, 1, 1000) / 1e4;
    bool plain = !r.key_bias && !r.groups;
    if (plain && !r.noise && r.weigh != MOE_WEIGH_SPARSEMIXER)
        r.pick = (moe_pick)dice_between(d, 0, MOE_PICK_COUNT - 1);
    if (plain && !r.pick && r.score == MOE_SCORE_SOFTMAX && r.renorm && k == 2 && r.scale == 1 &&
        !r.input)
        r.second = (moe_second)dice_between(d, 0, MOE_SECOND_COUNT - 1);
    return r;
}

static bool same_router(const moe_router *a, const moe_router *b) {
    return a->score == b->score && a->key_bias == b->key_bias && a->groups == b->groups &&
           a->groups_kept == b->groups_kept && a->group_rule == b->group_rule &&
           a->zero_fill == b->zero_fill && a->weigh == b->weigh && a->jitter == b->jitter &&
           a->renorm == b->renorm && a->epsilon == b->epsilon && a->scale == b->scale &&
           a->input == b->input && a->jitter_input == b->jitter_input &&
           a->jitter_experts == b->jitter_experts && a->noise == b->noise && a->pick == b->pick &&
           a->second == b->second;
}

static moe_layer random_layer(dice *d) {
    moe_layer layer = {
        .size = sizeof layer,
        .d = 8 * dice_between(d, 1, 1 << 17),
        .f = 8 * dice_between(d, 1, 1 << 17),
        .e = dice_between(d, 1, 2048),
        .act = {(moe_act_kind)dice_between(d, 0, MOE_ACT_NONE - 1), 0, 0},
        .x = (moe_dtype)dice_between(d, 0, MOE_FLOATS - 1),
        .bias = (unsigned)dice_between(d, 0, 7),
    };
    layer.k = dice_between(d, 1, layer.e < 32 ? layer.e : 32);
    layer.router = random_router(d, layer.e, layer.k);
    if (layer.router.key_bias) layer.bias &= ~(unsigned)MOE_BIAS_ROUTER;
    layer.w = layer.x;
    if (layer.act.kind == MOE_ACT_SWIGLU_CLAMP) {
        layer.act.limit = (double)dice_between(d, 1, 1000) / 7;
        layer.act.alpha = (double)dice_between(d, 1, 1000) / 3;
    }
    if (dice_roll(d) % 2) {
        layer.capacity.factor = (double)dice_between(d, 1, 1 << 20) / 997;
        layer.capacity.rule = (moe_capacity_rule)dice_between(d, 0, MOE_CAPACITY_COUNT - 1);
        layer.capacity.least = dice_between(d, 0, 9);
        layer.priority = (moe_priority)dice_between(d, 0, MOE_PRIORITY_COUNT - 1);
        layer.drop = (moe_drop)dice_between(d, 0, layer.router.input ? 0 : MOE_DROP_COUNT - 1);
    }
    return layer;
}

static moe_op random_op(dice *d) {
    moe_layer layer = random_layer(d);
    moe_op_kind kind = (moe_op_kind)dice_between(d, 0, MOE_OP_COUNT - 1);
    if (kind == MOE_OP_neurons) layer.act = (moe_act){MOE_ACT_NONE, 0, 0}; /* they have no gate */
    return moe_op_make(kind, &layer,
                       dice_between(d, 0, INT32_MAX),
                       (moe_routing)dice_between(d, 0, MOE_ROUTING_COUNT - 1),
                       (moe_cache)dice_between(d, 0, MOE_CACHE_COUNT - 1));
}

static moe_config random_config(dice *d) {
    moe_config config = {.count = dice_between(d, 0, MOE_MAX_PARAMS)};
    for (int64_t i = 0; i < config.count; i++) {
        snprintf(config.param[i].name, MOE_PARAM_NAME_SIZE, "p%d_%s", (int)i % 100,
                 i % 2 ? "stages" : "x");
        config.param[i].value = (int64_t)dice_roll(d) >> dice_between(d, 0, 63);
    }
    return config;
}

static moe_measurement random_measurement(dice *d) {
    return (moe_measurement){
        .outcome = (moe_outcome)dice_between(d, 0, MOE_OUTCOME_COUNT - 1),
        .n = dice_between(d, 0, INT32_MAX), .med = fabs(dice_real(d)), .mad = fabs(dice_real(d)),
        .err = dice_roll(d) % 16 ? fabs(dice_real(d)) : INFINITY,
        .timer = (moe_timer)dice_between(d, 0, MOE_TIMER_COUNT - 1),
    };
}

static moe_provenance random_provenance(dice *d) {
    moe_provenance p = {.is_default = dice_between(d, 0, 1), .clock = dice_between(d, 0, 1 << 20)};
    if (dice_roll(d) % 4) dice_word(d, p.driver, sizeof p.driver);
    if (dice_roll(d) % 4) dice_word(d, p.toolkit, sizeof p.toolkit);
    if (dice_roll(d) % 4) dice_word(d, p.commit, sizeof p.commit);
    if (dice_roll(d) % 4) dice_word(d, p.date, sizeof p.date);
    return p;
}

static void random_template(dice *d, char *out) {
    snprintf(out, MOE_TEMPLATE_ID_SIZE, "template_%lld@%08llx", (long long)dice_between(d, 0, 99),
             (unsigned long long)dice_roll(d) & 0xffffffffu);
}

static moe_grid random_grid(dice *d) {
    return (moe_grid){(moe_grid_rule)dice_between(d, 0, MOE_GRID_COUNT - 1),
                      dice_between(d, 1, 1 << 20), dice_between(d, 1, 3)};
}

static moe_launch random_launch(dice *d) {
    moe_launch launch = {
        .kernels = dice_between(d, 1, MOE_MAX_KERNELS), .align = dice_between(d, 1, 1 << 16),
        .scratch_fixed = dice_between(d, 0, INT64_C(1) << 40),
        .scratch_token = dice_between(d, 0, 1 << 20), .scratch_block = dice_between(d, 0, 1 << 20),
        .deterministic = dice_between(d, 0, 1),
    };
    for (int64_t i = 0; i < launch.kernels; i++) {
        moe_kernel *kernel = &launch.kernel[i];
        *kernel = (moe_kernel){
            .grid = random_grid(d), .block = dice_between(d, 1, 1024),
            .cluster = dice_between(d, 1, 16), .smem = dice_between(d, 0, 1 << 20),
            .regs = dice_between(d, 0, 255), .spills = dice_between(d, 0, 1 << 20),
            .static_smem = dice_between(d, 0, 1 << 16),
        };
        snprintf(kernel->symbol, sizeof kernel->symbol, "moe_align_%llx",
                 (unsigned long long)dice_roll(d));
    }
    return launch;
}

/* ---------------------------------------------------------------------------------- round trips */

static void test_layers(void **unused) {
    (void)unused;
    dice d = {1};
    for (int i = 0; i < ROUNDS; i++) {
        moe_layer layer = random_layer(&d), back;
        char text[MOE_LAYER_TEXT_SIZE], again[MOE_LAYER_TEXT_SIZE];
        CHECK(moe_layer_print(&layer, text, sizeof text));
        CHECK(moe_layer_parse(text, &back));
        CHECK(moe_layer_print(&back, again, sizeof again));
        assert_string_equal(text, again);
        assert_true(
            back.d == layer.d && back.f == layer.f && back.e == layer.e && back.k == layer.k &&
            back.act.kind == layer.act.kind && back.act.limit == layer.act.limit &&
            back.act.alpha == layer.act.alpha && back.x == layer.x && back.w == layer.w &&
            same_router(&back.router, &layer.router) &&
            back.capacity.factor == layer.capacity.factor &&
            back.capacity.rule == layer.capacity.rule &&
            back.capacity.least == layer.capacity.least && back.priority == layer.priority &&
            back.drop == layer.drop && back.bias == layer.bias);
    }
}

static void test_layer_forms(void **unused) {
    (void)unused;
    moe_layer layer;
    char text[256];
    CHECK(moe_layer_parse("k=8 e=32 x=f16 f=512 d=1024", &layer));
    CHECK(moe_layer_print(&layer, text, sizeof text));
    assert_string_equal(text, "d=1024 f=512 e=32 k=8 act=swiglu x=f16 w=f16 "
                              "router=softmax>topk>renorm capacity=none bias=none");
    CHECK_FAILS(moe_layer_print(&layer, text, 20), MOE_E_INVALID, "20 bytes");
    assert_int_equal(moe_layer_capacity(&layer, 100), 800);
    layer.capacity.factor = 1.25;
    assert_int_equal(moe_layer_capacity(&layer, 100), 32); /* ceil(800 * 1.25 / 32) = 31.25 up */
    layer.capacity.factor = 1e6;
    assert_int_equal(moe_layer_capacity(&layer, 100), 800);
}

static void test_ops(void **unused) {
    (void)unused;
    dice d = {2};
    for (int i = 0; i < ROUNDS; i++) {
        moe_op op = random_op(&d), back;
        char text[MOE_OP_TEXT_SIZE], again[MOE_OP_TEXT_SIZE];
        moe_op_print(&op, text, sizeof text);
        CHECK(moe_op_parse(text, &back));
        moe_op_print(&back, again, sizeof again);
        assert_string_equal(text, again);
        assert_true(moe_op_equal(&op, &back));
        assert_true(op.kind == back.kind && op.t == back.t && op.routing == back.routing);
    }
}

static void test_configs(void **unused) {
    (void)unused;
    dice d = {3};
    for (int i = 0; i < ROUNDS; i++) {
        moe_config config = random_config(&d), back;
        char text[MOE_CONFIG_TEXT_SIZE + 512];
        moe_config_print(&config, text, sizeof text);
        CHECK(moe_config_parse(text, &back));
        assert_memory_equal(&config, &back, sizeof config);
        for (int64_t j = 0; j < config.count; j++)
            assert_int_equal(moe_config_get(&back, config.param[j].name, -1),
                             config.param[j].value);
    }
}

static void test_launches(void **unused) {
    (void)unused;
    dice d = {4};
    for (int i = 0; i < ROUNDS; i++) {
        moe_launch launch = random_launch(&d), back;
        char text[2048], again[2048];
        moe_launch_print(&launch, text, sizeof text);
        CHECK(moe_launch_parse(text, &back));
        moe_launch_print(&back, again, sizeof again);
        assert_string_equal(text, again); /* bytes between fields may differ */
        assert_int_equal(launch.kernels, back.kernels);
    }
}

static void test_measurements(void **unused) {
    (void)unused;
    dice d = {5};
    for (int i = 0; i < ROUNDS; i++) {
        moe_measurement measurement = random_measurement(&d), back;
        char text[MOE_MEASUREMENT_TEXT_SIZE];
        moe_measurement_print(&measurement, text, sizeof text);
        CHECK(moe_measurement_parse(text, &back));
        assert_true(measurement.outcome == back.outcome && measurement.n == back.n &&
                    measurement.med == back.med && measurement.mad == back.mad &&
                    measurement.err == back.err && measurement.timer == back.timer);
    }
}

static void test_facts(void **unused) {
    (void)unused;
    dice d = {6};
    for (int i = 0; i < ROUNDS; i++) {
        moe_facts facts =
                      {
                          .sm = dice_between(&d, 80, 130),
                          .sms = dice_between(&d, 1, 200),
                          .smem = dice_between(&d, 1, 1 << 20),
                          .smem_sm = dice_between(&d, 1, 1 << 20),
                          .regs_sm = 65536,
                          .threads_sm = dice_between(&d, 1, 2048),
                          .blocks_sm = 32,
                          .l2 = dice_between(&d, 0, INT64_C(1) << 40),
                          .memory = dice_between(&d, 0, INT64_MAX - 1),
                          .clock = dice_between(&d, 0, 3000),
                          .bandwidth = dice_between(&d, 0, 10000),
                          .tensor_rate = dice_between(&d, 1, 10000),
                          .simulated = dice_between(&d, 0, 1),
                      },
                  back;
        snprintf(facts.arch, sizeof facts.arch, "sm_%lld%s", (long long)facts.sm, i % 2 ? "a" : "");
        snprintf(facts.name, sizeof facts.name, "NVIDIA  H%lld (80 GB)",
                 (long long)dice_between(&d, 0, 999));
        char text[512];
        moe_facts_print(&facts, text, sizeof text);
        CHECK(moe_facts_parse(text, &back));
        assert_memory_equal(&facts, &back, sizeof facts);
    }
}

static void test_records(void **unused) {
    (void)unused;
    dice d = {7};
    for (int i = 0; i < ROUNDS; i++) {
        moe_record record = {
            .op = random_op(&d), .config = random_config(&d),
            .measurement = random_measurement(&d), .provenance = random_provenance(&d),
        }, back;
        random_template(&d, record.template_id);
        char line[MOE_RECORD_TEXT_SIZE], again[MOE_RECORD_TEXT_SIZE];
        moe_record_print(&record, line, sizeof line);
        CHECK(moe_record_parse(line, &back));
        moe_record_print(&back, again, sizeof again);
        assert_string_equal(line, again);
        assert_true(moe_op_equal(&record.op, &back.op));
        assert_memory_equal(&record.provenance, &back.provenance, sizeof back.provenance);
        assert_memory_equal(&record.config, &back.config, sizeof back.config);
    }
}

static void test_choices(void **unused) {
    (void)unused;
    dice d = {8};
    for (int i = 0; i < ROUNDS; i++) {
        moe_choice choice = {
            .layer = random_layer(&d), .t = dice_between(&d, 0, INT32_MAX),
            .routing = (moe_routing)dice_between(&d, 0, MOE_ROUTING_COUNT - 1),
            .cache = (moe_cache)dice_between(&d, 0, 1),
            .steps = dice_between(&d, 1, MOE_PIPELINE_STEPS),
            .measurement = random_measurement(&d), .provenance = random_provenance(&d),
        }, back;
        for (int64_t j = 0; j < choice.steps; j++) {
            choice.step[j].kind = (moe_op_kind)(j % MOE_OP_COUNT);
            choice.step[j].config = random_config(&d);
            random_template(&d, choice.step[j].template_id);
        }
        char line[MOE_CHOICE_TEXT_SIZE], again[MOE_CHOICE_TEXT_SIZE];
        moe_choice_print(&choice, line, sizeof line);
        CHECK(moe_choice_parse(line, &back));
        moe_choice_print(&back, again, sizeof again);
        assert_string_equal(line, again);
        assert_memory_equal(&choice.step, &back.step, sizeof back.step);
        assert_int_equal(choice.t, back.t);
    }
}

/* Damaged lines are refused or read as something that prints and reads back; nothing else happens.
 */
static void test_damaged(void **unused) {
    (void)unused;
    static const char letters[] = "=|;@ ,()0123456789abcdefghijklmnopqrstuvwxyz.-_>\"\n\377";
    dice d = {9};
    for (int i = 0; i < 4 * ROUNDS; i++) {
        moe_record record = {.op = random_op(&d), .config = random_config(&d),
                             .measurement = random_measurement(&d),
                             .provenance = random_provenance(&d)}, back;
        char line[MOE_RECORD_TEXT_SIZE], again[MOE_RECORD_TEXT_SIZE];
        random_template(&d, record.template_id);
        moe_record_print(&record, line, sizeof line);
        size_t length = strlen(line);
        for (int64_t n = dice_between(&d, 1, 3); n > 0; n--)
            line[dice_between(&d, 0, (int64_t)length - 1)] =
                letters[dice_roll(&d) % (sizeof letters - 1)];
        if (i % 5 == 0) line[dice_between(&d, 0, (int64_t)length - 1)] = '\0';
        if (moe_record_parse(line, &back)) continue;
        moe_record_print(&back, again, sizeof again);
        CHECK(moe_record_parse(again, &back));
        moe_record_print(&back, line, sizeof line);
        assert_string_equal(line, again);
    }
}

/* A key is a whole word's, and its value ends with the word. */
static void test_values(void **unused) {
    (void)unused;
    const struct {
        const char *text, *key, *value;
        bool there;
    } table[] = {
        {"w=f32 x=bf16", "w", "f32", true},      {"row=7 x=bf16", "w", "", false},
        {"rw=7 w=f16", "w", "f16", true},        {"capacity=1.25,switch k=2", "capacity",
                                                  "1.25,switch", true},
        {"min_capacity=4", "capacity", "", false}, {"w", "w", "", false},
        {"", "w", "", false},                    {"w= x=1", "w", "", true},
    };
    char value[32];
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        moe_text_value(table[i].text, table[i].key, value, sizeof value);
        assert_string_equal(value, table[i].value);
        assert_int_equal(moe_text_has_key(table[i].text, table[i].key), table[i].there);
    }
    moe_text_value("w=bfloat16", "w", value, 5);
    assert_string_equal(value, "bflo");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_layers),
        cmocka_unit_test(test_layer_forms),
        cmocka_unit_test(test_ops),
        cmocka_unit_test(test_configs),
        cmocka_unit_test(test_launches),
        cmocka_unit_test(test_measurements),
        cmocka_unit_test(test_facts),
        cmocka_unit_test(test_records),
        cmocka_unit_test(test_choices),
        cmocka_unit_test(test_damaged),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
