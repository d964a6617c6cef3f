/* label: unit - running a plan: what is launched and with which arguments, how much workspace it
 * takes, and what is said about misuse. */
#include "plan_case.h"

#include "core/workspace.h"
#include "device/device_null.h"

#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void test_sequence(void **unused) {
    (void)unused;
    case_db(LAYER);
    recorder *device = recorder_open(FACTS);
    moe_plan *plan = case_plan(device, LAYER, NULL);
    case_run(device, plan, case_io(0), 16);
    const struct {
        const char *symbol;
        unsigned grid, block, cluster, smem;
    } expected[] = {
        {"route_2", 1, 128, 1, 1000},
        {"permute_2_count", 1, 256, 1, 0},
        {"permute_2_scatter", 1, 64, 1, 0},
        {"gemm_up_2", (8 + 24 / 16) * 3, 256, 1, 2000},
        {"gemm_down_2", (8 + 24 / 16) * 2, 256, 2, 0},
        {"combine_2", 20, 32, 1, 0},
    };
    assert_int_equal(device->events, sizeof expected / sizeof expected[0]);
    for (int i = 0; i < device->events; i++) {
        const recorder_event *event = &device->event[i];
        assert_string_equal(event->symbol, expected[i].symbol);
        assert_int_equal(event->dims.grid[0], expected[i].grid);
        assert_int_equal(event->dims.grid[1], 1);
        assert_int_equal(event->dims.grid[2], 1);
        assert_int_equal(event->dims.block[0], expected[i].block);
        assert_int_equal(event->dims.cluster, expected[i].cluster);
        assert_int_equal(event->dims.smem, expected[i].smem);
        assert_ptr_equal(event->stream, case_pointer(200));
    }
    moe_plan_destroy(plan);
    assert_int_equal(device->loads, device->unloads);
    recorder_close(device);
}

/* A grid that a cluster does not divide is rounded up to whole clusters. */
static void test_clusters(void **unused) {
    (void)unused;
    sqlite3 *db = synthetic_open(case_path);
    int64_t tuned = synthetic_device(db, FACTS);
    case_images(db, 1, 1);
    synthetic_run(db,
                  "UPDATE image SET launch = 'kernel=gemm_up_1 grid=fixed(5) block=32 cluster=4 "
                  "align=1' WHERE hash = 'gemm_up1'");
    case_records(db, tuned, LAYER, 16, 1);
    synthetic_close(db);
    recorder *device = recorder_open(FACTS);
    moe_plan *plan = case_plan(device, LAYER, NULL);
    case_run(device, plan, case_io(0), 16);
    assert_int_equal(case_need(device, "gemm_up_1")->dims.grid[0], 8);
    moe_plan_destroy(plan);
    recorder_close(device);
}

/* Every pointer of the caller arrives where it belongs; the rest lies inside the workspace, in
 * pieces that do not overlap. */
