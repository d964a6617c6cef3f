/* label: unit - bound runs: what they enqueue, how often, and what they never do again. */
#include "plan_case.h"

#include "run/assemble.h"

#include <stdlib.h>
#include <string.h>

/* Kernels of the fused form, whose second takes tensor maps. */
static moe_plan *fused_plan(recorder *device, const moe_layer *layer) {
    static const char *const launches[] = {
        "kernel=route_0 grid=tokens(16) block=128 overlap=1",
        "kernel=experts_0 grid=sms(1) block=384 overlap=1 align=1 "
        "maps=up(64,8,2,1;128),down(64,8,1;128)",
    };
    moe_image image[2];
    for (int i = 0; i < 2; i++) {
        image[i] = (moe_image){.arch = "sm_90a", .ptx = ".version 9.0", .ptx_size = 12};
        CHECK(moe_launch_parse(launches[i], &image[i].launch));
    }
    const moe_image *const images[] = {&image[0], &image[1]};
    moe_plan *plan = NULL;
    CHECK(moe_plan_assemble(&device->device, layer, &moe_pipeline_table[MOE_PIPELINE_fused], images,
                            &plan));
    return plan;
}

static void same_event(const recorder_event *a, const recorder_event *b) {
    assert_int_equal(a->what, b->what);
    assert_int_equal(a->to, b->to);
    assert_int_equal(a->bytes, b->bytes);
    assert_string_equal(a->symbol, b->symbol);
    assert_int_equal(a->args_size, b->args_size);
    assert_memory_equal(a->args, b->args, sizeof a->args);
    assert_memory_equal(a->dims.grid, b->dims.grid, sizeof a->dims.grid);
    assert_memory_equal(a->dims.block, b->dims.block, sizeof a->dims.block);
    assert_true(a->dims.cluster == b->dims.cluster && a->dims.smem == b->dims.smem &&
                a->dims.overlap == b->dims.overlap);
}

/* Binds, forgets `io`, and runs twice: each time all that moe_plan_run enqueues, on the stream that
 * is given. */
static void same_as_run(recorder *device, const moe_plan *plan, moe_io io, int64_t tokens) {
    static recorder_event plain[RECORDER_EVENTS];
    moe_bound *bound = NULL;
    io = case_run(device, plan, io, tokens);
    const int events = device->events;
    assert_true(events > 0);
    memcpy(plain, device->event, sizeof plain);
    device->events = 0;
    CHECK(moe_plan_bind(plan, &io, tokens, &bound));
    memset(&io, 0x55, sizeof io);
    assert_int_equal(device->events, 0);
    for (int turn = 0; turn < 2; turn++) {
        device->events = 0;
        CHECK(moe_bound_run(bound, case_pointer(300 + turn)));
        assert_int_equal(device->events, events);
        for (int i = 0; i < events; i++) {
            same_event(&device->event[i], &plain[i]);
            assert_ptr_equal(device->event[i].stream, case_pointer(300 + turn));
        }
    }
    moe_bound_destroy(bound);
}

static void test_same_as_run(void **unused) {
    (void)unused;
    case_db(LAYER);
    recorder *device = recorder_open(FACTS);
    moe_plan *plan = case_plan(device, LAYER, NULL);
    static const int64_t tokens[] = {1, 2, 16, 17, 256, 1000};
    for (size_t i = 0; i < sizeof tokens / sizeof *tokens; i++)
        same_as_run(device, plan, case_io(0), tokens[i]);
    moe_io all = case_io(0);
    all.counts = case_pointer(20);
    all.mean_probs = case_pointer(21);
    all.losses = case_pointer(22);
    all.slot_rows = case_pointer(23);
    all.bias_rate = 0.25f;
    same_as_run(device, plan, all, 16);
    same_as_run(device, plan, all, 0);
    all.routing_given = true;
    all.ids = case_pointer(24);
    all.weights = case_pointer(25);
    same_as_run(device, plan, all, 16);
    moe_plan_destroy(plan);
    recorder_close(device);
}

/* Maps are encoded when a run is bound, and not when it runs. */
static void test_maps_are_encoded_once(void **unused) {
    (void)unused;
    recorder *device = recorder_open(FACTS);
    const moe_layer layer = case_layer(LAYER);
    moe_plan *plan = fused_plan(device, &layer);
    moe_bound *bound = NULL;
    moe_io io = case_io((size_t)1 << 30);
    CHECK(moe_plan_bind(plan, &io, 16, &bound));
    assert_int_equal(device->maps, 2);
    for (int turn = 0; turn < 3; turn++) CHECK(moe_bound_run(bound, NULL));
    assert_int_equal(device->maps, 2);
    assert_int_equal(device->events, 6);
    for (int i = 1; i < 6; i += 2) {
        const moe_tensor_view up = recorder_map(&device->event[i], 0);
        assert_true(up.address == (uintptr_t)io.up);
    }
    moe_bound_destroy(bound);
    moe_plan_destroy(plan);
    recorder_close(device);
}

/* What a run would refuse, a bind refuses; and a failing launch is named. */
static void test_failures(void **unused) {
    (void)unused;
    recorder *device = recorder_open(FACTS);
    const moe_layer layer = case_layer(LAYER);
    moe_plan *plan = fused_plan(device, &layer);
    moe_bound *bound = NULL;
    moe_io io = case_io((size_t)1 << 30);
    CHECK_FAILS(moe_plan_bind(plan, NULL, 16, &bound), MOE_E_INVALID, "io is NULL");
    CHECK_FAILS(moe_plan_bind(plan, &io, -1, &bound), MOE_E_INVALID, "T=-1");
    io.x = NULL;
    CHECK_FAILS(moe_plan_bind(plan, &io, 16, &bound), MOE_E_INVALID, "io.x is NULL");
    assert_null(bound);
    io.x = case_pointer(0);
    CHECK(moe_plan_bind(plan, &io, 16, &bound));
    device->fail_launch = 2;
    CHECK_FAILS(moe_bound_run(bound, NULL), MOE_E_FAULT, "experts, kernel experts_0: told to fail");
    CHECK(moe_bound_run(bound, NULL));
    moe_bound_destroy(bound);
    moe_bound_destroy(NULL);
    moe_plan_destroy(plan);
    recorder_close(device);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_same_as_run, case_start, case_stop),
        cmocka_unit_test(test_maps_are_encoded_once),
        cmocka_unit_test(test_failures),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
