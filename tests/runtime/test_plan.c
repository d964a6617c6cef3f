/* label: unit - plans: which kernels serve which token counts, what a run launches and with which
 * arguments, and what is said about misuse. */
#include "check.h"
#include "recorder.h"
#include "synthetic.h"

#include "assemble.h"
#include "device_null.h"
#include "workspace.h"

#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LAYER "d=64 f=32 e=8 k=2 bias=router,up,down"
#define CAPPED "d=64 f=32 e=8 k=2 capacity=1.25"
#define FACTS "sm_90a \"test\" sms=10 smem=232448 simulated=1"

enum { D = 64, F = 32, E = 8, K = 2 };

static char folder[256], path[300];

/* ------------------------------------------------------------------------------------ databases */

/* One image for each op and `tag`; permute has two kernels, and all but combine use scratch. */
static void add_images(sqlite3 *db, int tag, int align) {
    static const char *const launches[MOE_OP_COUNT] = {
        "kernel=route_%d grid=tokens(16) block=128 smem=%d align=1 scratch_token=4",
        "kernel=permute_%d_count grid=rows(32) block=256 kernel=permute_%d_scatter grid=rows(32) "
        "block=64 align=1 scratch_fixed=100 scratch_block=1000",
        "kernel=gemm_up_%d grid=row_tiles(16,3) block=256 smem=%d align=%d",
        "kernel=gemm_down_%d grid=row_tiles(16,2) block=256 cluster=2 align=%d scratch_fixed=300",
        "kernel=combine_%d grid=sms(2) block=32",
    };
    const int numbers[MOE_OP_COUNT][3] = {
        {tag, 1000, 0}, {tag, tag, 0}, {tag, 2000, align}, {tag, align, 0}, {tag, 0, 0}};
    for (int kind = 0; kind < MOE_OP_COUNT; kind++) {
        char hash[32], launch[512];
        snprintf(hash, sizeof hash, "%s%d", moe_op_names[kind], tag);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
        snprintf(launch, sizeof launch, launches[kind], numbers[kind][0], numbers[kind][1],
                 numbers[kind][2]);
#pragma GCC diagnostic pop
        synthetic_image(db, hash, "sm_80", launch, "cp");
    }
}

static int64_t add_record(sqlite3 *db, int64_t device, int kind, const char *layer, int64_t tokens,
                          int tag, int64_t n) {
    char hash[32], config[32];
    snprintf(hash, sizeof hash, "%s%d", moe_op_names[kind], tag);
    snprintf(config, sizeof config, "tag=%d", tag);
    return synthetic_record(db, &(synthetic_row){
        .device = device, .kind = (moe_op_kind)kind, .layer = layer, .tokens = tokens,
        .config = config, .n = n, .med = 1000 + tag, .is_default = n == 0, .image = hash});
}

static void add_layer(sqlite3 *db, int64_t device, const char *layer, int64_t tokens, int tag) {
    for (int kind = 0; kind < MOE_OP_COUNT; kind++)
        add_record(db, device, kind, layer, tokens, tag, 1);
}

/* Buckets 1, 16 and 256 with kernels 1, 2 and 3; only 3 aligns its rows. */
static void make_db(const char *layer) {
    sqlite3 *db = synthetic_open(path);
    int64_t device = synthetic_device(db, FACTS);
    add_images(db, 1, 1);
    add_images(db, 2, 1);
    add_images(db, 3, 16);
    add_layer(db, device, layer, 1, 1);
    add_layer(db, device, layer, 16, 2);
    add_layer(db, device, layer, 256, 3);
    synthetic_close(db);
}

static int start(void **unused) {
    (void)unused;
    scratch_make(folder, sizeof folder);
    snprintf(path, sizeof path, "%s/tuning.db", folder);
    return 0;
}

static int stop(void **unused) {
    (void)unused;
    scratch_remove(folder);
    return 0;
}

static moe_layer layer_of(const char *text) {
    moe_layer layer;
    CHECK(moe_layer_parse(text, &layer));
    return layer;
}

static moe_status try_plan(recorder *device, const char *text, const moe_plan_options *options,
                           moe_plan **out) {
    moe_layer layer = layer_of(text);
    moe_db *db = NULL;
    CHECK(moe_db_open(path, &db));
    moe_status status = moe_plan_create(db, &device->device, &layer, options, out);
    moe_db_close(db);
    return status;
}