static void test_arguments(void **unused) {
    (void)unused;
    case_db(LAYER);
    recorder *device = recorder_open(FACTS);
    moe_plan *plan = case_plan(device, LAYER, NULL);
    moe_io io = case_run(device, plan, case_io(0), 256);
    const struct {
        const char *symbol;
        moe_op_kind kind;
        moe_arg arg;
        const void *value;
    } expected[] = {
        {"route_3", MOE_OP_route, MOE_ARG_x, io.x},
        {"route_3", MOE_OP_route, MOE_ARG_router_weight, io.router_weight},
        {"route_3", MOE_OP_route, MOE_ARG_router_bias, io.router_bias},
        {"route_3", MOE_OP_route, MOE_ARG_logits, NULL},
        {"route_3", MOE_OP_route, MOE_ARG_counts, NULL},
        {"route_3", MOE_OP_route, MOE_ARG_prob_sums, NULL},
        {"permute_3_count", MOE_OP_permute, MOE_ARG_counts, NULL},
        {"permute_3_scatter", MOE_OP_permute, MOE_ARG_mean_probs, NULL},
        {"gemm_up_3", MOE_OP_gemm_up, MOE_ARG_x, io.x},
        {"gemm_up_3", MOE_OP_gemm_up, MOE_ARG_up, io.up},
        {"gemm_up_3", MOE_OP_gemm_up, MOE_ARG_up_bias, io.up_bias},
        {"gemm_down_3", MOE_OP_gemm_down, MOE_ARG_down, io.down},
        {"gemm_down_3", MOE_OP_gemm_down, MOE_ARG_down_bias, io.down_bias},
        {"combine_3", MOE_OP_combine, MOE_ARG_y, io.y},
    };
    for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++)
        assert_true(case_argument(device, expected[i].symbol, expected[i].kind, expected[i].arg) ==
                    (uintptr_t)expected[i].value);
    assert_int_equal(case_argument(device, "permute_3_count", MOE_OP_permute, MOE_ARG_tokens), 256);
    assert_int_equal(case_argument(device, "permute_3_count", MOE_OP_permute, MOE_ARG_capacity),
                     512);
    assert_int_equal(case_argument(device, "permute_3_count", MOE_OP_permute, MOE_ARG_row_align),
                     16);

    const int64_t rows = 512 + 8 * 15;
    const struct {
        const char *symbol;
        moe_op_kind kind;
        moe_arg arg;
        int64_t bytes;
    } pieces[] = {
        {"route_3", MOE_OP_route, MOE_ARG_ids, 512 * 4},
        {"route_3", MOE_OP_route, MOE_ARG_weights, 512 * 4},
        {"permute_3", MOE_OP_permute, MOE_ARG_slot_rows, 512 * 4},
        {"permute_3", MOE_OP_permute, MOE_ARG_expert_start, (E + 1) * 4},
        {"permute_3", MOE_OP_permute, MOE_ARG_expert_rows, E * 4},
        {"permute_3", MOE_OP_permute, MOE_ARG_tile_start, 7 * (E + 1) * 4},
        {"permute_3", MOE_OP_permute, MOE_ARG_row_slots, rows * 4},
        {"gemm_up_3", MOE_OP_gemm_up, MOE_ARG_h, rows * F * 2},
        {"gemm_down_3", MOE_OP_gemm_down, MOE_ARG_y_rows, rows * D * 2},
        {"permute_3", MOE_OP_permute, MOE_ARG_scratch, 100 + 1000 * 16},
    };
    uint64_t end = (uintptr_t)io.workspace;
    for (size_t i = 0; i < sizeof pieces / sizeof pieces[0]; i++) {
        uint64_t at = case_argument(device, pieces[i].symbol, pieces[i].kind, pieces[i].arg);
        assert_int_equal(at % 256, 0);
        assert_true(at >= end);
        end = at + (uint64_t)pieces[i].bytes;
    }
    assert_true(end <= (uintptr_t)io.workspace + io.workspace_size);
    assert_true(case_argument(device, "gemm_up_3", MOE_OP_gemm_up, MOE_ARG_row_slots) ==
                case_argument(device, "permute_3", MOE_OP_permute, MOE_ARG_row_slots));
    assert_true(case_argument(device, "combine_3", MOE_OP_combine, MOE_ARG_weights) ==
                case_argument(device, "route_3", MOE_OP_route, MOE_ARG_weights));
    moe_plan_destroy(plan);
    recorder_close(device);
}

