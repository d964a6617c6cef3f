/* db_files.c - small tuning databases made by hand, for tests of moetune db. */
#include "db_files.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <sqlite3.h>

const moe_facts db_files_facts = {
    .arch = "sm_80", .name = "sim:test", .sm = 80, .sms = 4, .smem = 100000, .smem_sm = 200000,
    .regs_sm = 65536, .threads_sm = 2048, .blocks_sm = 32, .l2 = 1 << 20, .memory = 1 << 30,
    .clock = 1000, .bandwidth = 100, .tensor_rate = 2048, .simulated = 1,
};

static void need(moe_status status) {
    if (status) fail_msg("%s", moe_error_text());
}

moe_storage *db_files_open(const char *path) {
    moe_storage *store = NULL;
    need(moe_storage_open(path, &store));
    return store;
}

moe_record db_files_record(const char *version, int64_t number, int64_t n, double med,
                           const char *date) {
    moe_layer layer;
    need(moe_layer_parse("d=64 f=32 e=4 k=2", &layer));
    moe_record record = {
        .op = moe_op_make(MOE_OP_gemm_up, &layer, 16, MOE_ROUTING_UNIFORM, MOE_CACHE_COLD),
        .config = {.count = 1, .param = {{"number", number}}},
        .measurement = {MOE_OUTCOME_OK, n, med, 0, 1e-3, MOE_TIMER_MODEL},
        .provenance = {0, "none", "13.0", "abcdef", "", 1000},
    };
    snprintf(record.template_id, sizeof record.template_id, "gemm@%s", version);
    snprintf(record.provenance.date, sizeof record.provenance.date, "%s", date);
    return record;
}

moe_choice db_files_layer(const char *version, int64_t number, double med, const char *date) {
    const moe_record record = db_files_record(version, number, 1, med, date);
    moe_choice choice = {.t = 16, .steps = 1, .measurement = record.measurement,
                         .provenance = record.provenance};
    need(moe_layer_parse("d=64 f=32 e=4 k=2", &choice.layer));
    choice.step[0] = (moe_step){.kind = MOE_OP_gemm_up, .config = record.config};
    strcpy(choice.step[0].template_id, record.template_id);
    return choice;
}

void db_files_put(const char *path, const moe_record *record, const char *samples, char *ptx) {
    char log[] = "";
    int64_t device;
    moe_storage *store = db_files_open(path);
    moe_compiled compiled = {.toolkit = "13.0", .ptx = ptx, .log = log};
    compiled.image = (moe_image){.arch = "sm_80", .ptx = ptx, .ptx_size = ptx ? strlen(ptx) : 0};
    compiled.image.launch = (moe_launch){
        .kernels = 1, .align = 16, .deterministic = 1,
        .kernel = {{.symbol = "k", .grid = {MOE_GRID_tokens, 4, 1}, .block = 128, .cluster = 1,
                    .smem = 512, .overlap = 1, .regs = 40, .static_smem = 64}}};
    snprintf(compiled.hash, sizeof compiled.hash, "%032lld",
             (long long)record->config.param[0].value);
    const moe_evidence evidence = {.samples = samples, .compiled = ptx ? &compiled : NULL,
                                   .source = "cuda"};
    need(moe_storage_device(store, &db_files_facts, &device));
    need(moe_storage_put(store, device, record, &evidence));
    moe_storage_close(store);
}

void db_files_put_layer(const char *path, const moe_choice *choice) {
    int64_t device;
    moe_storage *store = db_files_open(path);
    need(moe_storage_device(store, &db_files_facts, &device));
    need(moe_storage_put_choice(store, device, choice));
    moe_storage_close(store);
}

void db_files_sql(const char *path, const char *sql) {
    sqlite3 *db = NULL;
    char *error = NULL;
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    if (sqlite3_exec(db, sql, NULL, NULL, &error)) fail_msg("%s: %s", sql, error);
    sqlite3_close(db);
}
