/* storage_read.c - what a tuner reads back from its own database. */
#include "store/storage_sql.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A row whose columns make no sense is damage, whoever wrote it. True where it is to be skipped. */
static bool damaged(moe_storage *store, const char *table, int64_t id, moe_status *status) {
    char why[512];
    bool senseless = *status == MOE_E_PARSE || *status == MOE_E_INVALID ||
                     *status == MOE_E_UNSUPPORTED;
    if (!senseless) return false;
    if (store->damage) {
        store->damage(store->damage_context, table, id);
        *status = MOE_OK;
        return true;
    }
    snprintf(why, sizeof why, "%s", moe_error_text());
    *status = moe_fail(MOE_E_CORRUPT, "database %s: row %lld of table %s: %s; moetune db lint "
                       "lists all such rows", store->path, (long long)id, table, why);
    return false;
}

void moe_storage_on_damage(moe_storage *store, moe_damage_each *each, void *context) {
    store->damage = each;
    store->damage_context = context;
}

moe_status moe_storage_integrity(moe_storage *store, char (*text)[256], int room, int *count) {
    bool row;
    moe_status status;
    sqlite3_stmt *all = storage_start(store, SQL_integrity);
    sqlite3_bind_int(all, 1, room);
    *count = 0;
    while (!(status = storage_step(store, all, &row)) && row && *count < room)
        storage_column_text(all, 0, text[(*count)++], sizeof *text);
    sqlite3_reset(all);
    return status;
}

/* MOE_COLUMNS_PROVENANCE from column `at` on. */
static void column_provenance(sqlite3_stmt *statement, int at, moe_provenance *p) {
    storage_column_text(statement, at + PROVENANCE_driver, p->driver, sizeof p->driver);
    storage_column_text(statement, at + PROVENANCE_toolkit, p->toolkit, sizeof p->toolkit);
    storage_column_text(statement, at + PROVENANCE_commit_id, p->commit, sizeof p->commit);
    storage_column_text(statement, at + PROVENANCE_date, p->date, sizeof p->date);
    p->clock = sqlite3_column_int64(statement, at + PROVENANCE_clock);
}

/* What a record holds besides its key. */
static moe_status column_evidence(sqlite3_stmt *row, moe_record *record, char *image) {
    record->provenance.is_default = sqlite3_column_int64(row, RECORD_is_default);
    column_provenance(row, RECORD_driver, &record->provenance);
    storage_column_text(row, RECORD_image, image, MOE_HASH_SIZE);
    return moe_column_measurement(row, RECORD_outcome, &record->measurement);
}

moe_status moe_storage_find(moe_storage *store, int64_t device, moe_record *record, char *image,
                          bool *found) {
    storage_key key;
    sqlite3_stmt *find = storage_start(store, SQL_find_record);
    storage_bind_key(find, device, &record->op, record->template_id, &record->config, &key);
    MOE_TRY(storage_step(store, find, found));
    if (!*found) return MOE_OK;
    moe_status status = column_evidence(find, record, image);
    sqlite3_reset(find);
    return status;
}

moe_status moe_storage_log(moe_storage *store, int64_t device, const moe_record *record, char *log,
                           size_t size) {
    storage_key key;
    bool found;
    sqlite3_stmt *find = storage_start(store, SQL_find_notes);
    storage_bind_key(find, device, &record->op, record->template_id, &record->config, &key);
    MOE_TRY(storage_step(store, find, &found));
    snprintf(log, size, "%s", "");
    if (found) storage_column_text(find, 0, log, size);
    sqlite3_reset(find);
    return MOE_OK;
}

/* An owned copy of a column, with a NUL behind it; NULL of a NULL. *size may be NULL. */
static moe_status column_copy(sqlite3_stmt *statement, int at, void *out, size_t *size) {
    if (sqlite3_column_type(statement, at) == SQLITE_NULL) return *(char **)out = NULL, MOE_OK;
    const void *value = sqlite3_column_blob(statement, at);
    size_t bytes = (size_t)sqlite3_column_bytes(statement, at);
    char *copy = malloc(bytes + 1);
    if (!copy) return moe_fail(MOE_E_MEMORY, "no memory for %zu bytes of an image", bytes);
    if (bytes) memcpy(copy, value, bytes);
    copy[bytes] = '\0';
    if (size) *size = bytes;
    *(char **)out = copy;
    return MOE_OK;
}