static moe_plan *make_plan(recorder *device, const char *text, const moe_plan_options *options) {
    moe_plan *plan = NULL;
    CHECK(try_plan(device, text, options, &plan));
    return plan;
}

/* -------------------------------------------------------------------------------------- one run */

/* Pointers that nothing dereferences, each easy to tell. */
static void *fake(int number) { return (void *)(uintptr_t)(0x100000 * (number + 1)); }

static moe_io full_io(size_t workspace) {
    return (moe_io){.x = fake(0), .router_weight = fake(1), .router_bias = fake(2), .up = fake(3),
                    .up_bias = fake(4), .down = fake(5), .down_bias = fake(6), .y = fake(7),
                    .workspace = fake(100), .workspace_size = workspace};
}

/* Runs T tokens with just enough workspace; what happened is in device->event. */
static moe_io run(recorder *device, const moe_plan *plan, moe_io io, int64_t tokens) {
    size_t size;
    CHECK(moe_plan_workspace(plan, tokens, &size));
    io.workspace_size = size;
    device->events = 0;
    CHECK(moe_plan_run(plan, &io, tokens, fake(200)));
    return io;
}

static const recorder_event *find(const recorder *device, const char *symbol) {
    for (int i = 0; i < device->events; i++)
        if (device->event[i].what == RECORDED_LAUNCH &&
            !strncmp(device->event[i].symbol, symbol, strlen(symbol)))
            return &device->event[i];
    return NULL;
}

static const recorder_event *need(const recorder *device, const char *symbol) {
    const recorder_event *event = find(device, symbol);
    if (!event) fail_msg("no launch of %s", symbol);
    return event;
}

static void test_sequence(void **unused) {
    (void)unused;
    make_db(LAYER);
    recorder *device = recorder_open(FACTS);
    moe_plan *plan = make_plan(device, LAYER, NULL);
    run(device, plan, full_io(0), 16);
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
        assert_ptr_equal(event->stream, fake(200));
    }
    moe_plan_destroy(plan);
    assert_int_equal(device->loads, device->unloads);
    recorder_close(device);
}

/* A grid that a cluster does not divide is rounded up to whole clusters. */
static void test_clusters(void **unused) {
    (void)unused;
    sqlite3 *db = synthetic_open(path);
    int64_t tuned = synthetic_device(db, FACTS);
    add_images(db, 1, 1);
    synthetic_run(db,
                  "UPDATE image SET launch = 'kernel=gemm_up_1 grid=fixed(5) block=32 cluster=4 "
                  "align=1' WHERE hash = 'gemm_up1'");
    add_layer(db, tuned, LAYER, 16, 1);
    synthetic_close(db);
    recorder *device = recorder_open(FACTS);
    moe_plan *plan = make_plan(device, LAYER, NULL);
    run(device, plan, full_io(0), 16);
    assert_int_equal(need(device, "gemm_up_1")->dims.grid[0], 8);
    moe_plan_destroy(plan);
    recorder_close(device);
}

static uint64_t argument(const recorder *device, const char *symbol, moe_op_kind kind,
                         moe_arg arg) {
    return recorder_arg(need(device, symbol), kind, arg);
}

/* Every pointer of the caller arrives where it belongs; the rest lies inside the workspace, in
 * pieces that do not overlap. */
