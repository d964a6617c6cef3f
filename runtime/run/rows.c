/* rows.c - the rows and whole-layer choices of the database that a device can run.
 *
 * The winner of a place (device, tokens, routing, cache) is the row with the lowest median; of rows
 * within the noise of it, the default config wins, then the lower text. So two machines that read
 * the same rows choose alike. */
#include "run/db_file.h"

#include "core/list.h"

#include <stdlib.h>
#include <string.h>

#define COLUMN(name) COLUMN_##name,
enum {
    COLUMN_id,
    MOE_DEVICE_OF_ROW(COLUMN) MOE_EVIDENCE_OF_ROW(COLUMN) MOE_KERNEL_OF_ROW(COLUMN)
};
#undef COLUMN

/* The columns of MOE_QUERY_CODE. */
enum { CODE_ARCH, CODE_LAUNCH, CODE_CUBIN, CODE_PTX };

/* A cursor over a query of one file. */
typedef struct cursor {
    const moe_db_file *file;
    moe_query query;
} cursor;

static sqlite3_stmt *statement(cursor at) { return at.file->query[at.query]; }
static int64_t integer(cursor at, int column) {
    return sqlite3_column_int64(statement(at), column);
}
static moe_status text(cursor at, int column, char *out, size_t size) {
    return moe_db_file_text(at.file, at.query, column, out, size);
}

/* What a column makes no sense with is damage. */
static moe_status sense(cursor at, moe_status status) {
    return status ? moe_fail(MOE_E_CORRUPT, "database %s: %s; " MOE_REBUILD, at.file->path,
                             moe_error_text())
                  : MOE_OK;
}

static moe_status name(cursor at, int column, const char *const *names, int *out) {
    return sense(at, moe_column_name(statement(at), column, names, out));
}

static moe_status read_origin(cursor at, moe_origin *out) {
    int routing, cache;
    MOE_TRY(text(at, COLUMN_name, out->name, sizeof out->name));
    MOE_TRY(text(at, COLUMN_arch, out->arch, sizeof out->arch));
    MOE_TRY(name(at, COLUMN_routing, moe_routing_names, &routing));
    MOE_TRY(name(at, COLUMN_cache, moe_cache_names, &cache));
    MOE_TRY(sense(at, moe_column_measurement(statement(at), COLUMN_outcome, &out->measurement)));
    out->sms = integer(at, COLUMN_sms);
    out->simulated = integer(at, COLUMN_simulated);
    out->tokens = integer(at, COLUMN_tokens);
    out->routing = (moe_routing)routing;
    out->cache = (moe_cache)cache;
    return MOE_OK;
}

static moe_status read_row(cursor at, moe_row *out) {
    int kind;
    MOE_TRY(read_origin(at, &out->origin));
    MOE_TRY(name(at, COLUMN_kind, moe_op_names, &kind));
    out->kind = (moe_op_kind)kind;
    MOE_TRY(text(at, COLUMN_template, out->template_id, sizeof out->template_id));
    MOE_TRY(text(at, COLUMN_config, out->config, sizeof out->config));
    MOE_TRY(text(at, COLUMN_image, out->image, sizeof out->image));
    out->is_default = integer(at, COLUMN_is_default) != 0;
    return MOE_OK;
}

/* Reads what the row's code needs, and tells whether the device can run it, and may. */
static moe_status read_code(cursor at, const moe_want *want, moe_row *row, bool *usable) {
    moe_origin *origin = &row->origin;
    const char *rule = (const char *)sqlite3_column_text(statement(at), CODE_LAUNCH);
    moe_launch launch;
    MOE_TRY(text(at, CODE_ARCH, origin->code_arch, sizeof origin->code_arch));
    origin->has_cubin = integer(at, CODE_CUBIN) != 0;
    origin->has_ptx = integer(at, CODE_PTX) != 0;
    if (moe_launch_parse(rule ? rule : "", &launch))
        return moe_fail(MOE_E_CORRUPT, "database %s: image %s: %s; " MOE_REBUILD, at.file->path,
                        row->image, moe_error_text());
    row->max_slots = launch.max_slots;
    *usable = !moe_fit_refusal(origin, &launch, want);
    return MOE_OK;
}

