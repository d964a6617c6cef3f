/* label: unit - layers of fused ops: which form serves which token counts, and what a run of each
 * form launches. */
#include "plan_case.h"

#include "core/map.h"
#include "run/assemble.h"
#include "run/enqueue.h"

#include <stdio.h>
#include <string.h>

enum { LIMIT = 32 }; /* slots that the fused experts serve: 16 tokens */

static const moe_pipeline_info *form(moe_pipeline_kind kind) { return &moe_pipeline_table[kind]; }

static void test_table(void **unused) {
    (void)unused;
    for (int i = 0; i < MOE_PIPELINE_COUNT; i++) {
        const moe_pipeline_info *p = form((moe_pipeline_kind)i);
        moe_op_kind ops[MOE_PIPELINE_STEPS];
        for (int s = 0; s < p->steps; s++) ops[s] = p->step[s].op;
        assert_ptr_equal(moe_pipeline_find(ops, p->steps), p);
        assert_null(moe_pipeline_find(ops, p->steps - 1));
        for (int s = 0; s < p->steps; s++) assert_true(moe_pipeline_has(p, ops[s]));
    }
    const moe_op_kind mixed[] = {MOE_OP_route, MOE_OP_gemm_up};
    assert_null(moe_pipeline_find(mixed, 2));
    assert_false(moe_pipeline_has(form(MOE_PIPELINE_fused), MOE_OP_combine));
}

/* Steps of a hand-made pipeline: what ranks do together between kernels. */
static const moe_pipeline_info spread = {
    "spread", MOE_FORWARD, 4,
    {MOE_KERNEL_STEP(route), MOE_COLLECTIVE_STEP(all_gather), MOE_KERNEL_STEP(experts),
     MOE_COLLECTIVE_STEP(reduce_scatter)},
};

static moe_plan *spread_plan(recorder *device, const moe_layer *layer) {
    moe_image route = {.arch = "sm_90a", .ptx = ".version 9.0", .ptx_size = 12}, experts = route;
    CHECK(moe_launch_parse("kernel=route_0 grid=tokens(16) block=128", &route.launch));
    CHECK(moe_launch_parse("kernel=experts_0 grid=sms(1) block=384 align=8", &experts.launch));
    const moe_image *const images[] = {&route, NULL, &experts, NULL};
    moe_plan *plan = NULL;
    CHECK(moe_plan_assemble(&device->device, layer, &spread, images, &plan));
    return plan;
}

/* A plan may hold collectives, and says what they are; to run them takes a communicator. */
static void test_collectives(void **unused) {
    (void)unused;
    recorder *device = recorder_open(FACTS);
    const moe_layer layer = case_layer(LAYER);
    moe_plan *plan = spread_plan(device, &layer);
    char text[1024];
    assert_int_equal(device->loads, 2);
    assert_int_equal(moe_plan_launches(plan, 16), 2);
    CHECK(moe_plan_explain(plan, 16, text, sizeof text));
    CHECK_CONTAINS(text, "\nall_gather\nexperts ");
    CHECK_CONTAINS(text, "\nreduce_scatter\n");
    moe_io io = case_io((size_t)1 << 30);
    moe_bound *bound = NULL;
    CHECK_FAILS(moe_plan_run(plan, &io, 16, NULL), MOE_E_UNSUPPORTED,
                "step 2 of pipeline spread is the collective all_gather, and the plan has no "
                "communicator");
    CHECK_FAILS(moe_plan_bind(plan, &io, 16, &bound), MOE_E_UNSUPPORTED, "all_gather");
    assert_int_equal(device->events, 0); /* not even what comes before it */
    moe_plan_destroy(plan);
    recorder_close(device);
}

/* One kernel an op, called after it. */
static moe_plan *plain_plan(recorder *device, const moe_layer *layer, moe_pipeline_kind kind) {
    moe_image image[MOE_PIPELINE_STEPS];
    const moe_image *images[MOE_PIPELINE_STEPS];
    moe_plan *plan = NULL;
    for (int i = 0; i < form(kind)->steps; i++) {
        char launch[96];
        snprintf(launch, sizeof launch, "kernel=%s_0 grid=tokens(16) block=128",
                 moe_step_name(&form(kind)->step[i]));
        image[i] = (moe_image){.arch = "sm_90a", .ptx = ".version 9.0", .ptx_size = 12};
        CHECK(moe_launch_parse(launch, &image[i].launch));
        images[i] = &image[i];
    }
    CHECK(moe_plan_assemble(&device->device, layer, form(kind), images, &plan));
    return plan;
}

