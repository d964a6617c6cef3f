/* label: unit - layers of single neurons: which pipeline is theirs, what a run launches and with
 * which arguments, how little workspace it takes, and what it must not be asked for. */
#include "plan_case.h"

#include <string.h>

#define NEURONS "d=64 f=1 e=1048576 k=128 act=gelu router=peer(8,1024,256) bias=router"
#define VALUES "d=64 f=1 e=1048576 k=128 act=none router=peer(8,1024,256)"

static moe_plan *neurons_plan(recorder *device, const char *layer) {
    sqlite3 *db = synthetic_open(case_path);
    int64_t tuned = synthetic_device(db, FACTS);
    synthetic_image(db, "route1", "sm_80", "kernel=route_1 grid=tokens(16) block=128 align=1",
                    "cp");
    synthetic_image(db, "neurons1", "sm_80", "kernel=neurons_1 grid=tokens(1) block=128 align=1",
                    "cp");
    case_record(db, tuned, MOE_OP_route, layer, 16, 1, 1);
    case_record(db, tuned, MOE_OP_neurons, layer, 16, 1, 1);
    synthetic_close(db);
    return case_plan(device, layer, NULL);
}

static moe_io neurons_io(void) {
    moe_io io = case_io(0);
    io.router_keys = case_pointer(10);
    return io;
}

static void test_pipelines(void **unused) {
    (void)unused;
    const moe_layer neurons = case_layer(NEURONS), matrices = case_layer(LAYER);
    const moe_pipeline_info *looked_up = &moe_pipeline_table[MOE_PIPELINE_looked_up];
    assert_ptr_equal(moe_pipeline_plain(&neurons), looked_up);
    assert_ptr_equal(moe_pipeline_plain(&matrices), &moe_pipeline_table[MOE_PIPELINE_separate]);
    for (int kind = 0; kind < MOE_OP_COUNT; kind++) {
        assert_int_equal(moe_pipeline_wants(&neurons, (moe_op_kind)kind),
                         moe_pipeline_has(looked_up, (moe_op_kind)kind));
        assert_int_equal(moe_pipeline_wants(&matrices, (moe_op_kind)kind), kind != MOE_OP_neurons);
    }
}

static void test_arguments(void **unused) {
    (void)unused;
    recorder *device = recorder_open(FACTS);
    moe_plan *plan = neurons_plan(device, NEURONS);
    moe_io io = neurons_io();
    io.counts = case_pointer(11);
    case_run(device, plan, io, 16);
#define ARG(op, name) case_argument(device, #op "_1", MOE_OP_##op, MOE_ARG_##name)
    assert_int_equal(ARG(route, router_keys), (uintptr_t)io.router_keys);
    assert_int_equal(ARG(route, router_bias), (uintptr_t)io.router_bias);
    assert_int_equal(ARG(route, counts), (uintptr_t)io.counts);
    assert_int_equal(ARG(route, prob_sums), 0);
    assert_int_equal(ARG(neurons, counts), 0); /* counted already */
    assert_int_equal(ARG(neurons, ids), ARG(route, ids));
    assert_int_equal(ARG(neurons, up), (uintptr_t)io.up);
    assert_int_equal(case_fill(device, (uintptr_t)io.counts)->bytes, 4 << 20);
    io.logits = case_pointer(12);
    io.router_weight = io.router_keys = io.router_bias = NULL;
    case_run(device, plan, io, 16);
    assert_int_equal(ARG(route, logits), (uintptr_t)io.logits);
    io.routing_given = true;
    io.ids = case_pointer(13), io.weights = case_pointer(14);
    case_run(device, plan, io, 16);
    assert_null(case_find(device, "route_1"));
    assert_int_equal(ARG(neurons, ids), (uintptr_t)io.ids);
    assert_int_equal(ARG(neurons, counts), (uintptr_t)io.counts);
#undef ARG
    moe_plan_destroy(plan);
    recorder_close(device);
}

/* Ids, weights, flags and nothing by expert or by row. */
static void test_workspace(void **unused) {
    (void)unused;
    recorder *device = recorder_open(FACTS);
    moe_plan *plan = neurons_plan(device, NEURONS);
    size_t size;
    CHECK(moe_plan_workspace(plan, 16, &size));
    assert_in_range(size, 16 * 128 * 8, 16 * 128 * 8 + 16384);
    moe_plan_destroy(plan);
    recorder_close(device);
}

static void refused(const moe_plan *plan, moe_io io, moe_status because, const char *says) {
    size_t size;
    CHECK(moe_plan_workspace(plan, 16, &size));
    io.workspace_size = size;
    CHECK_FAILS(moe_plan_run(plan, &io, 16, NULL), because, says);
}

static void test_misuse(void **unused) {
    (void)unused;
    recorder *device = recorder_open(FACTS);
    moe_plan *plan = neurons_plan(device, NEURONS);
    moe_io io = neurons_io();
    io.router_keys = NULL;
    refused(plan, io, MOE_E_INVALID, "io.router_keys is NULL");
    io = neurons_io(), io.up = NULL;
    refused(plan, io, MOE_E_INVALID, "io.up is NULL");
    io = neurons_io(), io.mean_probs = case_pointer(20);
    refused(plan, io, MOE_E_UNSUPPORTED, "io.mean_probs must be NULL");
    io = neurons_io(), io.slot_rows = case_pointer(20);
    refused(plan, io, MOE_E_UNSUPPORTED, "io.slot_rows must be NULL");
    io = neurons_io(), io.losses = case_pointer(20);
    refused(plan, io, MOE_E_UNSUPPORTED, "io.losses must be NULL");
    moe_plan_destroy(plan);
    recorder_close(device);
}

static void test_values_need_no_up(void **unused) {
    (void)unused;
    recorder *device = recorder_open(FACTS);
    moe_plan *plan = neurons_plan(device, VALUES);
    moe_io io = neurons_io();
    io.up = NULL;
    case_run(device, plan, io, 16);
    assert_int_equal(case_argument(device, "neurons_1", MOE_OP_neurons, MOE_ARG_up), 0);
    moe_plan_destroy(plan);
    recorder_close(device);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pipelines),
        cmocka_unit_test_setup_teardown(test_arguments, case_start, case_stop),
        cmocka_unit_test_setup_teardown(test_workspace, case_start, case_stop),
        cmocka_unit_test_setup_teardown(test_misuse, case_start, case_stop),
        cmocka_unit_test_setup_teardown(test_values_need_no_up, case_start, case_stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