static moe_status judge(cursor rows, const moe_want *want, moe_row *row, bool *usable) {
    cursor at = {rows.file, MOE_QUERY_CODE};
    bool found = false;
    *usable = false;
    sqlite3_bind_text(statement(at), 1, row->image, -1, SQLITE_STATIC);
    moe_status status = moe_db_file_step(at.file, at.query, &found);
    if (!status && found) status = read_code(at, want, row, usable);
    sqlite3_reset(statement(at));
    return status;
}

static bool same_place(const moe_row *a, const moe_row *b) {
    return a->origin.tokens == b->origin.tokens && a->origin.routing == b->origin.routing &&
           a->origin.cache == b->origin.cache &&
           (a->origin.measurement.n == 0) == (b->origin.measurement.n == 0);
}

/* Of rows that tie with the fastest: the default, then the lower text. */
static bool preferred(const moe_row *a, const moe_row *b) {
    if (a->is_default != b->is_default) return a->is_default;
    int order = strcmp(a->template_id, b->template_id);
    return order ? order < 0 : strcmp(a->config, b->config) < 0;
}

/* Is the difference of `m` to the fastest one that another day might not show? */
static bool tied(const moe_measurement *fastest, const moe_measurement *m) {
    return m->med - fastest->med <= moe_noise(m, fastest);
}

/* Where the race of one place stands. */
typedef struct race {
    moe_row *winner; /* NULL before the first row */
    int64_t device;
    moe_measurement fastest;
} race;

static moe_status start_race(cursor at, const moe_row *row, moe_rows *out, race *now) {
    MOE_TRY(moe_list_grow(&out->row, out->count, &out->room, sizeof *row));
    *now = (race){&out->row[out->count++], integer(at, COLUMN_device), row->origin.measurement};
    *now->winner = *row;
    return MOE_OK;
}

/* Reads the winners of one file's query; rows come by place, fastest first. */
static moe_status collect(cursor at, const moe_op *op, const moe_want *want, moe_rows *out) {
    race now = {0};
    for (bool more, may_run;;) {
        moe_row row = {0};
        MOE_TRY(moe_db_file_step(at.file, at.query, &more));
        if (!more) return MOE_OK;
        MOE_TRY(read_row(at, &row));
        /* A step that does not depend on the routing was tuned for any. */
        if (op->routing != want->routing) row.origin.routing = want->routing;
        bool racing = now.winner && now.device == integer(at, COLUMN_device) &&
                      same_place(now.winner, &row);
        if (racing && !(tied(&now.fastest, &row.origin.measurement) &&
                        preferred(&row, now.winner)))
            continue;
        MOE_TRY(judge(at, want, &row, &may_run));
        if (!may_run) continue;
        if (racing)
            *now.winner = row;
        else
            MOE_TRY(start_race(at, &row, out, &now));
    }
}

moe_status moe_db_rows(moe_db *db, moe_op_kind kind, const moe_layer *layer, const moe_want *want,
                       moe_rows *out) {
    char shape[MOE_OP_TEXT_SIZE];
    moe_op op = moe_op_make(kind, layer, 1, want->routing, want->cache);
    moe_op_shape(&op, shape, sizeof shape);
    for (int i = 0; i < db->files; i++) {
        cursor at = {&db->file[i], MOE_QUERY_ROWS};
        sqlite3_bind_text(statement(at), 1, moe_op_names[kind], -1, SQLITE_STATIC);
        sqlite3_bind_text(statement(at), 2, shape, -1, SQLITE_TRANSIENT);
        moe_status status = collect(at, &op, want, out);
        sqlite3_reset(statement(at));
        if (status) return status;
    }
    return MOE_OK;
}

void moe_rows_free(moe_rows *rows) {
    free(rows->row);
    *rows = (moe_rows){0};
}

static bool serves(const moe_row *row, const moe_want *want, int64_t tokens) {
    return !row->max_slots || tokens <= row->max_slots / want->k;
}

