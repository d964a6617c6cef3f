/* db_merge.c - several databases into one, row by row. */
#include "db/db_merge.h"

#include "db/db_ledger.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct merging {
    moe_ledger ledger;
    moe_storage **source; /* [sources], owned */
    int sources;
    moe_storage *out;
    moe_db_merged *count;
} merging;

/* --------------------------------------------------------------------------------- one record */

/* Copies all that stands beside a record with it: samples, log and code. */
static moe_status copy_record(const merging *m, const moe_ledger_device *from,
                              const moe_record *key) {
    moe_record record = *key;
    moe_compiled compiled = {0};
    char image[MOE_HASH_SIZE] = "", *samples = NULL, *log = NULL, *source = NULL;
    bool found = false, coded = false;
    int64_t device;
    moe_status status = moe_storage_device(m->out, &from->facts, &device);
    if (!status) status = moe_storage_find(from->store, from->id, &record, image, &found);
    if (!status && !found)
        return moe_fail(MOE_E_CORRUPT, "database %s: a layer has a step without a record (%s); "
                        "moetune db lint says which", moe_storage_path(from->store),
                        key->template_id);
    if (!status) status = moe_storage_notes(from->store, from->id, &record, &samples, &log);
    if (!status && *image)
        status = moe_storage_image(from->store, image, &compiled, &source, &coded);
    const moe_evidence evidence = {.samples = samples, .log = log, .source = source,
                                   .compiled = coded ? &compiled : NULL};
    if (!status) status = moe_storage_put(m->out, device, &record, &evidence);
    moe_compiled_free(&compiled);
    free(source);
    free(samples);
    free(log);
    return status;
}

static moe_status copy_row(const merging *m, const moe_ledger_row *row) {
    moe_record record;
    MOE_TRY(moe_record_parse(row->line, &record));
    return copy_record(m, &m->ledger.device[row->device], &record);
}

/* The best row is written last. Those of the same version of the template come before it, so that
 * code and samples that only they have stay with it. */
static moe_status put_record(merging *m, const moe_ledger_row *best, int64_t count) {
    m->count->records++;
    for (int64_t i = count - 1; i >= 0; i--)
        if (best[i].age == best->age) MOE_TRY(copy_row(m, &best[i]));
    return MOE_OK;
}

/* ---------------------------------------------------------------------------------- one layer */

/* A record that gave way to one of a newer template stays where a layer is made of it. */
static moe_status need_step(merging *m, const moe_ledger_device *from, int64_t device,
                            const moe_choice *choice, const moe_step *step) {
    moe_record record = {.config = step->config};
    char image[MOE_HASH_SIZE];
    bool found;
    record.op = moe_op_make(step->kind, &choice->layer, choice->t, choice->routing, choice->cache);
    snprintf(record.template_id, sizeof record.template_id, "%s", step->template_id);
    const moe_record key = record;
    MOE_TRY(moe_storage_find(m->out, device, &record, image, &found));
    if (found) return MOE_OK;
    m->count->records++;
    m->count->overridden--;
    m->count->kept++;
    return copy_record(m, from, &key);
}

static moe_status put_layer(merging *m, const moe_ledger_row *best, int64_t count) {
    (void)count;
    const moe_ledger_device *from = &m->ledger.device[best->device];
    moe_choice choice;
    int64_t device;
    MOE_TRY(moe_choice_parse(best->line, &choice));
    MOE_TRY(moe_storage_device(m->out, &from->facts, &device));
    for (int64_t i = 0; i < choice.steps; i++)
        MOE_TRY(need_step(m, from, device, &choice, &choice.step[i]));
    m->count->layers++;
    return moe_storage_put_choice(m->out, device, &choice);
}

/* ------------------------------------------------------------------------------------ all rows */

static void count_losers(moe_db_merged *count, const moe_ledger_row *best, int64_t rows) {
    for (int64_t i = 1; i < rows; i++) {
        if (!strcmp(best[i].line, best->line))
            count->alike++;
        else if (best->layer)
            count->overridden_layers++;
        else
            count->overridden++;
    }
}

static moe_status count_device(void *context, int64_t device, const moe_facts *facts) {
    (void)device, (void)facts;
    ++*(int64_t *)context;
    return MOE_OK;
}

static moe_status put_all(merging *m) {
    MOE_TRY(moe_storage_bulk_begin(m->out));
    for (int64_t i = 0, end; i < m->ledger.count; i = end) {
        const moe_ledger_row *best = &m->ledger.row[i];
        end = moe_ledger_end(&m->ledger, i);
        count_losers(m->count, best, end - i);
        MOE_TRY((best->layer ? put_layer : put_record)(m, best, end - i));
    }
    MOE_TRY(moe_storage_bulk_end(m->out));
    return moe_storage_devices(m->out, count_device, &m->count->devices);
}

/* -------------------------------------------------------------------------------------- files */

static bool is_folder(const char *path) {
    struct stat what;
    return !stat(path, &what) && S_ISDIR(what.st_mode);
}

static bool same_file(const char *a, const char *b) {
    struct stat one, other;
    return !stat(a, &one) && !stat(b, &other) && one.st_dev == other.st_dev &&
           one.st_ino == other.st_ino;
}

/* Rows that are there already are lost to nobody who did not name them. */
static moe_status check_out(const char *const *path, int count, const char *out) {
    if (access(out, F_OK)) return MOE_OK;
    for (int i = 0; i < count; i++)
        if (same_file(path[i], out)) return MOE_OK;
    return moe_fail(MOE_E_INVALID, "%s is there already; name it among the databases to keep its "
                    "rows, or give another file with -o", out);
}

static moe_status open_source(merging *m, const char *path) {
    moe_storage *store;
    if (is_folder(path))
        return moe_fail(MOE_E_CORRUPT, "%s is a folder; moetune db build %s -o FILE makes a "
                        "database of records", path, path);
    MOE_TRY(moe_storage_open_existing(path, &store));
    m->source[m->sources++] = store;
    return moe_ledger_add(&m->ledger, store);
}

static moe_status read_all(merging *m, const char *const *path, int count) {
    m->source = calloc((size_t)count, sizeof *m->source);
    if (!m->source) return moe_fail(MOE_E_MEMORY, "no memory for %d databases", count);
    for (int i = 0; i < count; i++) MOE_TRY(open_source(m, path[i]));
    return moe_ledger_sort(&m->ledger);
}

static moe_status write_draft(merging *m, const char *draft) {
    unlink(draft);
    moe_status status = moe_storage_open(draft, &m->out);
    if (!status) status = put_all(m);
    moe_storage_close(m->out);
    if (status) unlink(draft);
    return status;
}

moe_status moe_db_merge(const char *const *path, int count, const char *out,
                        moe_db_merged *merged) {
    char draft[4096];
    merging m = {.count = merged};
    *merged = (moe_db_merged){0};
    snprintf(draft, sizeof draft, "%s.new", out);
    MOE_TRY(check_out(path, count, out));
    moe_status status = read_all(&m, path, count);
    if (!status) status = write_draft(&m, draft);
    if (!status && rename(draft, out)) {
        status = moe_fail(MOE_E_IO, "%s: %s; give another file with -o", out, strerror(errno));
        unlink(draft);
    }
    for (int i = 0; i < m.sources; i++) moe_storage_close(m.source[i]);
    moe_ledger_free(&m.ledger);
    free(m.source);
    return status;
}
