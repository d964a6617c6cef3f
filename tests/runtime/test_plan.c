/* label: unit - making a plan: which kernels serve which token counts, and what is said where the
 * database has none. */
#include "plan_case.h"

#include "run/assemble.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void expect_kernels(recorder *device, const moe_plan *plan, int64_t tokens,
                           const char *gemm_up, const char *gemm_down) {
    case_run(device, plan, case_io(0), tokens);
    case_need(device, gemm_up);
    case_need(device, gemm_down);
}

static void test_buckets(void **unused) {
    (void)unused;
    const struct {
        int64_t tokens;
        int tag;
        moe_match match;
    } table[] = {
        {1, 1, MOE_MATCH_EXACT},        {2, 1, MOE_MATCH_NEAR_TOKENS},
        {3, 1, MOE_MATCH_NEAR_TOKENS},  {4, 2, MOE_MATCH_NEAR_TOKENS}, /* as near to 1 as to 16 */
        {5, 2, MOE_MATCH_NEAR_TOKENS},  {16, 2, MOE_MATCH_EXACT},
        {63, 2, MOE_MATCH_NEAR_TOKENS}, {64, 3, MOE_MATCH_NEAR_TOKENS},
        {65, 3, MOE_MATCH_NEAR_TOKENS}, {256, 3, MOE_MATCH_EXACT},
        {5000, 3, MOE_MATCH_NEAR_TOKENS},
    };
    case_db(LAYER);
    recorder *device = recorder_open(FACTS);
    moe_plan *plan = case_plan(device, LAYER, NULL);
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        char up[32], down[32], text[4096], wanted[64];
        moe_match match;
        snprintf(up, sizeof up, "gemm_up_%d", table[i].tag);
        snprintf(down, sizeof down, "gemm_down_%d", table[i].tag);
        expect_kernels(device, plan, table[i].tokens, up, down);
        CHECK(moe_plan_match(plan, table[i].tokens, &match));
        assert_int_equal(match, table[i].match);
        CHECK(moe_plan_explain(plan, table[i].tokens, text, sizeof text));
        snprintf(wanted, sizeof wanted, "gemm_up   gemm_up@00000001 tag=%d | %s: modelled",
                 table[i].tag, moe_match_text(table[i].match));
        CHECK_CONTAINS(text, wanted);
        CHECK_CONTAINS(text, "combine   combine@00000001");
    }
    char little[10];
    CHECK(moe_plan_explain(plan, 1, little, sizeof little));
    assert_int_equal(strlen(little), 9);
    moe_plan_destroy(plan);
    recorder_close(device);
}

/* Each distinct image is loaded once, whatever the number of buckets. */
static void test_loads(void **unused) {
    (void)unused;
    sqlite3 *db = synthetic_open(case_path);
    int64_t tuned = synthetic_device(db, FACTS);
    case_images(db, 1, 1);
    for (int64_t tokens = 1; tokens <= 1 << 20; tokens *= 2)
        case_records(db, tuned, LAYER, tokens, 1);
    synthetic_close(db);
    recorder *device = recorder_open(FACTS);
    moe_plan *plan = case_plan(device, LAYER, NULL);
    assert_int_equal(device->loads, MOE_PLAIN_OPS);
    moe_plan_destroy(plan);
    assert_int_equal(device->unloads, MOE_PLAIN_OPS);
    device->fail_load = 3;
    plan = NULL;
    CHECK_FAILS(case_try(device, LAYER, NULL, &plan), MOE_E_DEVICE,
                "plan: load gemm_up_1: told to fail");
    assert_null(plan);
    assert_int_equal(device->loads, device->unloads);
    recorder_close(device);
}

/* With a token limit, only what a run can come to is loaded. */
static void test_limited_loads(void **unused) {
    (void)unused;
    const struct {
        int64_t limit;
        int buckets;
    } table[] = {{1, 1}, {2, 2}, {16, 2}, {17, 3}, {256, 3}, {1000, 3}, {0, 3}};
    case_db(LAYER);
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        moe_plan_options options = {.max_tokens = table[i].limit, .worst = MOE_MATCH_DEFAULT};
        recorder *device = recorder_open(FACTS);
        moe_plan *plan = case_plan(device, LAYER, &options);
        assert_int_equal(device->loads, table[i].buckets * MOE_PLAIN_OPS);
        moe_plan_destroy(plan);
        recorder_close(device);
    }
}