static void test_statistics(void **unused) {
    (void)unused;
    case_db(LAYER);
    recorder *device = recorder_open(FACTS);
    moe_plan *plan = case_plan(device, LAYER, NULL);
    moe_io io = case_io(0);
    io.counts = case_pointer(10);
    io.mean_probs = case_pointer(11);
    io.ids = case_pointer(12);
    io.weights = case_pointer(13);
    io.slot_rows = case_pointer(14);
    case_run(device, plan, io, 16);
    uint64_t sums = case_argument(device, "route_2", MOE_OP_route, MOE_ARG_prob_sums);
    assert_true(sums != 0);
    assert_true(case_argument(device, "route_2", MOE_OP_route, MOE_ARG_counts) ==
                (uintptr_t)io.counts);
    assert_true(case_argument(device, "permute_2", MOE_OP_permute, MOE_ARG_counts) == 0);
    assert_true(case_argument(device, "permute_2", MOE_OP_permute, MOE_ARG_prob_sums) == sums);
    assert_true(case_argument(device, "permute_2", MOE_OP_permute, MOE_ARG_mean_probs) ==
                (uintptr_t)io.mean_probs);
    assert_true(case_argument(device, "permute_2", MOE_OP_permute, MOE_ARG_ids) ==
                (uintptr_t)io.ids);
    assert_true(case_argument(device, "combine_2", MOE_OP_combine, MOE_ARG_weights) ==
                (uintptr_t)io.weights);
    assert_true(case_argument(device, "combine_2", MOE_OP_combine, MOE_ARG_slot_rows) ==
                (uintptr_t)io.slot_rows);
    assert_non_null(case_fill(device, sums));
    assert_int_equal(case_fill(device, sums)->bytes, E * 8);
    assert_non_null(case_fill(device, (uintptr_t)io.counts));
    assert_int_equal(case_fill(device, (uintptr_t)io.counts)->bytes, E * 4);
    assert_ptr_equal(device->event[0].stream, case_pointer(200));
    assert_int_equal(device->event[0].what, RECORDED_FILL); /* before any launch */
    moe_plan_destroy(plan);
    recorder_close(device);
}

static void test_routing_given(void **unused) {
    (void)unused;
    case_db(LAYER);
    recorder *device = recorder_open(FACTS);
    moe_plan *plan = case_plan(device, LAYER, NULL);
    moe_io io = case_io(0);
    io.routing_given = true;
    io.ids = case_pointer(12);
    io.weights = case_pointer(13);
    io.counts = case_pointer(10);
    io.mean_probs = case_pointer(11);
    io.router_weight = NULL;
    io.router_bias = NULL;
    case_run(device, plan, io, 16);
    assert_null(case_find(device, "route"));
    assert_true(case_argument(device, "permute_2", MOE_OP_permute, MOE_ARG_counts) ==
                (uintptr_t)io.counts);
    assert_true(case_argument(device, "permute_2", MOE_OP_permute, MOE_ARG_mean_probs) == 0);
    assert_true(case_argument(device, "permute_2", MOE_OP_permute, MOE_ARG_prob_sums) == 0);
    assert_true(case_argument(device, "permute_2", MOE_OP_permute, MOE_ARG_ids) ==
                (uintptr_t)io.ids);
    assert_non_null(case_fill(device, (uintptr_t)io.mean_probs));
    assert_int_equal(case_fill(device, (uintptr_t)io.mean_probs)->bytes, E * 4);
    io.ids = NULL;
    CHECK_FAILS(moe_plan_run(plan, &(moe_io){.size = sizeof(moe_io)}, 16, NULL), MOE_E_INVALID,
                "io.workspace is NULL");
    io.workspace_size = 1 << 30;
    CHECK_FAILS(moe_plan_run(plan, &io, 16, NULL), MOE_E_INVALID, "io.ids is NULL");
    moe_plan_destroy(plan);
    recorder_close(device);
}

static void test_logits(void **unused) {
    (void)unused;
    case_db(LAYER);
    recorder *device = recorder_open(FACTS);
    moe_plan *plan = case_plan(device, LAYER, NULL);
    moe_io io = case_io(0);
    io.logits = (const float *)((char *)case_pointer(20) + 4);
    io.router_weight = NULL;
    io.router_bias = case_pointer(2);
    case_run(device, plan, io, 16);
    assert_true(case_argument(device, "route_2", MOE_OP_route, MOE_ARG_logits) ==
                (uintptr_t)io.logits);
    assert_true(case_argument(device, "route_2", MOE_OP_route, MOE_ARG_router_weight) == 0);
    assert_true(case_argument(device, "route_2", MOE_OP_route, MOE_ARG_router_bias) == 0);
    moe_plan_destroy(plan);
    recorder_close(device);
}