static void test_arguments(void **unused) {
    (void)unused;
    make_db(LAYER);
    recorder *device = recorder_open(FACTS);
    moe_plan *plan = make_plan(device, LAYER, NULL);
    moe_io io = run(device, plan, full_io(0), 256);
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
        assert_true(argument(device, expected[i].symbol, expected[i].kind, expected[i].arg) ==
                    (uintptr_t)expected[i].value);
    assert_int_equal(argument(device, "permute_3_count", MOE_OP_permute, MOE_ARG_tokens), 256);
    assert_int_equal(argument(device, "permute_3_count", MOE_OP_permute, MOE_ARG_capacity), 512);
    assert_int_equal(argument(device, "permute_3_count", MOE_OP_permute, MOE_ARG_row_align), 16);

    const int64_t rows = 512 + 8 * 15;
    const struct {
        const char *symbol;
        moe_op_kind kind;
        moe_arg arg;
        int64_t bytes;
    } pieces[] = {
        {"route_3", MOE_OP_route, MOE_ARG_ids, 512 * 4},
        {"route_3", MOE_OP_route, MOE_ARG_weights, 512 * 4},
        {"permute_3", MOE_OP_permute, MOE_ARG_expert_start, (E + 1) * 4},
        {"permute_3", MOE_OP_permute, MOE_ARG_expert_rows, E * 4},
        {"permute_3", MOE_OP_permute, MOE_ARG_tile_start, 5 * (E + 1) * 4},
        {"permute_3", MOE_OP_permute, MOE_ARG_slot_rows, 512 * 4},
        {"permute_3", MOE_OP_permute, MOE_ARG_row_slots, rows * 4},
        {"gemm_up_3", MOE_OP_gemm_up, MOE_ARG_h, rows * F * 2},
        {"gemm_down_3", MOE_OP_gemm_down, MOE_ARG_y_rows, rows * D * 2},
        {"permute_3", MOE_OP_permute, MOE_ARG_scratch, 100 + 1000 * 16},
    };
    uint64_t end = (uintptr_t)io.workspace;
    for (size_t i = 0; i < sizeof pieces / sizeof pieces[0]; i++) {
        uint64_t at = argument(device, pieces[i].symbol, pieces[i].kind, pieces[i].arg);
        assert_int_equal(at % 256, 0);
        assert_true(at >= end);
        end = at + (uint64_t)pieces[i].bytes;
    }
    assert_true(end <= (uintptr_t)io.workspace + io.workspace_size);
    assert_true(argument(device, "gemm_up_3", MOE_OP_gemm_up, MOE_ARG_row_slots) ==
                argument(device, "permute_3", MOE_OP_permute, MOE_ARG_row_slots));
    assert_true(argument(device, "combine_3", MOE_OP_combine, MOE_ARG_weights) ==
                argument(device, "route_3", MOE_OP_route, MOE_ARG_weights));
    moe_plan_destroy(plan);
    recorder_close(device);
}

static const recorder_event *fill_of(const recorder *device, uint64_t to) {
    for (int i = 0; i < device->events; i++)
        if (device->event[i].what == RECORDED_FILL && device->event[i].to == to)
            return &device->event[i];
    return NULL;
}

static void test_statistics(void **unused) {
    (void)unused;
    make_db(LAYER);
    recorder *device = recorder_open(FACTS);
    moe_plan *plan = make_plan(device, LAYER, NULL);
    moe_io io = full_io(0);
    io.counts = fake(10);
    io.mean_probs = fake(11);
    io.ids = fake(12);
    io.weights = fake(13);
    io.slot_rows = fake(14);
    run(device, plan, io, 16);
    uint64_t sums = argument(device, "route_2", MOE_OP_route, MOE_ARG_prob_sums);
    assert_true(sums != 0);
    assert_true(argument(device, "route_2", MOE_OP_route, MOE_ARG_counts) == (uintptr_t)io.counts);
    assert_true(argument(device, "permute_2", MOE_OP_permute, MOE_ARG_counts) == 0);
    assert_true(argument(device, "permute_2", MOE_OP_permute, MOE_ARG_prob_sums) == sums);
    assert_true(argument(device, "permute_2", MOE_OP_permute, MOE_ARG_mean_probs) ==
                (uintptr_t)io.mean_probs);
    assert_true(argument(device, "permute_2", MOE_OP_permute, MOE_ARG_ids) == (uintptr_t)io.ids);
    assert_true(argument(device, "combine_2", MOE_OP_combine, MOE_ARG_weights) ==
                (uintptr_t)io.weights);
    assert_true(argument(device, "combine_2", MOE_OP_combine, MOE_ARG_slot_rows) ==
                (uintptr_t)io.slot_rows);
    assert_non_null(fill_of(device, sums));
    assert_int_equal(fill_of(device, sums)->bytes, E * 8);
    assert_non_null(fill_of(device, (uintptr_t)io.counts));
    assert_int_equal(fill_of(device, (uintptr_t)io.counts)->bytes, E * 4);
    assert_ptr_equal(device->event[0].stream, fake(200));
    assert_int_equal(device->event[0].what, RECORDED_FILL); /* before any launch */
    moe_plan_destroy(plan);
    recorder_close(device);
}