/* A pipeline timed as a whole beats the winners of the single steps, where it fits as well. */
static void test_choices(void **unused) {
    (void)unused;
    case_db(LAYER);
    sqlite3 *db = NULL;
    int64_t records[MOE_PLAIN_OPS], broken[MOE_PLAIN_OPS];
    assert_int_equal(sqlite3_open(case_path, &db), SQLITE_OK);
    case_images(db, 7, 1);
    for (int kind = 0; kind < MOE_PLAIN_OPS; kind++) {
        records[kind] = case_record(db, 1, kind, LAYER, 16, 7, 1); /* slower on its own */
        broken[kind] = records[kind];
    }
    synthetic_choice(db, 1, LAYER, 16, 9000, records);
    broken[2] = case_record(db, 1, MOE_OP_gemm_up, LAYER, 256, 8, 1); /* has no image */
    synthetic_choice(db, 1, LAYER, 256, 9000, broken);
    synthetic_close(db);
    recorder *device = recorder_open(FACTS);
    moe_plan *plan = case_plan(device, LAYER, NULL);
    char text[4096];
    expect_kernels(device, plan, 16, "gemm_up_7", "gemm_down_7");
    CHECK(moe_plan_explain(plan, 16, text, sizeof text));
    CHECK_CONTAINS(text, "tag=7 | exact: modelled 9 us for the whole layer on this device");
    expect_kernels(device, plan, 1, "gemm_up_1", "gemm_down_1");
    expect_kernels(device, plan, 256, "gemm_up_3", "gemm_down_3");
    moe_plan_destroy(plan);
    recorder_close(device);
}

/* On another GPU a near choice gives way to exact rows, and beats rows that are no nearer. */
static void test_choices_elsewhere(void **unused) {
    (void)unused;
    sqlite3 *db = synthetic_open(case_path);
    int64_t here = synthetic_device(db, FACTS), records[MOE_PLAIN_OPS];
    int64_t there = synthetic_device(db, "sm_90a \"other\" sms=20 smem=232448 simulated=1");
    case_images(db, 1, 1);
    case_images(db, 7, 1);
    case_records(db, here, LAYER, 16, 1);
    for (int kind = 0; kind < MOE_PLAIN_OPS; kind++)
        records[kind] = case_record(db, there, kind, LAYER, 16, 7, 1);
    synthetic_choice(db, there, LAYER, 16, 10, records);
    synthetic_close(db);
    recorder *device = recorder_open(FACTS);
    recorder *third = recorder_open("sm_90a \"third\" sms=21 smem=232448 simulated=1");
    moe_plan *plan = case_plan(device, LAYER, NULL), *near = case_plan(third, LAYER, NULL);
    moe_match match;
    expect_kernels(device, plan, 16, "gemm_up_1", "gemm_down_1");
    expect_kernels(third, near, 16, "gemm_up_7", "gemm_down_7");
    CHECK(moe_plan_match(near, 16, &match));
    assert_int_equal(match, MOE_MATCH_NEAR_DEVICE);
    moe_plan_destroy(plan);
    moe_plan_destroy(near);
    recorder_close(device);
    recorder_close(third);
}

static void test_worst(void **unused) {
    (void)unused;
    case_db(LAYER);
    recorder *device = recorder_open(FACTS);
    recorder *other = recorder_open("sm_90a \"other\" sms=20 smem=232448 simulated=1");
    moe_plan_options exact = {.worst = MOE_MATCH_EXACT}, near = {.worst = MOE_MATCH_NEAR_TOKENS};
    moe_plan *plan = case_plan(device, LAYER, &exact);
    moe_io io = case_io(1 << 30);
    CHECK(moe_plan_run(plan, &io, 16, NULL));
    CHECK_FAILS(moe_plan_run(plan, &io, 17, NULL), MOE_E_NOT_FOUND,
                "tune t=17, or allow near_tokens");
    moe_plan_destroy(plan);
    plan = case_plan(device, LAYER, &near);
    CHECK(moe_plan_run(plan, &io, 17, NULL));
    moe_plan_destroy(plan);
    /* Options that say nothing of matches allow any, as no options do. */
    plan = case_plan(device, LAYER, &(moe_plan_options){.any_order = true});
    CHECK(moe_plan_run(plan, &io, 17, NULL));
    moe_plan_destroy(plan);
    plan = NULL;
    CHECK_FAILS(case_try(other, LAYER, &near, &plan), MOE_E_NOT_FOUND, "is only near_device");
    CHECK_CONTAINS(moe_error_text(),
                   "options.worst is near_tokens; tune it: moetune tune --device recorder");
    assert_null(plan);
    recorder_close(device);
    recorder_close(other);
}

