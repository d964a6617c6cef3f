/* db_lint_database.c - what is wrong with a database. */
#include "db/db_lint_database.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_FAULTS = 100 };

typedef struct database {
    moe_lint *lint;
    moe_storage *store;
    int64_t device;
    const moe_facts *facts;
} database;

static moe_lint_place place_of_file(const database *d) {
    moe_lint_place at;
    snprintf(at.text, sizeof at.text, "%s", moe_storage_path(d->store));
    return at;
}

/* A row's place is its key. */
static moe_lint_place place(const database *d, const char *line, int columns) {
    moe_lint_place at;
    const char *end = strstr(line, " | ");
    while (end && --columns) end = strstr(end + 3, " | ");
    snprintf(at.text, sizeof at.text, "%s: %.*s", moe_storage_path(d->store),
             end ? (int)(end - line) : (int)strlen(line), line);
    return at;
}

/* What SQLite finds in the file itself. */
static moe_status lint_pages(const database *d) {
    const moe_lint_place at = place_of_file(d);
    char(*fault)[256] = malloc(MAX_FAULTS * sizeof *fault);
    int count = 0;
    if (!fault) return moe_fail(MOE_E_MEMORY, "no memory for %d texts", MAX_FAULTS);
    moe_status status = moe_storage_integrity(d->store, fault, MAX_FAULTS, &count);
    for (int i = 0; i < count; i++) moe_lint_say(d->lint, &at, "%s", fault[i]);
    free(fault);
    return status;
}

static void see_damage(void *context, const char *table, int64_t id) {
    const database *d = context;
    const moe_lint_place at = place_of_file(d);
    moe_lint_say(d->lint, &at, "row %lld of table %s: %s", (long long)id, table, moe_error_text());
}

/* Lookups go by text, so a key that is written otherwise is never found. */
static moe_status lint_key(const database *d, const moe_lint_place *at, const moe_record *record) {
    moe_record key = *record;
    char image[MOE_HASH_SIZE];
    bool found;
    MOE_TRY(moe_storage_find(d->store, d->device, &key, image, &found));
    if (!found)
        moe_lint_say(d->lint, at, "its key is not written as it should be, so no lookup finds it; "
                     "export and build again");
    return MOE_OK;
}

static moe_status lint_notes(const database *d, const moe_lint_place *at,
                             const moe_record *record) {
    char *samples = NULL, *log = NULL;
    moe_status status = moe_storage_notes(d->store, d->device, record, &samples, &log);
    if (!status && samples) moe_lint_samples(d->lint, at, &record->measurement, samples);
    free(samples);
    free(log);
    return status;
}

static moe_status lint_image(const database *d, const moe_lint_place *at, const char *hash) {
    moe_compiled image = {0};
    bool found = true;
    if (!*hash) return MOE_OK;
    moe_status status = moe_storage_image(d->store, hash, &image, NULL, &found);
    if (status == MOE_E_MEMORY || status == MOE_E_IO) return status;
    if (status)
        moe_lint_say(d->lint, at, "image %s: %s", hash, moe_error_text());
    else if (found && !image.cubin && !image.ptx)
        moe_lint_say(d->lint, at, "image %s has no code", hash);
    moe_compiled_free(&image);
    return MOE_OK;
}

static moe_status lint_record(void *context, const moe_record *record, const char *image) {
    const database *d = context;
    char line[MOE_RECORD_TEXT_SIZE];
    moe_record_print(record, line, sizeof line);
    const moe_lint_place at = place(d, line, 3);
    moe_lint_evidence(d->lint, &at, d->facts, &record->measurement, &record->provenance);
    MOE_TRY(moe_lint_template(d->lint, &at, record->template_id));
    MOE_TRY(lint_key(d, &at, record));
    MOE_TRY(lint_notes(d, &at, record));
    return lint_image(d, &at, image);
}

static moe_status lint_step(const database *d, const moe_lint_place *at, const moe_record *step) {
    moe_record record = *step;
    char image[MOE_HASH_SIZE];
    bool found;
    MOE_TRY(moe_storage_find(d->store, d->device, &record, image, &found));
    const char *what = !found ? "has no record" : record.measurement.outcome != MOE_OUTCOME_OK
                                                      ? "is a kernel that failed" : NULL;
    if (what)
        moe_lint_say(d->lint, at, "its step %s by %s %s", moe_op_names[step->op.kind],
                     step->template_id, what);
    return MOE_OK;
}

static moe_status lint_choice(void *context, const moe_choice *choice) {
    const database *d = context;
    char line[MOE_CHOICE_TEXT_SIZE];
    moe_choice_print(choice, line, sizeof line);
    const moe_lint_place at = place(d, line, 1);
    moe_lint_evidence(d->lint, &at, d->facts, &choice->measurement, &choice->provenance);
    MOE_TRY(moe_lint_steps(d->lint, &at, choice));
    for (int64_t i = 0; i < choice->steps; i++) {
        const moe_record step = moe_lint_step(choice, i);
        MOE_TRY(lint_step(d, &at, &step));
    }
    return MOE_OK;
}

static moe_status lint_device(void *context, int64_t device, const moe_facts *facts) {
    database *d = context;
    d->device = device;
    d->facts = facts;
    MOE_TRY(moe_storage_records(d->store, device, lint_record, d));
    return moe_storage_choices(d->store, device, lint_choice, d);
}

moe_status moe_lint_database(moe_lint *lint, const char *path) {
    database d = {.lint = lint};
    MOE_TRY(moe_storage_open_existing(path, &d.store));
    moe_storage_on_damage(d.store, see_damage, &d);
    moe_status status = lint_pages(&d);
    if (!status) status = moe_storage_devices(d.store, lint_device, &d);
    moe_storage_close(d.store);
    return status;
}