moe_status moe_storage_notes(moe_storage *store, int64_t device, const moe_record *record,
                             char **samples, char **log) {
    storage_key key;
    bool found;
    sqlite3_stmt *find = storage_start(store, SQL_find_notes);
    *samples = *log = NULL;
    storage_bind_key(find, device, &record->op, record->template_id, &record->config, &key);
    MOE_TRY(storage_step(store, find, &found));
    if (!found) return MOE_OK;
    moe_status status = column_copy(find, 0, log, NULL);
    if (!status) status = column_copy(find, 1, samples, NULL);
    sqlite3_reset(find);
    return status;
}

static moe_status column_image(sqlite3_stmt *row, moe_compiled *out, char **source) {
    char launch[2048];
    storage_column_text(row, IMAGE_arch, out->image.arch, sizeof out->image.arch);
    storage_column_text(row, IMAGE_launch, launch, sizeof launch);
    storage_column_text(row, IMAGE_toolkit, out->toolkit, sizeof out->toolkit);
    MOE_TRY(moe_launch_parse(launch, &out->image.launch));
    MOE_TRY(column_copy(row, IMAGE_log, &out->log, NULL));
    MOE_TRY(column_copy(row, IMAGE_cubin, &out->cubin, &out->image.cubin_size));
    MOE_TRY(column_copy(row, IMAGE_ptx, &out->ptx, &out->image.ptx_size));
    out->image.cubin = out->cubin;
    out->image.ptx = out->ptx;
    return source ? column_copy(row, IMAGE_source, source, NULL) : MOE_OK;
}

moe_status moe_storage_image(moe_storage *store, const char *hash, moe_compiled *out, char **source,
                           bool *found) {
    moe_compiled compiled = {.outcome = MOE_OUTCOME_OK};
    sqlite3_stmt *find = storage_start(store, SQL_find_image);
    storage_bind_text(find, 1, hash);
    MOE_TRY(storage_step(store, find, found));
    if (!*found) return MOE_OK;
    snprintf(compiled.hash, sizeof compiled.hash, "%s", hash);
    moe_status status = column_image(find, &compiled, source);
    sqlite3_reset(find);
    if (status)
        moe_compiled_free(&compiled);
    else
        *out = compiled;
    return status;
}

moe_status moe_storage_devices(moe_storage *store, moe_device_each *each, void *context) {
    bool row;
    moe_status status;
    sqlite3_stmt *all = storage_start(store, SQL_all_devices);
    while (!(status = storage_step(store, all, &row)) && row) {
        char text[512];
        moe_facts facts;
        storage_column_text(all, 1, text, sizeof text);
        status = moe_facts_parse(text, &facts);
        if (damaged(store, "device", sqlite3_column_int64(all, 0), &status)) continue;
        if (!status) status = each(context, sqlite3_column_int64(all, 0), &facts);
        if (status) break;
    }
    sqlite3_reset(all);
    return status;
}

static moe_status column_record(sqlite3_stmt *row, moe_record *out, char *image) {
    char kind[32], shape[MOE_OP_TEXT_SIZE], routing[32], cache[32], config[MOE_CONFIG_TEXT_SIZE];
    char text[2 * MOE_OP_TEXT_SIZE];
    moe_record record = {0};
    storage_column_text(row, RECORD_kind, kind, sizeof kind);
    storage_column_text(row, RECORD_shape, shape, sizeof shape);
    storage_column_text(row, RECORD_routing, routing, sizeof routing);
    storage_column_text(row, RECORD_cache, cache, sizeof cache);
    storage_column_text(row, RECORD_template, record.template_id, sizeof record.template_id);
    storage_column_text(row, RECORD_config, config, sizeof config);
    snprintf(text, sizeof text, "%s t=%lld %s routing=%s cache=%s", kind,
             (long long)sqlite3_column_int64(row, RECORD_tokens), shape, routing, cache);
    MOE_TRY(moe_op_parse(text, &record.op));
    MOE_TRY(moe_config_parse(config, &record.config));
    MOE_TRY(column_evidence(row, &record, image));
    *out = record;
    return MOE_OK;
}