static void test_missing_rows(void **unused) {
    (void)unused;
    recorder *device = recorder_open(FACTS);
    moe_plan *plan = NULL;
    sqlite3 *db = synthetic_open(case_path);
    CHECK_FAILS(case_try(device, LAYER, NULL, &plan), MOE_E_NOT_FOUND,
                "no tuned kernel of route for this layer runs on recorder");
    int64_t tuned = synthetic_device(db, FACTS);
    case_images(db, 1, 1);
    for (int kind = 0; kind < MOE_PLAIN_OPS; kind++)
        if (kind != MOE_OP_gemm_down) case_record(db, tuned, kind, LAYER, 16, 1, 1);
    CHECK_FAILS(case_try(device, LAYER, NULL, &plan), MOE_E_NOT_FOUND,
                "no tuned kernel of gemm_down");
    CHECK_CONTAINS(moe_error_text(),
                   "tune it: moetune tune --device recorder --layer 'd=64 f=32 e=8 "
                   "k=2 act=swiglu x=bf16 w=bf16 router=softmax>topk>renorm "
                   "capacity=none bias=router,up,down'");
    /* A default that nobody timed is better than nothing, and says what it is. */
    case_record(db, tuned, MOE_OP_gemm_down, LAYER, 16, 1, 0);
    synthetic_close(db);
    plan = case_plan(device, LAYER, NULL);
    moe_match match;
    CHECK(moe_plan_match(plan, 16, &match));
    assert_int_equal(match, MOE_MATCH_DEFAULT);
    moe_plan_destroy(plan);
    recorder_close(device);
}

/* What a layer's text does not say counts for nothing, and what it cannot say is refused. */
static void test_layer_is_its_text(void **unused) {
    (void)unused;
    case_db(LAYER);
    recorder *device = recorder_open(FACTS);
    moe_plan *plan = NULL;
    moe_db *db = NULL;
    moe_layer layer = case_layer(LAYER);
    moe_io io = case_io((size_t)1 << 30);
    CHECK(moe_db_open(case_path, &db));
    layer.shared.gated = true; /* of no shared expert */
    layer.router.jitter_experts = true;
    CHECK(moe_plan_create(db, &device->device, &layer, NULL, &plan));
    CHECK(moe_plan_run(plan, &io, 16, NULL));
    moe_plan_destroy(plan);
    layer.priority = MOE_PRIORITY_GATE;
    CHECK_FAILS(moe_plan_create(db, &device->device, &layer, NULL, &plan), MOE_E_INVALID,
                "priority and drop say what a capacity does");
    layer = case_layer(CAPPED);
    layer.capacity.factor = -1;
    CHECK_FAILS(moe_plan_create(db, &device->device, &layer, NULL, &plan), MOE_E_INVALID,
                "a factor above 0");
    layer.act.kind = (moe_act_kind)77;
    CHECK_FAILS(moe_plan_create(db, &device->device, &layer, NULL, &plan), MOE_E_INVALID,
                "layer.act.kind is 77");
    moe_db_close(db);
    recorder_close(device);
}

/* The longest of layers is written whole: what the advice says can be typed in. */
static void test_advice_is_whole(void **unused) {
    (void)unused;
    static const char longest[] =
        "d=1048576 f=1048576 e=2048 k=32 act=swiglu_clamp(7.123456789012346,1.7021234567890122) "
        "x=bf16 w=bf16 router=jitter(0.012345678901234568,all)>noisy(0.0012345678901234567)>"
        "sigmoid+bias>groups(32,16,sum2,zero)>topk>renorm(1.2345678901234567e-20)>"
        "scale(2.1234567890123457) capacity=1.2345678901234567,gshard,min(123456789) bias=up,down "
        "layout=interleaved priority=gate drop=renorm router_dtype=f32 local=1024";
    recorder *device = recorder_open(FACTS);
    moe_plan *plan = NULL;
    char advice[MOE_LAYER_TEXT_SIZE + 64];
    synthetic_close(synthetic_open(case_path));
    snprintf(advice, sizeof advice, "tune it: moetune tune --device recorder --layer '%s'",
             longest);
    CHECK_FAILS(case_try(device, longest, NULL, &plan), MOE_E_NOT_FOUND, advice);
    recorder_close(device);
}

