/* storage.c - opening a tuning database for writing, and writing to it. */
#include "store/storage_sql.h"

#include "run/db.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { BUSY_MS = 60000 };

static const char schema[] =
#include "schema.inc"
    ;

static const char *const sql_texts[SQL_COUNT] = {
#define SQL(name, text) text,
#include "store/storage_sql.def"
#undef SQL
};

/* --------------------------------------------------------------------------------- SQLite */

/* What SQLite's codes mean for the user. */
static const struct {
    int code;
    moe_status status;
    const char *advice;
} failures[] = {
    {SQLITE_READONLY, MOE_E_IO, "the file or its folder is read-only; give another with --db FILE"},
    {SQLITE_CANTOPEN, MOE_E_IO, "it cannot be created or opened; give another with --db FILE"},
    {SQLITE_PERM, MOE_E_IO, "no permission; give another with --db FILE"},
    {SQLITE_FULL, MOE_E_IO,
     "the disk is full; free some space and run the command again, it resumes"},
    {SQLITE_IOERR, MOE_E_IO,
     "the disk refused a write; check its space and run the command again, it resumes"},
    {SQLITE_BUSY, MOE_E_IO, "another process has kept it locked for a minute; try again later"},
    {SQLITE_NOTADB, MOE_E_CORRUPT, "it is not a tuning database; give another with --db FILE"},
    {SQLITE_CORRUPT, MOE_E_CORRUPT,
     "it is damaged; move it away, and rebuild it with `moetune db build` or `moetune tune`"},
    {SQLITE_NOMEM, MOE_E_MEMORY, "out of memory"},
};

/* The status and message of SQLite's last failure. */
static moe_status fail(moe_storage *store, const char *what) {
    int code = sqlite3_errcode(store->db);
    for (size_t i = 0; i < sizeof failures / sizeof failures[0]; i++)
        if (failures[i].code == (code & 0xff))
            return moe_fail(failures[i].status, "database %s: %s (%s: %s)", store->path,
                            failures[i].advice, what, sqlite3_errmsg(store->db));
    return moe_fail(MOE_E_IO, "database %s: %s: %s", store->path, what, sqlite3_errmsg(store->db));
}

sqlite3_stmt *storage_start(moe_storage *store, storage_sql sql) {
    sqlite3_stmt *statement = store->statement[sql];
    sqlite3_reset(statement);
    sqlite3_clear_bindings(statement);
    return statement;
}

moe_status storage_step(moe_storage *store, sqlite3_stmt *statement, bool *row) {
    int code = sqlite3_step(statement);
    *row = code == SQLITE_ROW;
    if (code == SQLITE_ROW) return MOE_OK;
    moe_status status = code == SQLITE_DONE ? MOE_OK : fail(store, sqlite3_sql(statement));
    sqlite3_reset(statement);
    return status;
}

/* Runs a started statement that gives no row. */
static moe_status run(moe_storage *store, sqlite3_stmt *statement) {
    bool row;
    return storage_step(store, statement, &row);
}

void storage_bind_text(sqlite3_stmt *statement, int at, const char *text) {
    sqlite3_bind_text(statement, at, text ? text : "", -1, SQLITE_STATIC);
}

void storage_column_text(sqlite3_stmt *statement, int at, char *text, size_t size) {
    const unsigned char *value = sqlite3_column_text(statement, at);
    snprintf(text, size, "%s", value ? (const char *)value : "");
}

void storage_bind_key(sqlite3_stmt *statement, int64_t device, const moe_op *op,
                    const char *template_id, const moe_config *config, storage_key *key) {
    moe_op_shape(op, key->shape, sizeof key->shape);
    moe_config_print(config, key->config, sizeof key->config);
    sqlite3_bind_int64(statement, PUT_device, device);
    storage_bind_text(statement, PUT_kind, moe_op_names[op->kind]);
    storage_bind_text(statement, PUT_shape, key->shape);
    sqlite3_bind_int64(statement, PUT_tokens, op->t);
    storage_bind_text(statement, PUT_routing, moe_routing_names[op->routing]);
    storage_bind_text(statement, PUT_cache, moe_cache_names[op->cache]);
    storage_bind_text(statement, PUT_template, template_id);
    storage_bind_text(statement, PUT_config, key->config);
}