static void test_no_tokens(void **unused) {
    (void)unused;
    case_db(LAYER);
    recorder *device = recorder_open(FACTS);
    moe_plan *plan = case_plan(device, LAYER, NULL);
    size_t size = 1;
    CHECK(moe_plan_workspace(plan, 0, &size));
    assert_int_equal(size, 0);
    CHECK(moe_plan_run(plan, &(moe_io){.size = sizeof(moe_io)}, 0, NULL));
    assert_int_equal(device->events, 0);
    moe_io io = {.size = sizeof io, .counts = case_pointer(1), .mean_probs = case_pointer(2)};
    CHECK(moe_plan_run(plan, &io, 0, case_pointer(200)));
    assert_int_equal(device->events, 2);
    assert_non_null(case_fill(device, (uintptr_t)io.counts));
    assert_int_equal(case_fill(device, (uintptr_t)io.mean_probs)->bytes, E * 4);
    moe_plan_destroy(plan);
    recorder_close(device);
}

/* --------------------------------------------------------------------------------------- misuse */

static void test_pointers(void **unused) {
    (void)unused;
    const struct {
        const char *name;
        size_t offset;
    } needed[] = {
        {"io.x", offsetof(moe_io, x)},
        {"io.router_weight", offsetof(moe_io, router_weight)},
        {"io.router_bias", offsetof(moe_io, router_bias)},
        {"io.up", offsetof(moe_io, up)},
        {"io.up_bias", offsetof(moe_io, up_bias)},
        {"io.down", offsetof(moe_io, down)},
        {"io.down_bias", offsetof(moe_io, down_bias)},
        {"io.y", offsetof(moe_io, y)},
        {"io.workspace", offsetof(moe_io, workspace)},
    };
    case_db(LAYER);
    recorder *device = recorder_open(FACTS);
    moe_plan *plan = case_plan(device, LAYER, NULL);
    for (size_t i = 0; i < sizeof needed / sizeof needed[0]; i++) {
        moe_io io = case_io(1 << 30);
        char *member = (char *)&io + needed[i].offset, message[64];
        memset(member, 0, sizeof(void *));
        snprintf(message, sizeof message, "%s is NULL", needed[i].name);
        CHECK_FAILS(moe_plan_run(plan, &io, 16, NULL), MOE_E_INVALID, message);
        *(uint64_t *)member = 0x1002;
        snprintf(message, sizeof message, "%s is not aligned", needed[i].name);
        CHECK_FAILS(moe_plan_run(plan, &io, 16, NULL), MOE_E_INVALID, message);
    }
    moe_io io = case_io(1 << 30);
    CHECK_FAILS(moe_plan_run(plan, NULL, 16, NULL), MOE_E_INVALID, "io is NULL");
    io.workspace_size = 100;
    CHECK_FAILS(moe_plan_run(plan, &io, 16, NULL), MOE_E_INVALID,
                "io.workspace has 100 bytes and T=16");
    assert_int_equal(device->events, 0);
    moe_plan_destroy(plan);

    /* A layer without biases takes no notice of them. */
    unlink(case_path);
    case_db(CAPPED);
    plan = case_plan(device, CAPPED, NULL);
    io = case_run(device, plan, case_io(0), 16);
    assert_true(case_argument(device, "gemm_up_2", MOE_OP_gemm_up, MOE_ARG_up_bias) == 0);
    assert_true(case_argument(device, "gemm_down_2", MOE_OP_gemm_down, MOE_ARG_down_bias) == 0);
    assert_true(case_argument(device, "route_2", MOE_OP_route, MOE_ARG_router_bias) == 0);
    assert_int_equal(case_argument(device, "permute_2", MOE_OP_permute, MOE_ARG_capacity), 5);
    moe_plan_destroy(plan);
    recorder_close(device);
}