static void test_routing_given(void **unused) {
    (void)unused;
    make_db(LAYER);
    recorder *device = recorder_open(FACTS);
    moe_plan *plan = make_plan(device, LAYER, NULL);
    moe_io io = full_io(0);
    io.routing_given = true;
    io.ids = fake(12);
    io.weights = fake(13);
    io.counts = fake(10);
    io.mean_probs = fake(11);
    io.router_weight = NULL;
    io.router_bias = NULL;
    run(device, plan, io, 16);
    assert_null(find(device, "route"));
    assert_true(argument(device, "permute_2", MOE_OP_permute, MOE_ARG_counts) ==
                (uintptr_t)io.counts);
    assert_true(argument(device, "permute_2", MOE_OP_permute, MOE_ARG_mean_probs) == 0);
    assert_true(argument(device, "permute_2", MOE_OP_permute, MOE_ARG_prob_sums) == 0);
    assert_true(argument(device, "permute_2", MOE_OP_permute, MOE_ARG_ids) == (uintptr_t)io.ids);
    assert_non_null(fill_of(device, (uintptr_t)io.mean_probs));
    assert_int_equal(fill_of(device, (uintptr_t)io.mean_probs)->bytes, E * 4);
    io.ids = NULL;
    CHECK_FAILS(moe_plan_run(plan, &(moe_io){0}, 16, NULL), MOE_E_INVALID, "io.workspace is NULL");
    io.workspace_size = 1 << 30;
    CHECK_FAILS(moe_plan_run(plan, &io, 16, NULL), MOE_E_INVALID, "io.ids is NULL");
    moe_plan_destroy(plan);
    recorder_close(device);
}

static void test_logits(void **unused) {
    (void)unused;
    make_db(LAYER);
    recorder *device = recorder_open(FACTS);
    moe_plan *plan = make_plan(device, LAYER, NULL);
    moe_io io = full_io(0);
    io.logits = (const float *)((char *)fake(20) + 4);
    io.router_weight = NULL;
    io.router_bias = fake(2);
    run(device, plan, io, 16);
    assert_true(argument(device, "route_2", MOE_OP_route, MOE_ARG_logits) == (uintptr_t)io.logits);
    assert_true(argument(device, "route_2", MOE_OP_route, MOE_ARG_router_weight) == 0);
    assert_true(argument(device, "route_2", MOE_OP_route, MOE_ARG_router_bias) == 0);
    moe_plan_destroy(plan);
    recorder_close(device);
}

static void test_no_tokens(void **unused) {
    (void)unused;
    make_db(LAYER);
    recorder *device = recorder_open(FACTS);
    moe_plan *plan = make_plan(device, LAYER, NULL);
    size_t size = 1;
    CHECK(moe_plan_workspace(plan, 0, &size));
    assert_int_equal(size, 0);
    CHECK(moe_plan_run(plan, &(moe_io){0}, 0, NULL));
    assert_int_equal(device->events, 0);
    moe_io io = {.counts = fake(1), .mean_probs = fake(2)};
    CHECK(moe_plan_run(plan, &io, 0, fake(200)));
    assert_int_equal(device->events, 2);
    assert_non_null(fill_of(device, (uintptr_t)io.counts));
    assert_int_equal(fill_of(device, (uintptr_t)io.mean_probs)->bytes, E * 4);
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
    make_db(LAYER);
    recorder *device = recorder_open(FACTS);
    moe_plan *plan = make_plan(device, LAYER, NULL);
    for (size_t i = 0; i < sizeof needed / sizeof needed[0]; i++) {
        moe_io io = full_io(1 << 30);
        char *member = (char *)&io + needed[i].offset, message[64];
        memset(member, 0, sizeof(void *));
        snprintf(message, sizeof message, "%s is NULL", needed[i].name);
        CHECK_FAILS(moe_plan_run(plan, &io, 16, NULL), MOE_E_INVALID, message);
        *(uint64_t *)member = 0x1002;
        snprintf(message, sizeof message, "%s is not aligned", needed[i].name);
        CHECK_FAILS(moe_plan_run(plan, &io, 16, NULL), MOE_E_INVALID, message);
    }
    moe_io io = full_io(1 << 30);
    CHECK_FAILS(moe_plan_run(plan, NULL, 16, NULL), MOE_E_INVALID, "io is NULL");
    io.workspace_size = 100;
    CHECK_FAILS(moe_plan_run(plan, &io, 16, NULL), MOE_E_INVALID,
                "io.workspace has 100 bytes and T=16");
    assert_int_equal(device->events, 0);
    moe_plan_destroy(plan);

    /* A layer without biases takes no notice of them. */
    unlink(path);
    make_db(CAPPED);
    plan = make_plan(device, CAPPED, NULL);
    io = run(device, plan, full_io(0), 16);
    assert_true(argument(device, "gemm_up_2", MOE_OP_gemm_up, MOE_ARG_up_bias) == 0);
    assert_true(argument(device, "gemm_down_2", MOE_OP_gemm_down, MOE_ARG_down_bias) == 0);
    assert_true(argument(device, "route_2", MOE_OP_route, MOE_ARG_router_bias) == 0);
    assert_int_equal(argument(device, "permute_2", MOE_OP_permute, MOE_ARG_capacity), 5);
    moe_plan_destroy(plan);
    recorder_close(device);
}

