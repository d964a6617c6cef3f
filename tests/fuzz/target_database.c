/* target_database.c - a tuning database as bytes: what a plan makes of its rows. */
#include "targets.h"

#include "device/device.h"
#include "store/storage.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char layer_text[] = "d=64 f=32 e=8 k=2";

static void try_plan(moe_db *db) {
    static moe_device *device;
    char text[2048];
    moe_layer layer;
    moe_plan *plan = NULL;
    if (!device) fuzz_check(!moe_device_open("null", &device), "no device", moe_error_text());
    moe_layer_parse(layer_text, &layer);
    if (moe_plan_create(db, device, &layer, NULL, &plan)) return;
    size_t bytes;
    if (!moe_plan_workspace(plan, 64, &bytes)) moe_plan_explain(plan, 64, text, sizeof text);
    moe_plan_destroy(plan);
}

bool fuzz_database(const char *data, size_t size) {
    moe_db *db = NULL;
    moe_status status = moe_db_open(fuzz_file("t.db", data, size), &db);
    if (!status) try_plan(db);
    moe_db_close(db);
    return !status;
}

static void must(moe_status status) { fuzz_check(!status, "no database", moe_error_text()); }

/* A record of every op, with the smallest code that looks like some. */
static void fill(moe_storage *store) {
    static char ptx[] = ".version 8.0\n.target sm_90a\n.address_size 64\n";
    moe_compiled compiled = {.outcome = MOE_OUTCOME_OK, .hash = "0123456789abcdef", .ptx = ptx,
                             .toolkit = "13.0", .log = (char[]){""}};
    const moe_evidence evidence = {.compiled = &compiled, .source = "// source"};
    moe_device *device;
    moe_layer layer;
    int64_t row;
    must(moe_launch_parse("kernel=k grid=fixed(1) block=32", &compiled.image.launch));
    snprintf(compiled.image.arch, sizeof compiled.image.arch, "sm_90a");
    compiled.image.ptx = ptx;
    compiled.image.ptx_size = strlen(ptx);
    must(moe_layer_parse(layer_text, &layer));
    must(moe_device_open("null", &device));
    must(moe_storage_device(store, moe_device_facts(device), &row));
    for (int kind = 0; kind < MOE_PLAIN_OPS; kind++) {
        static moe_record record;
        record = (moe_record){.measurement = {.outcome = MOE_OUTCOME_OK, .n = 1, .med = 1000,
                                              .timer = MOE_TIMER_MODEL}};
        record.op = moe_op_make((moe_op_kind)kind, &layer, 64, MOE_ROUTING_UNIFORM, MOE_CACHE_COLD);
        snprintf(record.template_id, sizeof record.template_id, "t@00000001");
        must(moe_storage_put(store, row, &record, &evidence));
    }
    moe_device_close(device);
}

char *fuzz_database_make(size_t *size) {
    const char *path = fuzz_file("made.db", "", 0);
    moe_storage *store;
    must(moe_storage_open(path, &store));
    fill(store);
    moe_storage_close(store);
    FILE *file = fopen(path, "rb");
    fuzz_check(file && !fseek(file, 0, SEEK_END), "no database", path);
    *size = (size_t)ftell(file);
    rewind(file);
    char *bytes = malloc(*size + 1);
    fuzz_check(bytes && fread(bytes, 1, *size, file) == *size, "no database", path);
    fclose(file);
    return bytes;
}