/* -------------------------------------------------------------------------------- opening */

static moe_status make_folders(const char *path) {
    char folder[4096];
    snprintf(folder, sizeof folder, "%s", path);
    for (char *at = strchr(folder + 1, '/'); at; at = strchr(at + 1, '/')) {
        *at = '\0';
        if (mkdir(folder, 0777) && errno != EEXIST)
            return moe_fail(MOE_E_IO, "folder %s: %s; give another file with --db FILE", folder,
                            strerror(errno));
        *at = '/';
    }
    return MOE_OK;
}

static moe_status run_text(moe_storage *store, const char *sql) {
    return sqlite3_exec(store->db, sql, NULL, NULL, NULL) ? fail(store, sql) : MOE_OK;
}

static moe_status read_version(moe_storage *store, int64_t *version, int64_t *tables) {
    sqlite3_stmt *statement = NULL;
    const char sql[] = "SELECT (SELECT user_version FROM pragma_user_version),"
                       " (SELECT count(*) FROM sqlite_schema)";
    moe_status status = MOE_OK;
    if (sqlite3_prepare_v2(store->db, sql, -1, &statement, NULL) ||
        sqlite3_step(statement) != SQLITE_ROW)
        status = fail(store, "reading its version");
    *version = sqlite3_column_int64(statement, 0);
    *tables = sqlite3_column_int64(statement, 1);
    sqlite3_finalize(statement);
    return status;
}

/* The lock is taken before the look, so that two tuners do not both make the tables. */
static moe_status make_schema(moe_storage *store) {
    int64_t version = 0, tables = 0;
    MOE_TRY(run_text(store, "BEGIN IMMEDIATE"));
    moe_status status = read_version(store, &version, &tables);
    if (!status && !version && !tables) {
        status = run_text(store, schema);
    } else if (!status) {
        status = moe_schema_check(store->path, version);
    }
    if (!status) return run_text(store, "COMMIT");
    sqlite3_exec(store->db, "ROLLBACK", NULL, NULL, NULL);
    return status;
}

static moe_status prepare(moe_storage *store) {
    for (int i = 0; i < SQL_COUNT; i++)
        if (sqlite3_prepare_v3(store->db, sql_texts[i], -1, SQLITE_PREPARE_PERSISTENT,
                               &store->statement[i], NULL))
            return fail(store, sql_texts[i]);
    return MOE_OK;
}

static moe_status open_for_writing(moe_storage *store) {
    MOE_TRY(make_folders(store->path));
    if (moe_schema_connect(store->path, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, BUSY_MS,
                           &store->db))
        return fail(store, "opening");
    MOE_TRY(run_text(store, "PRAGMA journal_mode = DELETE; PRAGMA foreign_keys = ON"));
    MOE_TRY(make_schema(store));
    return prepare(store);
}

static moe_status open_for_reading(moe_storage *store) {
    MOE_TRY(moe_schema_open(store->path, &store->db));
    return prepare(store);
}

static moe_status open_by(moe_status (*way)(moe_storage *store), const char *path,
                          moe_storage **out) {
    moe_storage *store = calloc(1, sizeof *store);
    if (!store) return moe_fail(MOE_E_MEMORY, "no memory for a database");
    moe_status status = MOE_OK;
    if (path)
        snprintf(store->path, sizeof store->path, "%s", path);
    else
        status = moe_db_default_path(store->path, sizeof store->path);
    if (!status) status = way(store);
    if (status)
        moe_storage_close(store);
    else
        *out = store;
    return status;
}

moe_status moe_storage_open(const char *path, moe_storage **out) {
    return open_by(open_for_writing, path, out);
}

moe_status moe_storage_open_existing(const char *path, moe_storage **out) {
    return open_by(open_for_reading, path, out);
}

void moe_storage_close(moe_storage *store) {
    if (!store) return;
    for (int i = 0; i < SQL_COUNT; i++) sqlite3_finalize(store->statement[i]);
    sqlite3_close(store->db);
    free(store);
}

const char *moe_storage_path(const moe_storage *store) { return store->path; }

/* -------------------------------------------------------------------------------- writing */

