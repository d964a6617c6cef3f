/* db_build.c - from text records to a database with compiled images inside. */
#include "db/db_build.h"

#include "core/list.h"
#include "db/db_race.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { BATCH = 32 };

/* Records of one device that deserve code. */
typedef struct needed {
    moe_record *record; /* owned */
    int64_t count, room;
} needed;

static moe_status need(needed *list, const moe_record *record) {
    for (int64_t i = list->count - 1; i >= 0; i--) /* neighbours are alike */
        if (moe_op_equal(&list->record[i].op, &record->op) &&
            !strcmp(list->record[i].template_id, record->template_id) &&
            !memcmp(&list->record[i].config, &record->config, sizeof record->config))
            return MOE_OK;
    MOE_TRY(moe_list_grow(&list->record, list->count, &list->room, sizeof *list->record));
    list->record[list->count++] = *record;
    return MOE_OK;
}

/* -------------------------------------------------------------------------- who deserves code */

static moe_status add_winner(void *context, const moe_record *record, int count, int winner) {
    moe_status status = MOE_OK;
    for (int i = 0; i < count && !status; i++) {
        bool ok = record[i].measurement.outcome == MOE_OUTCOME_OK;
        if (i == winner || (ok && record[i].provenance.is_default))
            status = need(context, &record[i]);
    }
    return status;
}

static moe_status add_steps(void *context, const moe_choice *choice) {
    for (int64_t i = 0; i < choice->steps; i++) {
        const moe_step *step = &choice->step[i];
        moe_record record = {.config = step->config};
        record.op = moe_op_make(step->kind, &choice->layer, choice->t, choice->routing,
                                choice->cache);
        memcpy(record.template_id, step->template_id, sizeof record.template_id);
        MOE_TRY(need(context, &record));
    }
    return MOE_OK;
}

static moe_status list_needed(moe_storage *store, int64_t device, needed *list) {
    MOE_TRY(moe_db_races(store, device, add_winner, list));
    return moe_storage_choices(store, device, add_steps, list);
}

/* --------------------------------------------------------------------------------- their code */

typedef struct building {
    moe_storage *store;
    const moe_gen *gen;
    moe_compile_pool *pool;
    moe_db_built *out;
} building;

static void note_stale(const building *b, const moe_record *record, const char *why) {
    char op[MOE_OP_TEXT_SIZE];
    moe_op_print(&record->op, op, sizeof op);
    b->out->stale++;
    moe_progress_note(b->out->progress, "no code for %s of '%s': %s", record->template_id, op, why);
}

static moe_status render(const building *b, const moe_facts *facts, const moe_record *record,
                         moe_source *source) {
    char name[MOE_TEMPLATE_ID_SIZE];
    const moe_template *t = moe_gen_find(b->gen, record->template_id);
    if (t) return moe_render(t, &record->op, facts, &record->config, false, source);
    const char *id = record->template_id;
    snprintf(name, sizeof name, "%.*s", (int)strcspn(id, "@"), id);
    if (!moe_gen_find(b->gen, name))
        return moe_fail(MOE_E_NOT_FOUND, "there is no such template; tune again without it, or "
                        "give its folder with --templates");
    return moe_fail(MOE_E_NOT_FOUND, "the template has changed since (now %s); tune again",
                    moe_template_id(moe_gen_find(b->gen, name)));
}

/* Gives a row its image; what cannot be had is noted, and the row stays without. */
static moe_status give_image(const building *b, moe_builder *builder, int64_t device,
                             const moe_facts *facts, moe_record *record) {
    moe_source source;
    const moe_built *built;
    char image[MOE_HASH_SIZE];
    bool found;
    if (render(b, facts, record, &source)) return note_stale(b, record, moe_error_text()), MOE_OK;
    MOE_TRY(moe_builder_get(builder, &source, &built));
    if (built->compiled.outcome != MOE_OUTCOME_OK)
        return note_stale(b, record, built->compiled.reason), MOE_OK;
    MOE_TRY(moe_storage_find(b->store, device, record, image, &found));
    if (!found) return MOE_OK; /* a choice's step without a record was reported as an orphan */
    const moe_evidence evidence = {.compiled = &built->compiled, .source = built->source.text};
    b->out->images++;
    return moe_storage_put(b->store, device, record, &evidence);
}

static moe_status compile_batch(const building *b, moe_builder *builder, const moe_facts *facts,
                                const moe_record *record, int64_t count) {
    moe_source sources[BATCH];
    int64_t used = 0;
    for (int64_t i = 0; i < count; i++)
        if (!render(b, facts, &record[i], &sources[used])) used++;
    return moe_builder_prefetch(builder, sources, used);
}

static moe_status build_device(void *context, int64_t device, const moe_facts *facts) {
    const building *b = context;
    moe_builder *builder = NULL;
    needed list = {0};
    moe_status status = list_needed(b->store, device, &list);
    if (!status) status = moe_builder_open(facts->arch, NULL, b->pool, &builder);
    for (int64_t i = 0; i < list.count && !status; i++) {
        int64_t ahead = list.count - i < BATCH ? list.count - i : BATCH;
        if (i % BATCH == 0) status = compile_batch(b, builder, facts, &list.record[i], ahead);
        if (!status) status = give_image(b, builder, device, facts, &list.record[i]);
        moe_progress_show(b->out->progress, (double)i / (double)list.count,
                          "%s: kernel %lld of %lld", facts->name, (long long)i + 1,
                          (long long)list.count);
    }
    moe_builder_close(builder);
    free(list.record);
    return status;
}

static moe_status fill(const char *folder, building *b) {
    MOE_TRY(moe_storage_bulk_begin(b->store));
    MOE_TRY(moe_records_import(b->store, folder, &b->out->count));
    MOE_TRY(moe_storage_devices(b->store, build_device, b));
    return moe_storage_bulk_end(b->store);
}

moe_status moe_db_build(const char *folder, const char *path, const moe_gen *gen,
                        moe_compile_pool *pool, moe_db_built *out) {
    char draft[4096];
    building b = {.gen = gen, .pool = pool, .out = out};
    snprintf(draft, sizeof draft, "%s.new", path);
    unlink(draft);
    moe_status status = moe_storage_open(draft, &b.store);
    if (!status) status = fill(folder, &b);
    moe_storage_close(b.store);
    moe_progress_end(out->progress);
    if (!status && rename(draft, path))
        status = moe_fail(MOE_E_IO, "%s: %s; give another file with -o", path, strerror(errno));
    if (status) unlink(draft);
    return status;
}