/* Where experts see the router's jittered x, ops behind it take that, if something is drawn. */
static void test_jitter(void **unused) {
    (void)unused;
    static const struct {
        const char *router;
        bool seed, jittered;
    } table[] = {
        {"jitter(0.01,all)>softmax>topk", true, true},
        {"jitter(0.01,all)>softmax>topk", false, false},
        {"jitter(0.01)>softmax>topk", true, false},
    };
    static const struct {
        moe_pipeline_kind form;
        moe_op_kind op;
        const char *symbol;
    } routers[] = {{MOE_PIPELINE_separate, MOE_OP_route, "route_0"},
                   {MOE_PIPELINE_mapped, MOE_OP_route_permute, "route_permute_0"}};
    recorder *device = recorder_open(FACTS);
    for (size_t i = 0; i < 2 * sizeof table / sizeof *table; i++) {
        char text[96];
        snprintf(text, sizeof text, "d=64 f=32 e=8 k=2 router=%s", table[i / 2].router);
        const moe_layer layer = case_layer(text);
        moe_plan *plan = plain_plan(device, &layer, routers[i % 2].form);
        moe_io io = case_io(0);
        if (table[i / 2].seed) io.seed = case_pointer(30);
        case_run(device, plan, io, 16);
#define OF_ROUTER(arg)                                                                             \
    case_argument(device, routers[i % 2].symbol, routers[i % 2].op, MOE_ARG_##arg)
        uint64_t x = case_argument(device, "gemm_up_0", MOE_OP_gemm_up, MOE_ARG_x);
        assert_true(OF_ROUTER(x) == (uintptr_t)io.x);
        assert_true(x == (table[i / 2].jittered ? OF_ROUTER(jittered) : (uintptr_t)io.x));
#undef OF_ROUTER
        moe_plan_destroy(plan);
    }
    recorder_close(device);
}

/* What losses are made of starts at 0; where no router runs, so do they. */
static void test_losses(void **unused) {
    (void)unused;
    recorder *device = recorder_open(FACTS);
    const moe_layer layer = case_layer("d=64 f=32 e=8 k=2");
    moe_plan *plan = plain_plan(device, &layer, MOE_PIPELINE_separate);
    moe_io io = case_io(0);
    io.losses = case_pointer(40);
    case_run(device, plan, io, 16);
    uint64_t sums = case_argument(device, "route_0", MOE_OP_route, MOE_ARG_loss_sums);
    assert_true(sums && case_fill(device, sums));
    assert_int_equal(case_fill(device, sums)->bytes, (3 * E + 2) * 8);
    assert_null(case_fill(device, (uintptr_t)io.losses));
    io.routing_given = true;
    io.ids = case_pointer(41);
    io.weights = case_pointer(42);
    case_run(device, plan, io, 16);
    assert_int_equal(device->event[0].what, RECORDED_FILL);
    assert_true(case_fill(device, (uintptr_t)io.losses)->bytes == MOE_LOSS_COUNT * 4);
    moe_plan_destroy(plan);
    recorder_close(device);
}

/* On one device a layer is made of kernels alone, and from x to y. */
static void test_suits(void **unused) {
    (void)unused;
    const moe_layer layer = case_layer(LAYER);
    moe_pipeline_info other = moe_pipeline_table[MOE_PIPELINE_fused];
    assert_true(moe_pipeline_suits(&other, &layer));
    other.direction = MOE_BACKWARD;
    assert_false(moe_pipeline_suits(&other, &layer));
    assert_false(moe_pipeline_suits(&spread, &layer));
    assert_true(moe_pipeline_has(&spread, MOE_OP_experts));
    /* A collective is no op, whatever its number is. */
    other = (moe_pipeline_info){"only", MOE_FORWARD, 1, {MOE_COLLECTIVE_STEP(all_gather)}};
    assert_false(moe_pipeline_has(&other, other.step[0].op));
    assert_string_equal(moe_step_name(&other.step[0]), "all_gather");
}

/* Images of the fused ops, called as case_record expects them. */
static void fused_images(sqlite3 *db, int tag) {
    char hash[32], launch[256];
    snprintf(hash, sizeof hash, "route_permute%d", tag);
    snprintf(launch, sizeof launch,
             "kernel=route_permute_%d_route grid=tokens(16) block=128 overlap=1 "
             "kernel=route_permute_%d_maps grid=fixed(1) block=256 overlap=1 align=1 "
             "scratch_fixed=64", tag, tag);
    synthetic_image(db, hash, "sm_80", launch, "cp");
    snprintf(hash, sizeof hash, "experts%d", tag);
    snprintf(launch, sizeof launch,
             "kernel=experts_%d grid=sms(1) block=384 overlap=1 align=1 max_slots=%d "
             "maps=up(64,8,2,1;128),down(64,8,1;128)", tag, LIMIT);
    synthetic_image(db, hash, "sm_80", launch, "cp");
}

/* The separate form at t = 1, 16 and 256, and fused experts at t = 16. */
static void fused_db(void) {
    sqlite3 *db = NULL;
    case_db(LAYER);
    assert_int_equal(sqlite3_open(case_path, &db), SQLITE_OK);
    fused_images(db, 5);
    case_record(db, 1, MOE_OP_experts, LAYER, 16, 5, 1);
    synthetic_close(db);
}

/* Of forms that fit alike the one of less time is taken; it ends where its kernels do. */
static void test_forms_by_tokens(void **unused) {
    (void)unused;
    const struct {
        int64_t tokens;
        const char *there, *not_there;
    } table[] = {
        {1, "gemm_up_1", "experts"},  {3, "gemm_up_1", "experts"}, {8, "experts_5", "gemm_up"},
        {16, "experts_5", "gemm_up"}, {17, "gemm_up_3", "experts"}, {256, "gemm_up_3", "experts"},
    };
    fused_db();
    recorder *device = recorder_open(FACTS);
    moe_plan *plan = case_plan(device, LAYER, NULL);
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        case_run(device, plan, case_io(0), table[i].tokens);
        case_need(device, table[i].there);
        if (case_find(device, table[i].not_there))
            fail_msg("t=%lld runs %s", (long long)table[i].tokens, table[i].not_there);
    }
    char text[4096];
    CHECK(moe_plan_explain(plan, 16, text, sizeof text));
    CHECK_CONTAINS(text, "experts   experts@00000001 tag=5 | exact");
    assert_null(strstr(text, "combine"));
    moe_plan_destroy(plan);
    recorder_close(device);
}