const moe_row *moe_rows_best(const moe_rows *rows, const moe_want *want, int64_t tokens,
                             moe_fit *fit) {
    const moe_row *best = NULL;
    /* From the file laid last to the first, so that it keeps a place that others have too. */
    for (int64_t i = rows->count - 1; i >= 0; i--) {
        const moe_row *row = &rows->row[i];
        if (!serves(row, want, tokens)) continue;
        moe_fit its = moe_fit_of(&row->origin, want, tokens);
        if (best && !moe_fit_better(its, row->origin.tokens, *fit, best->origin.tokens)) continue;
        best = row;
        *fit = its;
    }
    return best;
}

/* Reads the steps of a choice; *whole tells whether they make a layer, each with a row that the
 * device can run. */
static moe_status read_steps(cursor at, int64_t choice, const moe_want *want, moe_pipeline *out,
                             bool *whole) {
    moe_op_kind kinds[MOE_PIPELINE_STEPS];
    int steps = 0;
    bool more = true;
    *whole = true;
    sqlite3_bind_int64(statement(at), 1, choice);
    while (*whole) {
        MOE_TRY(moe_db_file_step(at.file, at.query, &more));
        if (!more) break;
        *whole = steps < MOE_PIPELINE_STEPS;
        if (!*whole) break;
        moe_row *row = &out->row[steps];
        *row = (moe_row){0};
        MOE_TRY(read_row(at, row));
        MOE_TRY(judge(at, want, row, whole));
        kinds[steps++] = row->kind;
    }
    out->form = moe_pipeline_find(kinds, steps);
    *whole = *whole && out->form;
    return MOE_OK;
}

static moe_status collect_pipelines(cursor at, const moe_want *want, moe_pipelines *out) {
    cursor steps = {at.file, MOE_QUERY_STEPS};
    for (bool more, whole;;) {
        MOE_TRY(moe_db_file_step(at.file, at.query, &more));
        if (!more) return MOE_OK;
        MOE_TRY(moe_list_grow(&out->pipeline, out->count, &out->room, sizeof *out->pipeline));
        moe_pipeline *pipeline = &out->pipeline[out->count];
        *pipeline = (moe_pipeline){0};
        MOE_TRY(read_origin(at, &pipeline->origin));
        moe_status status = read_steps(steps, integer(at, COLUMN_id), want, pipeline, &whole);
        sqlite3_reset(statement(steps));
        if (status) return status;
        if (whole) out->count++;
    }
}

moe_status moe_db_pipelines(moe_db *db, const moe_layer *layer, const moe_want *want,
                            moe_pipelines *out) {
    char key[MOE_LAYER_TEXT_SIZE];
    MOE_TRY(moe_layer_print(layer, key, sizeof key));
    for (int i = 0; i < db->files; i++) {
        cursor at = {&db->file[i], MOE_QUERY_PIPELINES};
        sqlite3_bind_text(statement(at), 1, key, -1, SQLITE_TRANSIENT);
        moe_status status = collect_pipelines(at, want, out);
        sqlite3_reset(statement(at));
        if (status) return status;
    }
    return MOE_OK;
}

void moe_pipelines_free(moe_pipelines *pipelines) {
    free(pipelines->pipeline);
    *pipelines = (moe_pipelines){0};
}

static bool all_serve(const moe_pipeline *pipeline, const moe_want *want, int64_t tokens) {
    for (int i = 0; i < pipeline->form->steps; i++)
        if (!serves(&pipeline->row[i], want, tokens)) return false;
    return true;
}

const moe_pipeline *moe_pipelines_best(const moe_pipelines *pipelines, const moe_want *want,
                                       int64_t tokens, moe_fit *fit) {
    const moe_pipeline *best = NULL;
    for (int64_t i = pipelines->count - 1; i >= 0; i--) {
        const moe_pipeline *pipeline = &pipelines->pipeline[i];
        if (!all_serve(pipeline, want, tokens)) continue;
        moe_fit its = moe_fit_of(&pipeline->origin, want, tokens);
        if (best && !moe_fit_better(its, pipeline->origin.tokens, *fit, best->origin.tokens))
            continue;
        best = pipeline;
        *fit = its;
    }
    return best;
}