static void test_tokens(void **unused) {
    (void)unused;
    make_db(LAYER);
    recorder *device = recorder_open(FACTS);
    moe_plan_options options = {.max_tokens = 100, .worst = MOE_MATCH_DEFAULT};
    moe_plan *plan = make_plan(device, LAYER, &options);
    moe_io io = full_io((size_t)1 << 40);
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
    plan = make_plan(device, LAYER, NULL);
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
    make_db(LAYER);
    recorder *device = recorder_open(FACTS);
    moe_plan *plan = make_plan(device, LAYER, NULL);
    moe_io io = full_io(1 << 30);
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
        unlink(path);
        make_db(layers[i]);
        recorder *device = recorder_open(FACTS);
        moe_plan *plan = make_plan(device, layers[i], NULL);
        size_t before = 0;
        for (int64_t tokens = 1; tokens < 700; tokens++) {
            size_t size;
            CHECK(moe_plan_workspace(plan, tokens, &size));
            assert_true(size >= before);
            before = size;
            device->events = 0;
            moe_io io = full_io(size);
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
                    moe_layer layer = {.d = 8, .f = 8, .e = e, .k = 1, .capacity = 0.5 * i};
                    int64_t bound = moe_workspace_rows(&layer, tokens, align);
                    int64_t worst =
                        worst_rows(tokens, e, align, moe_layer_capacity(&layer, tokens));
                    assert_true(bound >= worst);
                    assert_true(bound <= worst + e * align);
                }
}

/* ------------------------------------------------------------------------------------- choosing */

static void expect_kernels(recorder *device, const moe_plan *plan, int64_t tokens,
                           const char *gemm_up, const char *gemm_down) {
    run(device, plan, full_io(0), tokens);
    need(device, gemm_up);
    need(device, gemm_down);
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
    make_db(LAYER);
    recorder *device = recorder_open(FACTS);
    moe_plan *plan = make_plan(device, LAYER, NULL);
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
    sqlite3 *db = synthetic_open(path);
    int64_t tuned = synthetic_device(db, FACTS);
    add_images(db, 1, 1);
    for (int64_t tokens = 1; tokens <= 1 << 20; tokens *= 2) add_layer(db, tuned, LAYER, tokens, 1);
    synthetic_close(db);
    recorder *device = recorder_open(FACTS);
    moe_plan *plan = make_plan(device, LAYER, NULL);
    assert_int_equal(device->loads, MOE_OP_COUNT);
    moe_plan_destroy(plan);
    assert_int_equal(device->unloads, MOE_OP_COUNT);
    device->fail_load = 3;
    plan = NULL;
    CHECK_FAILS(try_plan(device, LAYER, NULL, &plan), MOE_E_DEVICE,
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
    make_db(LAYER);
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        moe_plan_options options = {.max_tokens = table[i].limit, .worst = MOE_MATCH_DEFAULT};
        recorder *device = recorder_open(FACTS);
        moe_plan *plan = make_plan(device, LAYER, &options);
        assert_int_equal(device->loads, table[i].buckets * MOE_OP_COUNT);
        moe_plan_destroy(plan);
        recorder_close(device);
    }
}