/* A whole layer timed in one form stands before the rows of another. */
static void test_a_timed_form_comes_first(void **unused) {
    (void)unused;
    sqlite3 *db = NULL;
    int64_t steps[MOE_PIPELINE_STEPS];
    fused_db();
    assert_int_equal(sqlite3_open(case_path, &db), SQLITE_OK);
    steps[0] = case_record(db, 1, MOE_OP_route_permute, LAYER, 16, 5, 1);
    for (int i = 1; i < 4; i++)
        steps[i] = case_record(db, 1, form(MOE_PIPELINE_mapped)->step[i].op, LAYER, 16, 3, 1);
    synthetic_form(db, 1, LAYER, 16, 9000, form(MOE_PIPELINE_mapped), steps);
    synthetic_close(db);
    recorder *device = recorder_open(FACTS);
    moe_plan *plan = case_plan(device, LAYER, NULL);
    case_run(device, plan, case_io(0), 16);
    assert_int_equal(device->events, 5);
    case_need(device, "route_permute_5_maps");
    case_need(device, "gemm_down_3");
    moe_plan_destroy(plan);
    recorder_close(device);
}

/* Beyond the last tuned token count, where its kernels end, other rows of it serve. */
static void test_what_serves_more_follows(void **unused) {
    (void)unused;
    sqlite3 *db = synthetic_open(case_path);
    int64_t tuned = synthetic_device(db, FACTS);
    case_images(db, 1, 1);
    fused_images(db, 5);
    case_records(db, tuned, LAYER, 16, 1);
    case_record(db, tuned, MOE_OP_experts, LAYER, 16, 5, 1);
    synthetic_close(db);
    recorder *device = recorder_open(FACTS);
    moe_plan *plan = case_plan(device, LAYER, NULL);
    moe_match match;
    case_run(device, plan, case_io(0), 16);
    case_need(device, "experts_5");
    case_run(device, plan, case_io(0), 17);
    case_need(device, "gemm_up_1");
    CHECK(moe_plan_match(plan, 17, &match));
    assert_int_equal(match, MOE_MATCH_NEAR_TOKENS);
    moe_plan_destroy(plan);
    recorder_close(device);
}

