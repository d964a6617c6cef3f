/* synthetic.c - databases made by hand. */
#include "synthetic.h"

#include "check.h"

#include "device/device.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void synthetic_run(sqlite3 *db, const char *sql) {
    char *message = NULL;
    if (sqlite3_exec(db, sql, NULL, NULL, &message) != SQLITE_OK)
        fail_msg("%s: %s", sql, message);
}

sqlite3 *synthetic_open(const char *path) {
    sqlite3 *db = NULL;
    char *schema = read_text("tuning_db/schema.sql", NULL);
    assert_non_null(schema);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    synthetic_run(db, "PRAGMA synchronous = OFF");
    synthetic_run(db, schema);
    free(schema);
    return db;
}

void synthetic_close(sqlite3 *db) { assert_int_equal(sqlite3_close(db), SQLITE_OK); }

/* Runs a statement whose values are given as text; NULL stays NULL. Returns the new row's id. */
static int64_t insert(sqlite3 *db, const char *sql, const char *const *value, int count) {
    sqlite3_stmt *statement = NULL;
    if (sqlite3_prepare_v2(db, sql, -1, &statement, NULL) != SQLITE_OK)
        fail_msg("%s: %s", sql, sqlite3_errmsg(db));
    for (int i = 0; i < count; i++)
        sqlite3_bind_text(statement, i + 1, value[i], -1, SQLITE_TRANSIENT);
    if (sqlite3_step(statement) != SQLITE_DONE) fail_msg("%s: %s", sql, sqlite3_errmsg(db));
    sqlite3_finalize(statement);
    return sqlite3_last_insert_rowid(db);
}
#define INSERT(db, sql, ...)                                                                       \
    insert(db, sql, (const char *const[]){__VA_ARGS__},                                            \
           (int)(sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *)))

typedef char digits[32];
static const char *whole(digits out, int64_t value) {
    snprintf(out, sizeof(digits), "%lld", (long long)value);
    return out;
}
static const char *real(digits out, double value) {
    snprintf(out, sizeof(digits), "%.17g", value);
    return out;
}

int64_t synthetic_device(sqlite3 *db, const char *text) {
    moe_facts facts;
    digits sms, simulated;
    CHECK(moe_facts_parse(text, &facts));
    return INSERT(db, "INSERT INTO device (text, arch, name, sms, simulated) VALUES (?,?,?,?,?)",
                  text, facts.arch, facts.name, whole(sms, facts.sms),
                  whole(simulated, facts.simulated));
}

void synthetic_image(sqlite3 *db, const char *hash, const char *arch, const char *launch,
                     const char *code) {
    INSERT(db,
           "INSERT INTO image (hash, arch, launch, toolkit, source, log, cubin, ptx) "
           "VALUES (?,?,?,'13.0','// source','', CAST(? AS BLOB), ?)",
           hash, arch, launch, strchr(code, 'c') ? "\177ELF fake" : NULL,
           strchr(code, 'p') ? SYNTHETIC_PTX : NULL);
}

int64_t synthetic_record(sqlite3 *db, const synthetic_row *row) {
    moe_layer layer;
    char shape[MOE_OP_TEXT_SIZE], id[64];
    digits device, tokens, n, med, mad, is_default;
    CHECK(moe_layer_parse(row->layer, &layer));
    moe_op op = moe_op_make(row->kind, &layer, row->tokens, MOE_ROUTING_UNIFORM, MOE_CACHE_COLD);
    moe_op_shape(&op, shape, sizeof shape);
    snprintf(id, sizeof id, "%s@00000001", moe_op_names[row->kind]);
    return INSERT(
        db,
        "INSERT INTO record (device, kind, shape, tokens, routing, cache, template, config,"
        " outcome, n, med, mad, err, timer, is_default, driver, toolkit, commit_id, date,"
        " clock, image) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,0,?,?,'none','13.0','-','-',0,?)",
        whole(device, row->device), moe_op_names[row->kind], shape, whole(tokens, row->tokens),
        row->routing ? row->routing : "uniform", row->cache ? row->cache : "cold", id,
        row->config ? row->config : "", row->outcome ? row->outcome : "ok", whole(n, row->n),
        real(med, row->med), real(mad, row->mad),
        row->timer ? row->timer
        : row->n   ? "model"
                   : "none",
        whole(is_default, row->is_default), row->image);
}

void synthetic_form(sqlite3 *db, int64_t device, const char *text, int64_t tokens, double med,
                    const moe_pipeline_info *form, const int64_t *records) {
    moe_layer layer;
    char line[MOE_LAYER_TEXT_SIZE], ops[128];
    digits number[4];
    moe_text list = moe_text_start(ops, sizeof ops);
    for (int i = 0; i < form->steps; i++)
        moe_text_add(&list, "%s%s", i ? " " : "", moe_op_names[form->step[i].op]);
    CHECK(moe_layer_parse(text, &layer));
    CHECK(moe_layer_print(&layer, line, sizeof line));
    int64_t choice = INSERT(
        db,
        "INSERT INTO choice (device, layer, tokens, routing, cache, pipeline, outcome, n, med, mad,"
        " err, timer, driver, toolkit, commit_id, date, clock) VALUES (?,?,?,'uniform','cold',"
        "?,'ok',1,?,0,0,'model','none','13.0','-','-',0)",
        whole(number[0], device), line, whole(number[1], tokens), ops, real(number[2], med));
    for (int i = 0; i < form->steps; i++)
        INSERT(db, "INSERT INTO choice_step (choice, step, record) VALUES (?,?,?)",
               whole(number[0], choice), whole(number[1], i), whole(number[2], records[i]));
}

void synthetic_choice(sqlite3 *db, int64_t device, const char *text, int64_t tokens, double med,
                      const int64_t *records) {
    synthetic_form(db, device, text, tokens, med, moe_pipeline_table, records);
}

void synthetic_plain(const char *path, const char *facts, const char *layer) {
    sqlite3 *db = synthetic_open(path);
    int64_t device = synthetic_device(db, facts);
    synthetic_image(db, "i", "sm_90a", "kernel=k grid=fixed(1) block=32 smem=1000", "cp");
    for (int kind = 0; kind < MOE_PLAIN_OPS; kind++)
        synthetic_record(db, &(synthetic_row){.device = device, .kind = (moe_op_kind)kind,
                                              .layer = layer, .tokens = 64, .n = 5, .med = 1000,
                                              .timer = "cupti", .image = "i"});
    synthetic_close(db);
}