/* A pipeline timed as a whole beats the winners of the single steps, where it fits as well. */
static void test_choices(void **unused) {
    (void)unused;
    make_db(LAYER);
    sqlite3 *db = NULL;
    int64_t records[MOE_OP_COUNT], broken[MOE_OP_COUNT];
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    add_images(db, 7, 1);
    for (int kind = 0; kind < MOE_OP_COUNT; kind++) {
        records[kind] = add_record(db, 1, kind, LAYER, 16, 7, 1); /* slower on its own */
        broken[kind] = records[kind];
    }
    synthetic_choice(db, 1, LAYER, 16, 9000, records);
    broken[2] = add_record(db, 1, MOE_OP_gemm_up, LAYER, 256, 8, 1); /* has no image */
    synthetic_choice(db, 1, LAYER, 256, 9000, broken);
    synthetic_close(db);
    recorder *device = recorder_open(FACTS);
    moe_plan *plan = make_plan(device, LAYER, NULL);
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
    sqlite3 *db = synthetic_open(path);
    int64_t here = synthetic_device(db, FACTS), records[MOE_OP_COUNT];
    int64_t there = synthetic_device(db, "sm_90a \"other\" sms=20 smem=232448 simulated=1");
    add_images(db, 1, 1);
    add_images(db, 7, 1);
    add_layer(db, here, LAYER, 16, 1);
    for (int kind = 0; kind < MOE_OP_COUNT; kind++)
        records[kind] = add_record(db, there, kind, LAYER, 16, 7, 1);
    synthetic_choice(db, there, LAYER, 16, 10, records);
    synthetic_close(db);
    recorder *device = recorder_open(FACTS);
    recorder *third = recorder_open("sm_90a \"third\" sms=21 smem=232448 simulated=1");
    moe_plan *plan = make_plan(device, LAYER, NULL), *near = make_plan(third, LAYER, NULL);
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
    make_db(LAYER);
    recorder *device = recorder_open(FACTS);
    recorder *other = recorder_open("sm_90a \"other\" sms=20 smem=232448 simulated=1");
    moe_plan_options exact = {.worst = MOE_MATCH_EXACT}, near = {.worst = MOE_MATCH_NEAR_TOKENS};
    moe_plan *plan = make_plan(device, LAYER, &exact);
    moe_io io = full_io(1 << 30);
    CHECK(moe_plan_run(plan, &io, 16, NULL));
    CHECK_FAILS(moe_plan_run(plan, &io, 17, NULL), MOE_E_NOT_FOUND,
                "tune t=17, or allow near_tokens");
    moe_plan_destroy(plan);
    plan = make_plan(device, LAYER, &near);
    CHECK(moe_plan_run(plan, &io, 17, NULL));
    moe_plan_destroy(plan);
    plan = NULL;
    CHECK_FAILS(try_plan(other, LAYER, &near, &plan), MOE_E_NOT_FOUND, "is only near_device");
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
    sqlite3 *db = synthetic_open(path);
    CHECK_FAILS(try_plan(device, LAYER, NULL, &plan), MOE_E_NOT_FOUND,
                "no tuned kernel of route for this layer runs on recorder");
    int64_t tuned = synthetic_device(db, FACTS);
    add_images(db, 1, 1);
    for (int kind = 0; kind < MOE_OP_COUNT; kind++)
        if (kind != MOE_OP_gemm_down) add_record(db, tuned, kind, LAYER, 16, 1, 1);
    CHECK_FAILS(try_plan(device, LAYER, NULL, &plan), MOE_E_NOT_FOUND,
                "no tuned kernel of gemm_down");
    CHECK_CONTAINS(moe_error_text(),
                   "tune it: moetune tune --device recorder --layer 'd=64 f=32 e=8 "
                   "k=2 act=swiglu x=bf16 w=bf16 router=softmax>topk>renorm "
                   "capacity=none bias=router,up,down'");
    /* A default that nobody timed is better than nothing, and says what it is. */
    add_record(db, tuned, MOE_OP_gemm_down, LAYER, 16, 1, 0);
    synthetic_close(db);
    plan = make_plan(device, LAYER, NULL);
    moe_match match;
    CHECK(moe_plan_match(plan, 16, &match));
    assert_int_equal(match, MOE_MATCH_DEFAULT);
    moe_plan_destroy(plan);
    recorder_close(device);
}