static void test_too_many_tokens_are_refused(void **unused) {
    (void)unused;
    sqlite3 *db = synthetic_open(case_path);
    int64_t tuned = synthetic_device(db, FACTS);
    case_images(db, 1, 1);
    fused_images(db, 5);
    case_record(db, tuned, MOE_OP_route, LAYER, 16, 1, 1);
    case_record(db, tuned, MOE_OP_route, LAYER, 256, 1, 1);
    case_record(db, tuned, MOE_OP_experts, LAYER, 16, 5, 1);
    synthetic_close(db);
    recorder *device = recorder_open(FACTS);
    moe_plan *plan = case_plan(device, LAYER, NULL);
    moe_io io = case_run(device, plan, case_io(0), 16);
    CHECK_FAILS(moe_plan_run(plan, &io, 17, NULL), MOE_E_INVALID,
                "T=17 tokens are more than the plan's kernels serve; tune t=17");
    moe_plan_destroy(plan);
    recorder_close(device);
}

/* The flags that the experts hand over by are zero when they start, and nobody else's. */
static void test_flags(void **unused) {
    (void)unused;
    fused_db();
    recorder *device = recorder_open(FACTS);
    moe_plan *plan = case_plan(device, LAYER, NULL);
    case_run(device, plan, case_io(0), 16);
    assert_int_equal(device->events, 2);
    uint64_t flags = case_argument(device, "experts_5", MOE_OP_experts, MOE_ARG_flags);
    assert_true(flags);
    assert_true(case_argument(device, "route_2", MOE_OP_route, MOE_ARG_flags) == flags);
    assert_null(case_fill(device, flags)); /* the router does it */

    moe_io given = case_io(0);
    given.routing_given = 1;
    given.ids = case_pointer(10), given.weights = case_pointer(11);
    case_run(device, plan, given, 16);
    assert_int_equal(device->events, 2);
    const recorder_event *fill = &device->event[0];
    flags = case_argument(device, "experts_5", MOE_OP_experts, MOE_ARG_flags);
    assert_int_equal(fill->what, RECORDED_FILL);
    assert_true(fill->to == flags && fill->byte == 0 && fill->bytes == MOE_FLAGS * 4);
    assert_true(case_argument(device, "experts_5", MOE_OP_experts, MOE_ARG_ids) ==
                (uintptr_t)given.ids);

    case_run(device, plan, case_io(0), 256);
    assert_int_equal(case_argument(device, "route_3", MOE_OP_route, MOE_ARG_flags), 0);
    moe_plan_destroy(plan);
    recorder_close(device);
}

/* Router and maps in one run with given experts too, and then say so. */
static void test_given(void **unused) {
    (void)unused;
    sqlite3 *db = NULL;
    int64_t steps[MOE_PIPELINE_STEPS];
    fused_db();
    assert_int_equal(sqlite3_open(case_path, &db), SQLITE_OK);
    steps[0] = case_record(db, 1, MOE_OP_route_permute, LAYER, 16, 5, 1);
    for (int i = 1; i < 4; i++)
        steps[i] = case_record(db, 1, form(MOE_PIPELINE_mapped)->step[i].op, LAYER, 16, 3, 1);
    synthetic_form(db, 1, LAYER, 16, 9000, form(MOE_PIPELINE_mapped), steps);
    synthetic_close(db);
    recorder *device = recorder_open(FACTS);
    moe_plan *plan = case_plan(device, LAYER, NULL);
    moe_io io = case_io(0);
    const char *symbol = "route_permute_5_route";
    case_run(device, plan, io, 16);
    assert_int_equal(case_argument(device, symbol, MOE_OP_route_permute, MOE_ARG_given), 0);
    io.routing_given = 1;
    io.ids = case_pointer(10), io.weights = case_pointer(11), io.counts = case_pointer(12);
    case_run(device, plan, io, 16);
    assert_int_equal(case_argument(device, symbol, MOE_OP_route_permute, MOE_ARG_given), 1);
    assert_true(case_argument(device, symbol, MOE_OP_route_permute, MOE_ARG_ids) ==
                (uintptr_t)io.ids);
    assert_int_equal(case_argument(device, symbol, MOE_OP_route_permute, MOE_ARG_router_weight), 0);
    assert_true(case_argument(device, symbol, MOE_OP_route_permute, MOE_ARG_counts) ==
                (uintptr_t)io.counts);
    moe_plan_destroy(plan);
    recorder_close(device);
}

