/* label: unit - every text form reads back what it wrote, and says what is wrong with what it
 * cannot read. */
#include "check.h"

#include "args.h"
#include "config.h"
#include "device.h"
#include "launch.h"
#include "layer.h"
#include "op.h"
#include "record.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ROUNDS = 2000 };

/* --------------------------------------------------------------------------------- random nouns */

static moe_layer random_layer(dice *d) {
    moe_layer layer = {
        .d = 8 * dice_between(d, 1, 1 << 17), .f = 8 * dice_between(d, 1, 1 << 17),
        .e = dice_between(d, 1, 2048),
        .act = {(moe_act_kind)dice_between(d, 0, MOE_ACT_COUNT - 1), 0, 0},
        .x = (moe_dtype)dice_between(d, 0, MOE_DTYPE_COUNT - 1),
        .router = (moe_router)dice_between(d, 0, MOE_ROUTER_COUNT - 1),
        .bias = (unsigned)dice_between(d, 0, 7),
    };
    layer.k = dice_between(d, 1, layer.e < 32 ? layer.e : 32);
    layer.w = layer.x;
    if (layer.act.kind == MOE_ACT_SWIGLU_CLAMP) {
        layer.act.limit = (double)dice_between(d, 1, 1000) / 7;
        layer.act.alpha = (double)dice_between(d, 1, 1000) / 3;
    }
    if (dice_roll(d) % 2) layer.capacity = (double)dice_between(d, 1, 1 << 20) / 997;
    return layer;
}