static void test_options(void **unused) {
    (void)unused;
    make_db(LAYER);
    recorder *device = recorder_open(FACTS);
    moe_plan *plan = NULL;
    moe_layer layer = layer_of(LAYER);
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
        CHECK_FAILS(try_plan(device, LAYER, &table[i].options, &plan), MOE_E_INVALID,
                    table[i].message);
    CHECK_FAILS(moe_plan_create(NULL, &device->device, &layer, NULL, &plan), MOE_E_INVALID,
                "needed");
    layer.k = 9;
    moe_db *db = NULL;
    CHECK(moe_db_open(path, &db));
    CHECK_FAILS(moe_plan_create(db, &device->device, &layer, NULL, &plan), MOE_E_INVALID, "k=9");
    moe_db_close(db);
    moe_plan_options zipf = {.routing = "zipf", .cache = "warm", .worst = MOE_MATCH_DEFAULT};
    moe_match match;
    plan = make_plan(device, LAYER, &zipf);
    CHECK(moe_plan_match(plan, 16, &match));
    assert_int_equal(match, MOE_MATCH_NEAR_TOKENS);
    moe_plan_destroy(plan);
    recorder_close(device);
}

static void test_bad_align(void **unused) {
    (void)unused;
    sqlite3 *db = synthetic_open(path);
    int64_t tuned = synthetic_device(db, FACTS);
    add_images(db, 1, 48);
    add_layer(db, tuned, LAYER, 16, 1);
    synthetic_close(db);
    recorder *device = recorder_open(FACTS);
    moe_plan *plan = NULL;
    CHECK_FAILS(try_plan(device, LAYER, NULL, &plan), MOE_E_CORRUPT,
                "align=48 is not a power of two");
    assert_int_equal(device->loads, device->unloads);
    recorder_close(device);
}

/* A plan from images at hand runs them like one from a database, and needs no database. */
static void test_assembled(void **unused) {
    (void)unused;
    static const char *const launches[MOE_OP_COUNT] = {
        "kernel=route_0 grid=tokens(16) block=128",
        "kernel=permute_0 grid=rows(32) block=256 align=1 scratch_fixed=100",
        "kernel=gemm_up_0 grid=row_tiles(16,3) block=256 align=32",
        "kernel=gemm_down_0 grid=row_tiles(16,2) block=256 align=16",
        "kernel=combine_0 grid=sms(2) block=32",
    };
    moe_image images[MOE_OP_COUNT];
    const moe_image *pointers[MOE_OP_COUNT];
    for (int kind = 0; kind < MOE_OP_COUNT; kind++) {
        images[kind] = (moe_image){.arch = "sm_90a", .ptx = ".version 9.0", .ptx_size = 12};
        CHECK(moe_launch_parse(launches[kind], &images[kind].launch));
        pointers[kind] = &images[kind];
    }
    recorder *device = recorder_open(FACTS);
    moe_layer layer = layer_of(LAYER);
    moe_plan *plan = NULL;
    CHECK(moe_plan_assemble(&device->device, &layer, pointers, &plan));
    assert_int_equal(device->loads, MOE_OP_COUNT);
    for (int64_t tokens = 1; tokens < 1000; tokens *= 3) {
        run(device, plan, full_io(0), tokens);
        assert_int_equal(device->events, MOE_OP_COUNT);
        assert_int_equal(argument(device, "permute_0", MOE_OP_permute, MOE_ARG_row_align), 32);
    }
    moe_plan_destroy(plan);
    assert_int_equal(device->unloads, MOE_OP_COUNT);
    device->fail_load = 4;
    CHECK_FAILS(moe_plan_assemble(&device->device, &layer, pointers, &plan), MOE_E_DEVICE,
                "load gemm_down_0: told to fail");
    images[2].launch.align = 3;
    CHECK_FAILS(moe_plan_assemble(&device->device, &layer, pointers, &plan), MOE_E_CORRUPT,
                "align=3 is not a power of two");
    assert_int_equal(device->loads, device->unloads);
    recorder_close(device);
}