static void test_tokens(void **unused) {
    (void)unused;
    case_db(LAYER);
    recorder *device = recorder_open(FACTS);
    moe_plan_options options = {.max_tokens = 100, .worst = MOE_MATCH_DEFAULT};
    moe_plan *plan = case_plan(device, LAYER, &options);
    moe_io io = case_io((size_t)1 << 40);
    size_t size;
    moe_match match;
    char text[64];
    CHECK_FAILS(moe_plan_run(plan, &io, 101, NULL), MOE_E_INVALID, "T=101 is not in 0..100");
    CHECK_FAILS(moe_plan_run(plan, &io, -1, NULL), MOE_E_INVALID, "T=-1 is not in 0..100");
    CHECK_FAILS(moe_plan_workspace(plan, 101, &size), MOE_E_INVALID, "T=101");
    CHECK_FAILS(moe_plan_match(plan, 101, &match), MOE_E_INVALID, "T=101");
    CHECK_FAILS(moe_plan_explain(plan, 101, text, sizeof text), MOE_E_INVALID, "T=101");
    CHECK(moe_plan_run(plan, &io, 100, NULL));
    moe_plan_destroy(plan);
    plan = case_plan(device, LAYER, NULL);
    CHECK_FAILS(moe_plan_run(plan, &io, INT64_MAX, NULL), MOE_E_INVALID, "split the batch");
    CHECK_FAILS(moe_plan_run(plan, &io, (INT64_C(1) << 30), NULL), MOE_E_INVALID,
                "split the batch");
    CHECK_FAILS(moe_plan_run(plan, &io, INT_MAX / K, NULL), MOE_E_INVALID, "split the batch");
    device->events = 0;
    CHECK(moe_plan_run(plan, &io, INT_MAX / K - 1000, NULL));
    moe_plan_destroy(plan);
    recorder_close(device);
}

static void test_launch_failure(void **unused) {
    (void)unused;
    case_db(LAYER);
    recorder *device = recorder_open(FACTS);
    moe_plan *plan = case_plan(device, LAYER, NULL);
    moe_io io = case_io(1 << 30);
    device->fail_launch = 3;
    CHECK_FAILS(moe_plan_run(plan, &io, 16, NULL), MOE_E_FAULT,
                "permute, kernel permute_2_scatter: told to fail");
    moe_plan_destroy(plan);
    recorder_close(device);
}

/* ------------------------------------------------------------------------------------ workspace */

/* A workspace for T tokens serves every smaller T, in whichever bucket that falls. */
static void test_workspace_grows(void **unused) {
    (void)unused;
    const char *const layers[] = {LAYER, CAPPED};
    for (int i = 0; i < 2; i++) {
        unlink(case_path);
        case_db(layers[i]);
        recorder *device = recorder_open(FACTS);
        moe_plan *plan = case_plan(device, layers[i], NULL);
        size_t before = 0;
        for (int64_t tokens = 1; tokens < 700; tokens++) {
            size_t size;
            CHECK(moe_plan_workspace(plan, tokens, &size));
            assert_true(size >= before);
            before = size;
            device->events = 0;
            moe_io io = case_io(size);
            CHECK(moe_plan_run(plan, &io, tokens, NULL));
        }
        moe_plan_destroy(plan);
        recorder_close(device);
    }
}

/* The bound on rows against a count over every spread of slots. */
static int64_t worst_rows(int64_t slots, int64_t experts, int64_t align, int64_t capacity) {
    if (!experts) return slots ? -1 : 0;
    int64_t most = -1;
    for (int64_t mine = 0; mine <= slots; mine++) {
        int64_t kept = mine < capacity ? mine : capacity;
        int64_t others = worst_rows(slots - mine, experts - 1, align, capacity);
        if (others < 0) continue;
        int64_t rows = (kept + align - 1) / align * align + others;
        if (rows > most) most = rows;
    }
    return most;
}

static void test_row_bound(void **unused) {
    (void)unused;
    for (int64_t e = 1; e <= 4; e++)
        for (int64_t tokens = 1; tokens <= 10; tokens++)
            for (int64_t align = 1; align <= 8; align *= 2)
                for (int i = 0; i < 3; i++) {
                    moe_layer layer = {.d = 8, .f = 8, .e = e, .k = 1,
                                       .capacity = {.factor = 0.5 * i}};
                    int64_t bound = moe_workspace_rows(&layer, tokens, align);
                    int64_t worst =
                        worst_rows(tokens, e, align, moe_layer_capacity(&layer, tokens));
                    assert_true(bound >= worst);
                    assert_true(bound <= worst + e * align);
                }
}