static moe_status begin(moe_storage *store) {
    return store->bulk ? MOE_OK : run(store, storage_start(store, SQL_begin));
}

/* Ends a transaction by what came of it, and keeps the first failure. */
static moe_status end(moe_storage *store, moe_status status) {
    if (store->bulk) return status;
    if (!status) status = run(store, storage_start(store, SQL_commit));
    if (status && !sqlite3_get_autocommit(store->db)) {
        char message[1024];
        snprintf(message, sizeof message, "%s", moe_error_text());
        if (run(store, storage_start(store, SQL_rollback))) moe_fail(status, "%s", message);
    }
    return status;
}

moe_status moe_storage_bulk_begin(moe_storage *store) {
    MOE_TRY(begin(store));
    store->bulk = true;
    return MOE_OK;
}

moe_status moe_storage_bulk_end(moe_storage *store) {
    store->bulk = false;
    return end(store, MOE_OK);
}

moe_status moe_storage_device(moe_storage *store, const moe_facts *facts, int64_t *id) {
    char text[512];
    bool row;
    moe_facts_print(facts, text, sizeof text);
    sqlite3_stmt *find = storage_start(store, SQL_find_device);
    storage_bind_text(find, 1, text);
    MOE_TRY(storage_step(store, find, &row));
    if (!row) {
        sqlite3_stmt *add = storage_start(store, SQL_add_device);
        storage_bind_text(add, FACTS_text, text);
        storage_bind_text(add, FACTS_arch, facts->arch);
        storage_bind_text(add, FACTS_name, facts->name);
        sqlite3_bind_int64(add, FACTS_sms, facts->sms);
        sqlite3_bind_int64(add, FACTS_simulated, facts->simulated);
        MOE_TRY(run(store, add));
        find = storage_start(store, SQL_find_device);
        storage_bind_text(find, 1, text);
        MOE_TRY(storage_step(store, find, &row));
    }
    *id = sqlite3_column_int64(find, 0);
    sqlite3_reset(find);
    return MOE_OK;
}

static moe_status put_image(moe_storage *store, const moe_compiled *compiled, const char *source) {
    char launch[2048];
    moe_launch_print(&compiled->image.launch, launch, sizeof launch);
    sqlite3_stmt *add = storage_start(store, SQL_add_image);
    storage_bind_text(add, 1 + IMAGE_hash, compiled->hash);
    storage_bind_text(add, 1 + IMAGE_arch, compiled->image.arch);
    storage_bind_text(add, 1 + IMAGE_launch, launch);
    storage_bind_text(add, 1 + IMAGE_toolkit, compiled->toolkit);
    storage_bind_text(add, 1 + IMAGE_source, source);
    storage_bind_text(add, 1 + IMAGE_log, compiled->log);
    sqlite3_bind_blob64(add, 1 + IMAGE_cubin, compiled->cubin, compiled->image.cubin_size,
                        SQLITE_STATIC);
    sqlite3_bind_text(add, 1 + IMAGE_ptx, compiled->ptx, -1, SQLITE_STATIC);
    return run(store, add);
}

/* Binds a group of values from number `at` on. */
static void bind_measurement(sqlite3_stmt *add, int at, const moe_measurement *m) {
    storage_bind_text(add, at + MEASUREMENT_outcome, moe_outcome_names[m->outcome]);
    sqlite3_bind_int64(add, at + MEASUREMENT_n, m->n);
    sqlite3_bind_double(add, at + MEASUREMENT_med, m->med);
    sqlite3_bind_double(add, at + MEASUREMENT_mad, m->mad);
    sqlite3_bind_double(add, at + MEASUREMENT_err, m->err);
    storage_bind_text(add, at + MEASUREMENT_timer, moe_timer_names[m->timer]);
}

static void bind_provenance(sqlite3_stmt *add, int at, const moe_provenance *p) {
    storage_bind_text(add, at + PROVENANCE_driver, p->driver);
    storage_bind_text(add, at + PROVENANCE_toolkit, p->toolkit);
    storage_bind_text(add, at + PROVENANCE_commit_id, p->commit);
    storage_bind_text(add, at + PROVENANCE_date, p->date);
    sqlite3_bind_int64(add, at + PROVENANCE_clock, p->clock);
}