/* ------------------------------------------------------------------------------ the null device */

static void test_null_device(void **unused) {
    (void)unused;
    make_db(LAYER);
    moe_device *device = NULL;
    moe_db *db = NULL;
    moe_plan *plan = NULL;
    moe_layer layer = layer_of(LAYER);
    size_t size;
    CHECK(moe_device_open("null", &device));
    CHECK(moe_db_open(path, &db));
    CHECK(moe_plan_create(db, device, &layer, NULL, &plan));
    moe_db_close(db);
    CHECK(moe_plan_workspace(plan, 16, &size));
    moe_io io = full_io(size);
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
    make_db(LAYER);
    moe_device *device = NULL;
    moe_db *db = NULL;
    moe_plan *plan = NULL;
    moe_layer layer = layer_of(LAYER);
    pthread_t thread[THREADS];
    runner runners[THREADS];
    CHECK(moe_device_open("null", &device));
    CHECK(moe_db_open(path, &db));
    CHECK(moe_plan_create(db, device, &layer, NULL, &plan));
    moe_db_close(db);
    for (int i = 0; i < THREADS; i++) {
        runners[i] = (runner){.plan = plan, .io = full_io(1 << 20), .number = i};
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

/* "auto" always finds something: a GPU, else the simulated H100. */
static void test_auto(void **unused) {
    (void)unused;
    moe_device *device = NULL;
    CHECK(moe_device_open("auto", &device));
    if (strcmp(device->name, "cuda:0") != 0) assert_string_equal(device->name, "sim:h100");
    moe_device_close(device);
}

static void test_registry(void **unused) {
    (void)unused;
    moe_device *device = NULL;
    CHECK_FAILS(moe_device_open("gpu", &device), MOE_E_NOT_FOUND,
                "'gpu' is not a device; use auto; cuda");
    CHECK_FAILS(moe_device_open("nul", &device), MOE_E_NOT_FOUND, "null: accepts every kernel");
    CHECK_FAILS(moe_device_open("", &device), MOE_E_NOT_FOUND, "is not a device");
    CHECK_FAILS(moe_device_open(NULL, &device), MOE_E_INVALID, "no name given");
    CHECK_FAILS(moe_device_open("null:3", &device), MOE_E_NOT_FOUND,
                "device null:3: the null device");
    char name[200];
    memset(name, 'x', sizeof name);
    memcpy(name, "cuda:", 5);
    name[sizeof name - 1] = '\0';
    CHECK_FAILS(moe_device_open(name, &device), MOE_E_INVALID, "too long");
    CHECK(moe_device_open("null", &device));
    assert_string_equal(moe_device_driver(device), "none");
    CHECK_CONTAINS(moe_device_text(device), "sm_90a \"null\" sm=90 sms=132");
    char in[] = "some bytes", out[sizeof in];
    void *memory = NULL;
    CHECK(moe_device_alloc(device, sizeof in, &memory));
    CHECK(moe_device_copy_in(device, memory, in, sizeof in));
    CHECK(moe_device_copy_out(device, out, memory, sizeof in));
    assert_string_equal(in, out);
    CHECK(device->class->poison(device->self, (uintptr_t)memory, 4));
    assert_int_equal(*(unsigned char *)memory, 0xff);
    CHECK(moe_device_free(device, memory));
    CHECK_FAILS(moe_device_alloc(device, SIZE_MAX, &memory), MOE_E_MEMORY, "no host memory");
    moe_device_close(device);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)
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
        TEST(test_buckets),
        TEST(test_loads),
        TEST(test_limited_loads),
        TEST(test_choices),
        TEST(test_choices_elsewhere),
        TEST(test_worst),
        TEST(test_missing_rows),
        TEST(test_options),
        TEST(test_bad_align), TEST(test_assembled),
        TEST(test_null_device), TEST(test_threads), TEST(test_auto),
        TEST(test_registry),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
