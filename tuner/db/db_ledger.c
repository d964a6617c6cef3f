/* db_ledger.c - the rows of some databases side by side: by key, the best evidence first. */
#include "db/db_ledger.h"

#include "core/list.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { KEY_SIZE = 4096 };

/* -------------------------------------------------------------------------- template versions */

/* Characters of a template's name in its id. */
static int name_length(const char *id) { return (int)strcspn(id, "@"); }

static moe_status see_version(moe_ledger *ledger, const char *id, const char *date) {
    for (int64_t i = 0; i < ledger->versions; i++) {
        moe_ledger_version *v = &ledger->version[i];
        if (strcmp(v->id, id)) continue;
        if (strcmp(v->date, date) < 0) snprintf(v->date, sizeof v->date, "%s", date);
        return MOE_OK;
    }
    MOE_TRY(moe_list_grow(&ledger->version, ledger->versions, &ledger->version_room,
                 sizeof *ledger->version));
    moe_ledger_version *v = &ledger->version[ledger->versions++];
    snprintf(v->id, sizeof v->id, "%s", id);
    snprintf(v->date, sizeof v->date, "%s", date);
    return MOE_OK;
}

static bool same_template(const char *a, const char *b) {
    return name_length(a) == name_length(b) && !strncmp(a, b, (size_t)name_length(a));
}

static bool is_newer(const moe_ledger_version *a, const moe_ledger_version *b) {
    int order = strcmp(a->date, b->date);
    return order ? order > 0 : strcmp(a->id, b->id) > 0;
}

/* How many versions of the template are newer than this one. */
static int64_t age_of(const moe_ledger *ledger, const char *id) {
    const moe_ledger_version *own = ledger->version, *end = own + ledger->versions;
    int64_t age = 0;
    while (own < end && strcmp(own->id, id)) own++;
    for (const moe_ledger_version *v = ledger->version; v < end && own < end; v++)
        age += same_template(v->id, id) && is_newer(v, own);
    return age;
}

/* ------------------------------------------------------------------------------------ reading */

typedef struct reading {
    moe_ledger *ledger;
    moe_storage *store;
    char device[512]; /* the facts' text */
} reading;

static moe_status add_row(const reading *r, const char *key, const char *line, bool layer,
                          const moe_measurement *m, const moe_provenance *p) {
    moe_ledger *ledger = r->ledger;
    MOE_TRY(moe_list_grow(&ledger->row, ledger->count, &ledger->room, sizeof *ledger->row));
    moe_ledger_row row = {.key = strdup(key), .line = strdup(line), .layer = layer,
                          .device = ledger->devices - 1, .n = m->n};
    snprintf(row.date, sizeof row.date, "%s", p->date);
    ledger->row[ledger->count++] = row;
    return row.key && row.line ? MOE_OK : moe_fail(MOE_E_MEMORY, "no memory for a row");
}

static moe_status add_record(void *context, const moe_record *record, const char *image) {
    (void)image;
    const reading *r = context;
    char key[KEY_SIZE], line[MOE_RECORD_TEXT_SIZE], op[MOE_OP_TEXT_SIZE],
        config[MOE_CONFIG_TEXT_SIZE];
    const char *id = record->template_id;
    moe_op_print(&record->op, op, sizeof op);
    moe_config_print(&record->config, config, sizeof config);
    moe_record_print(record, line, sizeof line);
    snprintf(key, sizeof key, "%s | %s | %.*s | %s", r->device, op, name_length(id), id, config);
    MOE_TRY(see_version(r->ledger, id, record->provenance.date));
    return add_row(r, key, line, false, &record->measurement, &record->provenance);
}

static moe_status add_choice(void *context, const moe_choice *choice) {
    const reading *r = context;
    char key[KEY_SIZE + MOE_CHOICE_TEXT_SIZE], line[MOE_CHOICE_TEXT_SIZE];
    moe_choice_print(choice, line, sizeof line);
    int workload = (int)(strstr(line, " | ") - line);
    snprintf(key, sizeof key, "%s | %.*s", r->device, workload, line);
    for (int64_t i = 0; i < choice->steps; i++)
        MOE_TRY(see_version(r->ledger, choice->step[i].template_id, choice->provenance.date));
    return add_row(r, key, line, true, &choice->measurement, &choice->provenance);
}

static moe_status add_device(void *context, int64_t device, const moe_facts *facts) {
    reading *r = context;
    moe_ledger *ledger = r->ledger;
    MOE_TRY(moe_list_grow(&ledger->device, ledger->devices, &ledger->device_room,
                          sizeof *ledger->device));
    ledger->device[ledger->devices++] = (moe_ledger_device){r->store, device, *facts};
    moe_facts_print(facts, r->device, sizeof r->device);
    MOE_TRY(moe_storage_records(r->store, device, add_record, r));
    return moe_storage_choices(r->store, device, add_choice, r);
}

moe_status moe_ledger_add(moe_ledger *ledger, moe_storage *store) {
    reading r = {.ledger = ledger, .store = store};
    return moe_storage_devices(store, add_device, &r);
}

/* ------------------------------------------------------------------------------------ sorting */

static moe_status find_age(const moe_ledger *ledger, moe_ledger_row *row) {
    if (!row->layer) {
        moe_record record;
        MOE_TRY(moe_record_parse(row->line, &record));
        row->age = age_of(ledger, record.template_id);
        return MOE_OK;
    }
    moe_choice choice;
    MOE_TRY(moe_choice_parse(row->line, &choice));
    for (int64_t i = 0; i < choice.steps; i++) {
        int64_t age = age_of(ledger, choice.step[i].template_id);
        if (age > row->age) row->age = age;
    }
    return MOE_OK;
}

static int compare_numbers(int64_t a, int64_t b) { return (a > b) - (a < b); }

static int compare(const void *left, const void *right) {
    const moe_ledger_row *a = left, *b = right;
    int order = a->layer - b->layer;
    if (!order) order = strcmp(a->key, b->key);
    if (!order) order = compare_numbers(a->age, b->age);
    if (!order) order = compare_numbers(b->n, a->n);
    if (!order) order = strcmp(b->date, a->date);
    return order ? order : strcmp(a->line, b->line);
}

moe_status moe_ledger_sort(moe_ledger *ledger) {
    for (int64_t i = 0; i < ledger->count; i++) MOE_TRY(find_age(ledger, &ledger->row[i]));
    if (ledger->count)
        qsort(ledger->row, (size_t)ledger->count, sizeof *ledger->row, compare);
    return MOE_OK;
}

int64_t moe_ledger_end(const moe_ledger *ledger, int64_t first) {
    const moe_ledger_row *row = &ledger->row[first];
    int64_t end = first + 1;
    while (end < ledger->count && ledger->row[end].layer == row->layer &&
           !strcmp(ledger->row[end].key, row->key))
        end++;
    return end;
}

void moe_ledger_free(moe_ledger *ledger) {
    for (int64_t i = 0; i < ledger->count; i++) {
        free(ledger->row[i].key);
        free(ledger->row[i].line);
    }
    free(ledger->row);
    free(ledger->device);
    free(ledger->version);
    *ledger = (moe_ledger){0};
}