static moe_status put_record(moe_storage *store, int64_t device, const moe_record *record,
                             const moe_evidence *evidence) {
    storage_key key;
    sqlite3_stmt *add = storage_start(store, SQL_add_record);
    storage_bind_key(add, device, &record->op, record->template_id, &record->config, &key);
    bind_measurement(add, PUT_outcome, &record->measurement);
    storage_bind_text(add, PUT_samples, evidence->samples);
    sqlite3_bind_int64(add, PUT_is_default, record->provenance.is_default);
    bind_provenance(add, PUT_driver, &record->provenance);
    if (evidence->compiled) storage_bind_text(add, PUT_image, evidence->compiled->hash);
    storage_bind_text(add, PUT_log, evidence->log);
    return run(store, add);
}

moe_status moe_storage_put(moe_storage *store, int64_t device, const moe_record *record,
                         const moe_evidence *evidence) {
    MOE_TRY(begin(store));
    moe_status status = MOE_OK;
    if (evidence->compiled) status = put_image(store, evidence->compiled, evidence->source);
    if (!status) status = put_record(store, device, record, evidence);
    return end(store, status);
}

void storage_bind_choice(sqlite3_stmt *statement, int64_t device, const moe_choice *choice,
                         const char *layer) {
    sqlite3_bind_int64(statement, CHOICE_device, device);
    storage_bind_text(statement, CHOICE_layer, layer);
    sqlite3_bind_int64(statement, CHOICE_tokens, choice->t);
    storage_bind_text(statement, CHOICE_routing, moe_routing_names[choice->routing]);
    storage_bind_text(statement, CHOICE_cache, moe_cache_names[choice->cache]);
}

static moe_status put_choice_row(moe_storage *store, int64_t device, const moe_choice *choice) {
    char layer[MOE_LAYER_TEXT_SIZE], pipeline[128];
    moe_text words = moe_text_start(pipeline, sizeof pipeline);
    for (int64_t i = 0; i < choice->steps; i++)
        moe_text_add(&words, "%s%s", i ? " " : "", moe_op_names[choice->step[i].kind]);
    MOE_TRY(moe_layer_print(&choice->layer, layer, sizeof layer));
    sqlite3_stmt *drop = storage_start(store, SQL_drop_choice);
    storage_bind_choice(drop, device, choice, layer);
    MOE_TRY(run(store, drop));
    sqlite3_stmt *add = storage_start(store, SQL_add_choice);
    storage_bind_choice(add, device, choice, layer);
    storage_bind_text(add, CHOICE_pipeline, pipeline);
    bind_measurement(add, CHOICE_outcome, &choice->measurement);
    bind_provenance(add, CHOICE_driver, &choice->provenance);
    return run(store, add);
}

static moe_status put_step(moe_storage *store, int64_t device, const moe_choice *choice,
                           int64_t number, int64_t row) {
    const moe_step *step = &choice->step[number];
    const moe_op op = moe_op_make(step->kind, &choice->layer, choice->t, choice->routing,
                                  choice->cache);
    storage_key key;
    bool found;
    sqlite3_stmt *find = storage_start(store, SQL_find_record);
    storage_bind_key(find, device, &op, step->template_id, &step->config, &key);
    MOE_TRY(storage_step(store, find, &found));
    if (!found)
        return moe_fail(MOE_E_INVALID, "choice: no record of %s %s %s", moe_op_names[step->kind],
                        step->template_id, key.config);
    sqlite3_stmt *add = storage_start(store, SQL_add_step);
    sqlite3_bind_int64(add, 1, row);
    sqlite3_bind_int64(add, 2, number);
    sqlite3_bind_int64(add, 3, sqlite3_column_int64(find, 0));
    sqlite3_reset(find);
    return run(store, add);
}

moe_status moe_storage_put_choice(moe_storage *store, int64_t device, const moe_choice *choice) {
    MOE_TRY(begin(store));
    moe_status status = put_choice_row(store, device, choice);
    int64_t row = sqlite3_last_insert_rowid(store->db);
    for (int64_t i = 0; i < choice->steps && !status; i++)
        status = put_step(store, device, choice, i, row);
    return end(store, status);
}
