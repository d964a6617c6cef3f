/* plan_case.c - what the tests of plans and of their runs share. */
#include "plan_case.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

char case_folder[256], case_path[300];

/* One image for each op and `tag`; permute has two kernels, and all but combine use scratch. */
void case_images(sqlite3 *db, int tag, int align) {
    static const char *const launches[MOE_PLAIN_OPS] = {
        "kernel=route_%d grid=tokens(16) block=128 smem=%d align=1 scratch_token=4",
        "kernel=permute_%d_count grid=rows(32) block=256 kernel=permute_%d_scatter grid=rows(32) "
        "block=64 align=1 scratch_fixed=100 scratch_block=1000",
        "kernel=gemm_up_%d grid=row_tiles(16,3) block=256 smem=%d align=%d",
        "kernel=gemm_down_%d grid=row_tiles(16,2) block=256 cluster=2 align=%d scratch_fixed=300",
        "kernel=combine_%d grid=sms(2) block=32",
    };
    const int numbers[MOE_PLAIN_OPS][3] = {
        {tag, 1000, 0}, {tag, tag, 0}, {tag, 2000, align}, {tag, align, 0}, {tag, 0, 0}};
    for (int kind = 0; kind < MOE_PLAIN_OPS; kind++) {
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

int64_t case_record(sqlite3 *db, int64_t device, int kind, const char *layer, int64_t tokens,
                          int tag, int64_t n) {
    char hash[32], config[32];
    snprintf(hash, sizeof hash, "%s%d", moe_op_names[kind], tag);
    snprintf(config, sizeof config, "tag=%d", tag);
    return synthetic_record(db, &(synthetic_row){
        .device = device, .kind = (moe_op_kind)kind, .layer = layer, .tokens = tokens,
        .config = config, .n = n, .med = 1000 + tag, .is_default = n == 0, .image = hash});
}

void case_records(sqlite3 *db, int64_t device, const char *layer, int64_t tokens, int tag) {
    for (int kind = 0; kind < MOE_PLAIN_OPS; kind++)
        case_record(db, device, kind, layer, tokens, tag, 1);
}

/* Buckets 1, 16 and 256 with kernels 1, 2 and 3; only 3 aligns its rows. */
void case_db(const char *layer) {
    sqlite3 *db = synthetic_open(case_path);
    int64_t device = synthetic_device(db, FACTS);
    case_images(db, 1, 1);
    case_images(db, 2, 1);
    case_images(db, 3, 16);
    case_records(db, device, layer, 1, 1);
    case_records(db, device, layer, 16, 2);
    case_records(db, device, layer, 256, 3);
    synthetic_close(db);
}

int case_start(void **unused) {
    (void)unused;
    scratch_make(case_folder, sizeof case_folder);
    snprintf(case_path, sizeof case_path, "%s/tuning.db", case_folder);
    return 0;
}

int case_stop(void **unused) {
    (void)unused;
    scratch_remove(case_folder);
    return 0;
}

moe_layer case_layer(const char *text) {
    moe_layer layer;
    CHECK(moe_layer_parse(text, &layer));
    return layer;
}

moe_status case_try(recorder *device, const char *text, const moe_plan_options *options,
                           moe_plan **out) {
    moe_layer layer = case_layer(text);
    moe_plan_options own = options ? *options : (moe_plan_options){0};
    moe_db *db = NULL;
    own.size = sizeof own;
    CHECK(moe_db_open(case_path, &db));
    moe_status status = moe_plan_create(db, &device->device, &layer, options ? &own : NULL, out);
    moe_db_close(db);
    return status;
}

moe_plan *case_plan(recorder *device, const char *text, const moe_plan_options *options) {
    moe_plan *plan = NULL;
    CHECK(case_try(device, text, options, &plan));
    return plan;
}

/* Pointers that nothing dereferences, each easy to tell. */
void *case_pointer(int number) { return (void *)(uintptr_t)(0x100000 * (number + 1)); }

moe_io case_io(size_t workspace) {
    return (moe_io){.size = sizeof(moe_io),
                    .x = case_pointer(0),
                    .router_weight = case_pointer(1),
                    .router_bias = case_pointer(2),
                    .up = case_pointer(3),
                    .up_bias = case_pointer(4),
                    .down = case_pointer(5),
                    .down_bias = case_pointer(6),
                    .y = case_pointer(7),
                    .workspace = case_pointer(100),
                    .workspace_size = workspace};
}

/* Runs T tokens with just enough workspace; what happened is in device->event. */
moe_io case_run(recorder *device, const moe_plan *plan, moe_io io, int64_t tokens) {
    size_t size;
    CHECK(moe_plan_workspace(plan, tokens, &size));
    io.workspace_size = size;
    device->events = 0;
    CHECK(moe_plan_run(plan, &io, tokens, case_pointer(200)));
    return io;
}

const recorder_event *case_find(const recorder *device, const char *symbol) {
    for (int i = 0; i < device->events; i++)
        if (device->event[i].what == RECORDED_LAUNCH &&
            !strncmp(device->event[i].symbol, symbol, strlen(symbol)))
            return &device->event[i];
    return NULL;
}

const recorder_event *case_need(const recorder *device, const char *symbol) {
    const recorder_event *event = case_find(device, symbol);
    if (!event) fail_msg("no launch of %s", symbol);
    return event;
}

uint64_t case_argument(const recorder *device, const char *symbol, moe_op_kind kind,
                         moe_arg arg) {
    return recorder_arg(case_need(device, symbol), kind, arg);
}

const recorder_event *case_fill(const recorder *device, uint64_t to) {
    for (int i = 0; i < device->events; i++)
        if (device->event[i].what == RECORDED_FILL && device->event[i].to == to)
            return &device->event[i];
    return NULL;
}