static moe_op random_op(dice *d) {
    moe_layer layer = random_layer(d);
    return moe_op_make((moe_op_kind)dice_between(d, 0, MOE_OP_COUNT - 1), &layer,
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
        char text[256], again[256];
        CHECK(moe_layer_print(&layer, text, sizeof text));
        CHECK(moe_layer_parse(text, &back));
        CHECK(moe_layer_print(&back, again, sizeof again));
        assert_string_equal(text, again);
        assert_true(back.d == layer.d && back.f == layer.f && back.e == layer.e &&
                    back.k == layer.k && back.act.kind == layer.act.kind &&
                    back.act.limit == layer.act.limit && back.act.alpha == layer.act.alpha &&
                    back.x == layer.x && back.w == layer.w && back.router == layer.router &&
                    back.capacity == layer.capacity && back.bias == layer.bias);
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
    layer.capacity = 1.25;
    assert_int_equal(moe_layer_capacity(&layer, 100), 32); /* ceil(800 * 1.25 / 32) = 31.25 up */
    layer.capacity = 1e6;
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
        char text[2048];
        moe_launch_print(&launch, text, sizeof text);
        CHECK(moe_launch_parse(text, &back));
        assert_memory_equal(&launch, &back, sizeof launch);
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
            .cache = (moe_cache)dice_between(&d, 0, 1), .steps = dice_between(&d, 1, MOE_OP_COUNT),
            .measurement = random_measurement(&d), .provenance = random_provenance(&d),
        }, back;
        for (int64_t j = 0; j < choice.steps; j++) {
            choice.step[j].kind = (moe_op_kind)j;
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

/* ------------------------------------------------------------------------------- malformed text */

typedef struct bad {
    const char *text;
    moe_status status;
    const char *message;
} bad;

static moe_status parse_layer(const char *text) {
    moe_layer out;
    return moe_layer_parse(text, &out);
}
static moe_status parse_op(const char *text) {
    moe_op out;
    return moe_op_parse(text, &out);
}
static moe_status parse_config(const char *text) {
    moe_config out;
    return moe_config_parse(text, &out);
}
static moe_status parse_launch(const char *text) {
    moe_launch out;
    return moe_launch_parse(text, &out);
}
static moe_status parse_measurement(const char *text) {
    moe_measurement out;
    return moe_measurement_parse(text, &out);
}
static moe_status parse_facts(const char *text) {
    moe_facts out;
    return moe_facts_parse(text, &out);
}
static moe_status parse_record(const char *text) {
    static moe_record out;
    return moe_record_parse(text, &out);
}
static moe_status parse_choice(const char *text) {
    static moe_choice out;
    return moe_choice_parse(text, &out);
}

static void all_bad(moe_status (*parse)(const char *), const bad *table, size_t count) {
    for (size_t i = 0; i < count; i++)
        CHECK_FAILS(parse(table[i].text), table[i].status, table[i].message);
}
#define ALL_BAD(parse, table) all_bad(parse, table, sizeof(table) / sizeof((table)[0]))

static void test_bad_layers(void **unused) {
    (void)unused;
    const bad table[] = {
        {"", MOE_E_PARSE, "'d=' is missing"},
        {"d=64 f=64 e=8", MOE_E_PARSE, "'k=' is missing"},
        {"d=64 f=64 e=8 k=2 d=64", MOE_E_PARSE, "'d' comes twice"},
        {"d=64 f=64 e=8 k=2 depth=3", MOE_E_PARSE, "known keys: d f e k act"},
        {"d=64 f=64 e=8 k", MOE_E_PARSE, "'k' is not key=value"},
        {"d=sixty f=64 e=8 k=2", MOE_E_PARSE, "d: 'sixty' is not a whole number"},
        {"d=64.0 f=64 e=8 k=2", MOE_E_PARSE, "whole number"},
        {"d=99999999999999999999 f=64 e=8 k=2", MOE_E_PARSE, "whole number"},
        {"d=0 f=64 e=8 k=2", MOE_E_INVALID, "0 is not in 8.."},
        {"d=-8 f=64 e=8 k=2", MOE_E_INVALID, "-8 is not in 8.."},
        {"d=2097152 f=64 e=8 k=2", MOE_E_INVALID, "is not in 8..1048576"},
        {"d=60 f=64 e=8 k=2", MOE_E_UNSUPPORTED, "multiples of 8; pad the weights"},
        {"d=64 f=64 e=8 k=9", MOE_E_INVALID, "k=9 is more than e=8"},
        {"d=64 f=64 e=4096 k=2", MOE_E_INVALID, "not in 1..2048"},
        {"d=64 f=64 e=64 k=33", MOE_E_INVALID, "not in 1..32"},
        {"d=64 f=64 e=8 k=2 act=tanh", MOE_E_PARSE, "use one of: relu, relu2"},
        {"d=64 f=64 e=8 k=2 act=swiglu_clamp", MOE_E_PARSE, "swiglu_clamp(7,1.702)"},
        {"d=64 f=64 e=8 k=2 act=swiglu_clamp(7)", MOE_E_PARSE, "swiglu_clamp(7,1.702)"},
        {"d=64 f=64 e=8 k=2 act=swiglu_clamp(-7,1)", MOE_E_PARSE, "swiglu_clamp(7,1.702)"},
        {"d=64 f=64 e=8 k=2 act=swiglu_clamp(7,1)x", MOE_E_PARSE, "swiglu_clamp(7,1.702)"},
        {"d=64 f=64 e=8 k=2 x=fp8", MOE_E_PARSE, "use one of: bf16, f16, f32"},
        {"d=64 f=64 e=8 k=2 x=bf16 w=f32", MOE_E_UNSUPPORTED, "must be the same dtype"},
        {"d=64 f=64 e=8 k=2 router=topk", MOE_E_PARSE, "use one of: softmax>topk>renorm"},
        {"d=64 f=64 e=8 k=2 capacity=0", MOE_E_INVALID, "'none' or a factor above 0"},
        {"d=64 f=64 e=8 k=2 capacity=-1", MOE_E_INVALID, "'none' or a factor above 0"},
        {"d=64 f=64 e=8 k=2 capacity=nan", MOE_E_PARSE, "not a number"},
        {"d=64 f=64 e=8 k=2 bias=left", MOE_E_PARSE, "router,up,down"},
    };
    ALL_BAD(parse_layer, table);
}

static void test_bad_ops(void **unused) {
    (void)unused;
    const bad table[] = {
        {"", MOE_E_PARSE, "empty text"},
        {"gemm t=1", MOE_E_PARSE, "use one of: route, permute, gemm_up"},
        {"gemm_up d=64", MOE_E_PARSE, "'t=' is missing"},
        {"gemm_up t=-1 d=64 f=64 e=8 k=2", MOE_E_INVALID, "not in 0.."},
        {"gemm_up t=1 d=64 e=8 k=2", MOE_E_PARSE, "'f=' is missing"},
        {"gemm_up t=1 d=64 f=64 e=8 k=9", MOE_E_INVALID, "more than e=8"},
        {"permute t=1 e=8 k=2 routing=random", MOE_E_PARSE, "use one of: uniform, zipf"},
    };
    ALL_BAD(parse_op, table);
    const bad configs[] = {
        {"bm", MOE_E_PARSE, "not name=integer"},
        {"=3", MOE_E_PARSE, "not name=integer"},
        {"bm=2.5", MOE_E_PARSE, "whole number"},
        {"bm=1 bm=2", MOE_E_PARSE, "'bm' comes twice"},
        {"a_name_that_is_much_too_long=1", MOE_E_PARSE, "not name=integer"},
        {"a=1 b=1 c=1 d=1 e=1 f=1 g=1 h=1 i=1 j=1 k=1 l=1 m=1 n=1 o=1 p=1 q=1", MOE_E_PARSE,
         "more than 16"},
    };
    ALL_BAD(parse_config, configs);
}

static void test_bad_launches(void **unused) {
    (void)unused;
    const bad table[] = {
        {"", MOE_E_PARSE, "names no kernel"},
        {"grid=fixed(1) block=32", MOE_E_PARSE, "names no kernel"},
        {"kernel=a block=32", MOE_E_PARSE, "'grid=' is missing"},
        {"kernel=a grid=fixed(1)", MOE_E_PARSE, "'block=' is missing"},
        {"kernel=a grid=blocks(1) block=32", MOE_E_PARSE, "use one of: fixed, tokens"},
        {"kernel=a grid=fixed block=32", MOE_E_PARSE, "tokens(64)"},
        {"kernel=a grid=fixed(0) block=32", MOE_E_PARSE, "tokens(64)"},
        {"kernel=a grid=fixed(1,2,3) block=32", MOE_E_PARSE, "tokens(64)"},
        {"kernel=a grid=fixed(1) block=2048", MOE_E_INVALID, "not in 1..1024"},
        {"kernel=a grid=fixed(1) block=32 align=0", MOE_E_INVALID, "not in 1.."},
        {"kernel= grid=fixed(1) block=32", MOE_E_PARSE, "symbol"},
        {"kernel=a grid=fixed(1) block=32 kernel=a grid=fixed(1) block=32 kernel=a grid=fixed(1) "
         "block=32 kernel=a grid=fixed(1) block=32 kernel=a grid=fixed(1) block=32",
         MOE_E_PARSE, "more than 4 kernels"},
    };
    ALL_BAD(parse_launch, table);
    const bad measurements[] = {
        {"", MOE_E_PARSE, "empty text"},
        {"good n=1", MOE_E_PARSE, "use one of: ok, compile_failed"},
        {"ok n=-1", MOE_E_INVALID, "not in 0.."},
        {"ok med=fast", MOE_E_PARSE, "not a number"},
        {"ok med=1e999", MOE_E_PARSE, "not a number"},
        {"ok timer=watch", MOE_E_PARSE, "use one of: none, cupti"},
    };
    ALL_BAD(parse_measurement, measurements);
}

static void test_bad_facts(void **unused) {
    (void)unused;
    const bad table[] = {
        {"", MOE_E_PARSE, "sm_90a"},
        {"H100 \"x\" sms=1", MOE_E_PARSE, "not an architecture"},
        {"sm_90ab \"x\" sms=1", MOE_E_PARSE, "not an architecture"},
        {"sm_90a H100 sms=1", MOE_E_PARSE, "name in quotes"},
        {"sm_90a \"H100 sms=1", MOE_E_PARSE, "name in quotes"},
        {"sm_90a \"H100\"", MOE_E_PARSE, "'sms=' is missing"},
        {"sm_90a \"H100\" sms=0", MOE_E_INVALID, "not in 1.."},
        {"sm_90a \"H100\" sms=132 cores=5", MOE_E_PARSE, "known keys: sm sms smem"},
    };
    ALL_BAD(parse_facts, table);
}

#define OP "permute t=4 e=8 k=2 capacity=none routing=uniform cache=cold"
#define HEAD "layer t=4 routing=uniform cache=cold d=64 f=64 e=8 k=2"

static void test_bad_records(void **unused) {
    (void)unused;
    const bad table[] = {
        {"", MOE_E_PARSE, "5 columns"},
        {OP " | p@1 | | ok", MOE_E_PARSE, "5 columns"},
        {OP " | p@1 |  | ok | default=0 | more", MOE_E_PARSE, "5 columns"},
        {OP " | permute |  | ok | default=0", MOE_E_PARSE, "grouped_gemm@1f3c9a0b"},
        {OP " | p@1 | bm | ok | default=0", MOE_E_PARSE, "name=integer"},
        {OP " | p@1 |  | fine | default=0", MOE_E_PARSE, "use one of"},
        {OP " | p@1 |  | ok | default=2", MOE_E_INVALID, "not in 0..1"},
        {OP " | p@1 |  | ok | driver=a-driver-version-that-is-far-too-long-to-be-one", MOE_E_PARSE,
         "longer than 31"},
        {OP " | p@1 |  | ok | who=me", MOE_E_PARSE, "known keys: default driver"},
    };
    ALL_BAD(parse_record, table);
    const bad choices[] = {
        {"", MOE_E_PARSE, "5 columns"},
        {"op t=4 routing=uniform cache=cold d=64 | route | r@1 | ok | default=0", MOE_E_PARSE,
         "should be 'layer'"},
        {"layer d=64 f=64 e=8 k=2 | route | r@1 | ok | default=0", MOE_E_PARSE, "unknown key 'd'"},
        {HEAD " | route permute | r@1 | ok | default=0", MOE_E_PARSE, "differ in length"},
        {HEAD " | route | r@1; p@1 | ok | default=0", MOE_E_PARSE, "differ in length"},
        {HEAD " | route | r@1; p@1; p@1; p@1; p@1; p@1 | ok | default=0", MOE_E_PARSE,
         "differ in length"},
        {HEAD " | router | r@1 | ok | default=0", MOE_E_PARSE, "use one of: route"},
        {HEAD " | route | bt=8 | ok | default=0", MOE_E_PARSE, "grouped_gemm@1f3c9a0b"},
    };
    ALL_BAD(parse_choice, choices);
}

static void test_long_words(void **unused) {
    (void)unused;
    char text[4096];
    memset(text, 'x', sizeof text);
    text[sizeof text - 1] = '\0';
    moe_status (*const parsers[])(const char *) = {parse_layer, parse_op, parse_config,
                                                   parse_launch, parse_measurement, parse_facts,
                                                   parse_record, parse_choice};
    for (size_t i = 0; i < sizeof parsers / sizeof parsers[0]; i++)
        assert_int_equal(parsers[i](text), MOE_E_PARSE);
    memcpy(text, "kernel=", 7);
    assert_int_equal(parse_launch(text), MOE_E_PARSE);
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

/* ------------------------------------------------------------------------------------- meaning */

static void test_grids(void **unused) {
    (void)unused;
    const moe_layer layer = {.d = 8, .f = 8, .e = 8, .k = 2};
    const struct {
        const char *grid;
        int64_t tokens, blocks;
    } table[] = {
        {"fixed(7)", 1, 7},         {"fixed(7)", 0, 0},          {"tokens(16)", 16, 1},
        {"tokens(16)", 17, 2},      {"tokens(16,3)", 17, 6},     {"rows(32)", 17, 2},
        {"row_tiles(16,4)", 1, 8},  {"row_tiles(16,4)", 4, 32},  {"row_tiles(16,1)", 100, 20},
        {"sms(2)", 5, 264},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        moe_grid grid;
        CHECK(moe_grid_parse(table[i].grid, &grid));
        assert_int_equal(moe_grid_blocks(&grid, &layer, table[i].tokens, 132), table[i].blocks);
    }
}

/* The bound on row tiles holds for the worst spread of rows, found by trying all spreads. */
static int64_t worst_tiles(int64_t rows, int64_t experts, int64_t bm) {
    if (experts == 1) return (rows + bm - 1) / bm;
    int64_t most = 0;
    for (int64_t mine = 0; mine <= rows; mine++) {
        int64_t tiles = (mine + bm - 1) / bm + worst_tiles(rows - mine, experts - 1, bm);
        if (tiles > most) most = tiles;
    }
    return most;
}

static void test_row_tiles(void **unused) {
    (void)unused;
    for (int64_t rows = 0; rows <= 20; rows++)
        for (int64_t experts = 1; experts <= 4; experts++)
            for (int64_t bm = 1; bm <= 8; bm *= 2)
                assert_int_equal(moe_row_tiles(rows, experts, bm), worst_tiles(rows, experts, bm));
}

static void test_archs(void **unused) {
    (void)unused;
    char suffix;
    assert_int_equal(moe_arch_parse("sm_90a", &suffix), 90);
    assert_int_equal(suffix, 'a');
    assert_int_equal(moe_arch_parse("sm_120", &suffix), 120);
    assert_int_equal(suffix, 0);
    assert_int_equal(moe_arch_parse("sm_100f", &suffix), 100);
    const char *const wrong[] = {"",     "90",      "sm_",    "sm_x",
                                 "sm_9", "sm_90aa", "sm_90 ", "compute_90"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_int_equal(moe_arch_parse(wrong[i], NULL), 0);
    moe_facts facts;
    CHECK(moe_facts_parse("sm_89 \"NVIDIA GeForce RTX 4090\" sms=128", &facts));
    assert_int_equal(facts.tensor_rate, 512);
    assert_int_equal(facts.smem, 101376);
    CHECK(moe_facts_parse("sm_90a \"NVIDIA H100\" sms=132 tensor_rate=5", &facts));
    assert_int_equal(facts.tensor_rate, 5);
    assert_int_equal(facts.sm, 90);
}

/* The packed arguments are laid out as C lays out the same struct. */
static void test_args(void **unused) {
    (void)unused;
    struct route {
        void *x, *router_weight, *router_bias, *logits, *ids, *weights, *counts, *prob_sums,
            *scratch;
        int tokens;
    } expected;
    struct permute {
        void *ids, *counts, *prob_sums, *mean_probs, *expert_start, *expert_rows, *row_slots,
            *slot_rows, *tile_start, *scratch;
        int tokens, capacity, row_align;
    } second;
    moe_arg_values values;
    for (int i = 0; i < MOE_ARG_COUNT; i++)
        values.value[i] = UINT64_C(0x1234567800000000) + (unsigned)i;
    uint64_t buffer[MOE_ARGS_MAX_SIZE / 8] = {0};
    assert_int_equal(moe_args_pack(MOE_OP_route, &values, buffer), sizeof expected);
    memcpy(&expected, buffer, sizeof expected);
    assert_true((uint64_t)(uintptr_t)expected.scratch == values.value[MOE_ARG_scratch]);
    assert_int_equal(expected.tokens, MOE_ARG_tokens);
    assert_int_equal(moe_args_pack(MOE_OP_permute, &values, buffer), sizeof second);
    memcpy(&second, buffer, sizeof second);
    assert_true((uint64_t)(uintptr_t)second.ids == values.value[MOE_ARG_ids]);
    assert_int_equal(second.tokens, MOE_ARG_tokens);
    assert_int_equal(second.capacity, MOE_ARG_capacity);
    assert_int_equal(second.row_align, MOE_ARG_row_align);
}

static void test_names(void **unused) {
    (void)unused;
    for (int i = 0; i < MOE_STATUS_COUNT; i++)
        assert_true(strlen(moe_status_text((moe_status)i)) > 1);
    for (int i = 0; i < MOE_MATCH_COUNT; i++) assert_true(strlen(moe_match_text((moe_match)i)) > 1);
    assert_string_equal(moe_status_text((moe_status)99), "unknown status");
    assert_string_equal(moe_match_text((moe_match)99), "unknown match");
    assert_string_equal(moe_version(), MOE_VERSION);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_layers),     cmocka_unit_test(test_layer_forms),
        cmocka_unit_test(test_ops),        cmocka_unit_test(test_configs),
        cmocka_unit_test(test_launches),   cmocka_unit_test(test_measurements),
        cmocka_unit_test(test_facts),      cmocka_unit_test(test_records),
        cmocka_unit_test(test_choices),    cmocka_unit_test(test_bad_layers),
        cmocka_unit_test(test_bad_ops),    cmocka_unit_test(test_bad_launches),
        cmocka_unit_test(test_bad_facts),  cmocka_unit_test(test_bad_records),
        cmocka_unit_test(test_long_words), cmocka_unit_test(test_damaged),
        cmocka_unit_test(test_grids),      cmocka_unit_test(test_row_tiles),
        cmocka_unit_test(test_archs),      cmocka_unit_test(test_args),
        cmocka_unit_test(test_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