moe_status moe_storage_records(moe_storage *store, int64_t device, moe_record_each *each,
                             void *context) {
    bool row;
    moe_status status;
    sqlite3_stmt *all = storage_start(store, SQL_all_records);
    sqlite3_bind_int64(all, 1, device);
    while (!(status = storage_step(store, all, &row)) && row) {
        char image[MOE_HASH_SIZE];
        moe_record record;
        status = column_record(all, &record, image);
        if (damaged(store, "record", sqlite3_column_int64(all, RECORD_id), &status)) continue;
        if (!status) status = each(context, &record, image);
        if (status) break;
    }
    sqlite3_reset(all);
    return status;
}

static moe_status read_steps(moe_storage *store, int64_t choice, moe_choice *out) {
    bool row;
    moe_status status;
    sqlite3_stmt *all = storage_start(store, SQL_choice_steps);
    sqlite3_bind_int64(all, 1, choice);
    out->steps = 0;
    while (!(status = storage_step(store, all, &row)) && row && out->steps < MOE_PIPELINE_STEPS) {
        char kind[32], config[MOE_CONFIG_TEXT_SIZE];
        moe_step *step = &out->step[out->steps++];
        storage_column_text(all, 0, kind, sizeof kind);
        storage_column_text(all, 1, step->template_id, sizeof step->template_id);
        storage_column_text(all, 2, config, sizeof config);
        status = moe_op_kind_parse(kind, &step->kind);
        if (!status) status = moe_config_parse(config, &step->config);
        if (status) break;
    }
    sqlite3_reset(all);
    return status;
}

static moe_status column_choice(moe_storage *store, sqlite3_stmt *row, moe_choice *out) {
    char layer[MOE_LAYER_TEXT_SIZE];
    int routing, cache;
    moe_choice choice = {.t = sqlite3_column_int64(row, CHOICE_tokens)};
    storage_column_text(row, CHOICE_layer, layer, sizeof layer);
    MOE_TRY(moe_layer_parse(layer, &choice.layer));
    MOE_TRY(moe_column_name(row, CHOICE_routing, moe_routing_names, &routing));
    MOE_TRY(moe_column_name(row, CHOICE_cache, moe_cache_names, &cache));
    choice.routing = (moe_routing)routing;
    choice.cache = (moe_cache)cache;
    MOE_TRY(moe_column_measurement(row, CHOICE_outcome, &choice.measurement));
    column_provenance(row, CHOICE_driver, &choice.provenance);
    MOE_TRY(read_steps(store, sqlite3_column_int64(row, CHOICE_id), &choice));
    *out = choice;
    return MOE_OK;
}

moe_status moe_storage_find_choice(moe_storage *store, int64_t device, moe_choice *choice,
                                   bool *found) {
    char layer[MOE_LAYER_TEXT_SIZE];
    MOE_TRY(moe_layer_print(&choice->layer, layer, sizeof layer));
    sqlite3_stmt *find = storage_start(store, SQL_find_choice);
    storage_bind_choice(find, device, choice, layer);
    MOE_TRY(storage_step(store, find, found));
    moe_status status = *found ? column_choice(store, find, choice) : MOE_OK;
    sqlite3_reset(find);
    return status;
}

moe_status moe_storage_choices(moe_storage *store, int64_t device, moe_choice_each *each,
                             void *context) {
    bool row;
    moe_status status;
    sqlite3_stmt *all = storage_start(store, SQL_all_choices);
    sqlite3_bind_int64(all, 1, device);
    while (!(status = storage_step(store, all, &row)) && row) {
        moe_choice choice;
        status = column_choice(store, all, &choice);
        if (damaged(store, "choice", sqlite3_column_int64(all, CHOICE_id), &status)) continue;
        if (!status) status = each(context, &choice);
        if (status) break;
    }
    sqlite3_reset(all);
    return status;
}