/* Sums in any order of arrival are for callers who allow them. */
static void test_any_order(void **unused) {
    (void)unused;
    const moe_plan_options any = {.worst = MOE_MATCH_DEFAULT, .any_order = true};
    sqlite3 *db = NULL;
    case_db(LAYER);
    assert_int_equal(sqlite3_open(case_path, &db), SQLITE_OK);
    synthetic_image(db, "down_combine0", "sm_80",
                    "kernel=down_combine_0_clear grid=tokens(8) block=256 overlap=1 "
                    "kernel=down_combine_0_add grid=row_tiles(16,2) block=256 overlap=1 align=1 "
                    "scratch_token=64 deterministic=0", "cp");
    case_record(db, 1, MOE_OP_down_combine, LAYER, 16, 0, 1);
    synthetic_close(db);
    recorder *device = recorder_open(FACTS);
    moe_plan *plan = case_plan(device, LAYER, NULL);
    case_run(device, plan, case_io(0), 16);
    case_need(device, "gemm_down_2");
    assert_null(case_find(device, "down_combine"));
    moe_plan_destroy(plan);

    plan = case_plan(device, LAYER, &any);
    moe_io io = case_run(device, plan, case_io(0), 16);
    assert_null(case_find(device, "gemm_down"));
    assert_null(case_find(device, "combine"));
    const char *symbol = "down_combine_0_add";
    uint64_t flags = case_argument(device, symbol, MOE_OP_down_combine, MOE_ARG_flags);
    assert_true(flags != 0);
    assert_true(case_argument(device, "route_2", MOE_OP_route, MOE_ARG_flags) == flags);
    assert_true(case_argument(device, symbol, MOE_OP_down_combine, MOE_ARG_y) == (uintptr_t)io.y);
    assert_true(case_argument(device, symbol, MOE_OP_down_combine, MOE_ARG_h) ==
                case_argument(device, "gemm_up_2", MOE_OP_gemm_up, MOE_ARG_h));
    assert_true(case_argument(device, symbol, MOE_OP_down_combine, MOE_ARG_weights) ==
                case_argument(device, "route_2", MOE_OP_route, MOE_ARG_weights));
    moe_plan_destroy(plan);
    recorder_close(device);
}

/* A kernel may start before the one ahead has ended; the first has none ahead of it, and a fill is
 * not to be overtaken. */
static void test_overlap(void **unused) {
    (void)unused;
    fused_db();
    recorder *device = recorder_open(FACTS);
    moe_plan *plan = case_plan(device, LAYER, NULL);
    case_run(device, plan, case_io(0), 16);
    assert_int_equal(case_need(device, "route_2")->dims.overlap, 0);
    assert_int_equal(case_need(device, "experts_5")->dims.overlap, 1);
    moe_io io = case_io(0);
    io.routing_given = 1;
    io.ids = case_pointer(10), io.weights = case_pointer(11);
    case_run(device, plan, io, 16);
    assert_int_equal(case_need(device, "experts_5")->dims.overlap, 0);
    moe_plan_destroy(plan);
    recorder_close(device);
}