/* ------------------------------------------------------------------------------ the null device */

static void test_null_device(void **unused) {
    (void)unused;
    case_db(LAYER);
    moe_device *device = NULL;
    moe_db *db = NULL;
    moe_plan *plan = NULL;
    moe_layer layer = case_layer(LAYER);
    size_t size;
    CHECK(moe_device_open("null", &device));
    CHECK(moe_db_open(case_path, &db));
    CHECK(moe_plan_create(db, device, &layer, NULL, &plan));
    moe_db_close(db);
    CHECK(moe_plan_workspace(plan, 16, &size));
    moe_io io = case_io(size);
    CHECK(moe_device_alloc(device, size, &io.workspace));
    float mean[E];
    memset(mean, 0x7f, sizeof mean);
    CHECK(moe_plan_run(plan, &io, 16, NULL));
    assert_int_equal(moe_null_launches(device), 6);
    io.mean_probs = mean;
    CHECK(moe_plan_run(plan, &io, 0, NULL));
    for (int i = 0; i < E; i++) assert_true(mean[i] == 0);
    CHECK(moe_device_sync(device, NULL));
    CHECK(moe_device_free(device, io.workspace));
    moe_plan_destroy(plan);
    moe_plan_destroy(NULL);
    moe_device_close(device);
    moe_device_close(NULL);
}

enum { THREADS = 4, THREAD_RUNS = 2000 };

typedef struct runner {
    const moe_plan *plan;
    moe_io io;
    int number, wrong;
} runner;

/* Good and bad runs by turns; each thread sees its own messages only. */
static void *run_many(void *object) {
    runner *self = object;
    for (int i = 0; i < THREAD_RUNS; i++) {
        char expected[32];
        snprintf(expected, sizeof expected, "T=%d is not in", -self->number - 1);
        self->wrong += moe_plan_run(self->plan, &self->io, 16, NULL) != MOE_OK;
        self->wrong +=
            moe_plan_run(self->plan, &self->io, -self->number - 1, NULL) != MOE_E_INVALID;
        self->wrong += strstr(moe_error_text(), expected) == NULL;
    }
    return NULL;
}

/* A plan and a device may be shared between threads. */
static void test_threads(void **unused) {
    (void)unused;
    case_db(LAYER);
    moe_device *device = NULL;
    moe_db *db = NULL;
    moe_plan *plan = NULL;
    moe_layer layer = case_layer(LAYER);
    pthread_t thread[THREADS];
    runner runners[THREADS];
    CHECK(moe_device_open("null", &device));
    CHECK(moe_db_open(case_path, &db));
    CHECK(moe_plan_create(db, device, &layer, NULL, &plan));
    moe_db_close(db);
    for (int i = 0; i < THREADS; i++) {
        runners[i] = (runner){.plan = plan, .io = case_io(1 << 20), .number = i};
        assert_int_equal(pthread_create(&thread[i], NULL, run_many, &runners[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(thread[i], NULL), 0);
        assert_int_equal(runners[i].wrong, 0);
    }
    assert_int_equal(moe_null_launches(device), THREADS * THREAD_RUNS * 6);
    moe_plan_destroy(plan);
    moe_device_close(device);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, case_start, case_stop)
    const struct CMUnitTest tests[] = {
        TEST(test_sequence),
        TEST(test_clusters),
        TEST(test_arguments),
        TEST(test_statistics),
        TEST(test_routing_given),
        TEST(test_logits),
        TEST(test_no_tokens),
        TEST(test_pointers),
        TEST(test_tokens),
        TEST(test_launch_failure),
        TEST(test_workspace_grows),
        TEST(test_row_bound),
        TEST(test_null_device),
        TEST(test_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