static void test_options(void **unused) {
    (void)unused;
    case_db(LAYER);
    recorder *device = recorder_open(FACTS);
    moe_plan *plan = NULL;
    moe_layer layer = case_layer(LAYER);
    const struct {
        moe_plan_options options;
        const char *message;
    } table[] = {
        {{.routing = "sideways"}, "options.routing: 'sideways' is not known; use one of: uniform"},
        {{.cache = "hot"}, "options.cache: 'hot' is not known; use one of: cold, warm"},
        {{.worst = (moe_match)9}, "options.worst"},
        {{.max_tokens = -1}, "options.max_tokens"},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        CHECK_FAILS(case_try(device, LAYER, &table[i].options, &plan), MOE_E_INVALID,
                    table[i].message);
    CHECK_FAILS(moe_plan_create(NULL, &device->device, &layer, NULL, &plan), MOE_E_INVALID,
                "needed");
    layer.k = 9;
    moe_db *db = NULL;
    CHECK(moe_db_open(case_path, &db));
    CHECK_FAILS(moe_plan_create(db, &device->device, &layer, NULL, &plan), MOE_E_INVALID, "k=9");
    moe_db_close(db);
    moe_plan_options zipf = {.routing = "zipf", .cache = "warm", .worst = MOE_MATCH_DEFAULT};
    moe_match match;
    plan = case_plan(device, LAYER, &zipf);
    CHECK(moe_plan_match(plan, 16, &match));
    assert_int_equal(match, MOE_MATCH_NEAR_TOKENS);
    moe_plan_destroy(plan);
    recorder_close(device);
}

static void test_bad_align(void **unused) {
    (void)unused;
    sqlite3 *db = synthetic_open(case_path);
    int64_t tuned = synthetic_device(db, FACTS);
    case_images(db, 1, 48);
    case_records(db, tuned, LAYER, 16, 1);
    synthetic_close(db);
    recorder *device = recorder_open(FACTS);
    moe_plan *plan = NULL;
    CHECK_FAILS(case_try(device, LAYER, NULL, &plan), MOE_E_CORRUPT,
                "align=48 is not a power of two");
    assert_int_equal(device->loads, device->unloads);
    recorder_close(device);
}

/* A plan from images at hand runs them like one from a database, and needs no database. */
static void test_assembled(void **unused) {
    (void)unused;
    static const char *const launches[MOE_PLAIN_OPS] = {
        "kernel=route_0 grid=tokens(16) block=128",
        "kernel=permute_0 grid=rows(32) block=256 align=1 scratch_fixed=100",
        "kernel=gemm_up_0 grid=row_tiles(16,3) block=256 align=32",
        "kernel=gemm_down_0 grid=row_tiles(16,2) block=256 align=16",
        "kernel=combine_0 grid=sms(2) block=32",
    };
    moe_image images[MOE_PLAIN_OPS];
    const moe_image *pointers[MOE_PLAIN_OPS];
    for (int kind = 0; kind < MOE_PLAIN_OPS; kind++) {
        images[kind] = (moe_image){.arch = "sm_90a", .ptx = ".version 9.0", .ptx_size = 12};
        CHECK(moe_launch_parse(launches[kind], &images[kind].launch));
        pointers[kind] = &images[kind];
    }
    recorder *device = recorder_open(FACTS);
    moe_layer layer = case_layer(LAYER);
    moe_plan *plan = NULL;
    CHECK(moe_plan_assemble(&device->device, &layer, moe_pipeline_table, pointers, &plan));
    assert_int_equal(device->loads, MOE_PLAIN_OPS);
    for (int64_t tokens = 1; tokens < 1000; tokens *= 3) {
        case_run(device, plan, case_io(0), tokens);
        assert_int_equal(device->events, MOE_PLAIN_OPS);
        assert_int_equal(case_argument(device, "permute_0", MOE_OP_permute, MOE_ARG_row_align), 32);
    }
    moe_plan_destroy(plan);
    assert_int_equal(device->unloads, MOE_PLAIN_OPS);
    device->fail_load = 4;
    CHECK_FAILS(moe_plan_assemble(&device->device, &layer, moe_pipeline_table, pointers, &plan),
                MOE_E_DEVICE, "load gemm_down_0: told to fail");
    images[2].launch.align = 3;
    CHECK_FAILS(moe_plan_assemble(&device->device, &layer, moe_pipeline_table, pointers, &plan),
                MOE_E_CORRUPT, "align=3 is not a power of two");
    assert_int_equal(device->loads, device->unloads);
    recorder_close(device);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, case_start, case_stop)
    const struct CMUnitTest tests[] = {
        TEST(test_buckets),
        TEST(test_loads),
        TEST(test_limited_loads),
        TEST(test_choices),
        TEST(test_choices_elsewhere),
        TEST(test_worst),
        TEST(test_missing_rows),
        TEST(test_advice_is_whole),
        TEST(test_layer_is_its_text),
        TEST(test_options),
        TEST(test_bad_align),
        TEST(test_assembled),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