/* Maps stand in front of the arguments, each of the tensor that the argument points at. */
static void test_maps(void **unused) {
    (void)unused;
    fused_db();
    recorder *device = recorder_open(FACTS);
    moe_plan *plan = case_plan(device, LAYER, NULL);
    moe_io io = case_run(device, plan, case_io(0), 16);
    const recorder_event *event = case_need(device, "experts_5");
    assert_int_equal(event->maps, 2);
    assert_int_equal(event->args_size % MOE_TENSOR_MAP_ALIGN, 0);
    moe_tensor_view up = recorder_map(event, 0), down = recorder_map(event, 1);
    const uint64_t up_size[] = {D, F, 2, E}, up_stride[] = {2, D * 2, D * F * 2, D * F * 4};
    const uint64_t down_size[] = {F, D, E}, down_stride[] = {2, F * 2, D * F * 2};
    const uint32_t up_box[] = {64, 8, 2, 1}, down_box[] = {64, 8, 1};
    assert_true(up.address == (uintptr_t)io.up && down.address == (uintptr_t)io.down);
    assert_int_equal(up.rank, 4);
    assert_int_equal(down.rank, 3);
    assert_int_equal(up.swizzle, 128);
    assert_memory_equal(up.size, up_size, sizeof up_size);
    assert_memory_equal(up.stride, up_stride, sizeof up_stride);
    assert_memory_equal(up.box, up_box, sizeof up_box);
    assert_memory_equal(down.size, down_size, sizeof down_size);
    assert_memory_equal(down.stride, down_stride, sizeof down_stride);
    assert_memory_equal(down.box, down_box, sizeof down_box);
    assert_true(case_argument(device, "experts_5", MOE_OP_experts, MOE_ARG_x) == (uintptr_t)io.x);

    moe_device_class plain = *device->device.class;
    plain.tensor_map = NULL;
    device->device.class = &plain;
    CHECK_FAILS(moe_plan_run(plan, &io, 16, NULL), MOE_E_UNSUPPORTED,
                "recorder has no tensor maps");
    moe_plan_destroy(plan);
    recorder_close(device);
}

static void test_map_text(void **unused) {
    (void)unused;
    moe_launch launch, back;
    char text[1024];
    CHECK(moe_launch_parse("kernel=a grid=fixed(1) block=32 overlap=1 align=1 max_slots=64 "
                           "maps=x(64,32;128),h(32,8;64),y_rows(8,8;0)", &launch));
    assert_int_equal(launch.kernel[0].overlap, 1);
    assert_int_equal(launch.max_slots, 64);
    assert_int_equal(launch.maps.count, 3);
    assert_int_equal(launch.maps.map[1].arg, MOE_ARG_h);
    assert_int_equal(launch.maps.map[2].swizzle, 0);
    moe_launch_print(&launch, text, sizeof text);
    CHECK(moe_launch_parse(text, &back));
    assert_memory_equal(&launch, &back, sizeof launch);
    static const struct {
        const char *maps, *message;
    } bad[] = {
        {"x(64;128)", "x has 2 dimensions, and its box 1"},
        {"x(64,32,1;128)", "x has 2 dimensions, and its box 3"},
        {"nothing(1,1;0)", "'nothing' is no tensor that has a map"},
        {"weights(8,8;0)", "'weights' is no tensor that has a map"},
        {"x(64,32;100)", "a swizzle is 0, 32, 64 or 128 bytes"},
        {"x(0,8;0)", "a box is 1 to 256 elements along a dimension"},
        {"x(512,8;0)", "a box is 1 to 256 elements along a dimension"},
        {"x(64,32", "'x(' should go on like"},
        {"x(64,32;128", "'x(' should go on like"},
        {"x(64,32;128)h", "'h' is left over"},
        {"x(64,32;128),", "should read like"},
        {",", "should read like"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        snprintf(text, sizeof text, "kernel=a grid=fixed(1) block=32 align=1 maps=%s", bad[i].maps);
        if (!moe_launch_parse(text, &back)) fail_msg("'%s' is taken", bad[i].maps);
        CHECK_CONTAINS(moe_error_text(), bad[i].message);
    }
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, case_start, case_stop)
    const struct CMUnitTest tests[] = {
        TEST(test_table),
        TEST(test_collectives),
        TEST(test_suits),
        TEST(test_jitter),
        TEST(test_losses),
        TEST(test_forms_by_tokens),
        TEST(test_a_timed_form_comes_first),
        TEST(test_what_serves_more_follows),
        TEST(test_too_many_tokens_are_refused),
        TEST(test_flags),
        TEST(test_given),
        TEST(test_any_order),
        TEST(test_overlap),
        TEST(test_maps),
        TEST(test_map_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
