/* db_lint_text.c - what is wrong with a file of records. */
#include "db/db_lint_text.h"

#include "db/records_text.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

enum { HEAD_LINES = 2, LINE_SIZE = MOE_CHOICE_TEXT_SIZE };

typedef struct file {
    moe_lint *lint;
    const char *path, *name; /* the name is the path's last part */
    bool layers;
    moe_lines lines;
    moe_facts facts;
    moe_lines records[MOE_OP_COUNT]; /* of the files beside a file of layers; read when needed */
    bool read[MOE_OP_COUNT];
} file;

static moe_lint_place place(const file *f, int64_t line) {
    moe_lint_place at;
    snprintf(at.text, sizeof at.text, "%s:%lld", f->path, (long long)line + 1);
    return at;
}

/* --------------------------------------------------------------------------------------- head */

/* The name of the folder that holds the file. */
static void folder_of(const char *path, char *name, size_t size) {
    char whole[PATH_MAX] = "", *slash;
    *name = '\0';
    if (!realpath(path, whole) || !(slash = strrchr(whole, '/'))) return;
    *slash = '\0';
    slash = strrchr(whole, '/');
    snprintf(name, size, "%s", slash ? slash + 1 : whole);
}

static void lint_folder_name(const file *f, const moe_lint_place *at) {
    char slug[128], folder[256];
    moe_records_slug(&f->facts, slug, sizeof slug);
    folder_of(f->path, folder, sizeof folder);
    if (!strcmp(slug, folder)) return;
    if (f->facts.simulated && strncmp(folder, "sim-", 4))
        moe_lint_say(f->lint, at, "modelled times in '%s', the folder of a real device; they "
                     "belong in '%s'", folder, slug);
    else
        moe_lint_say(f->lint, at, "records of this device belong in a folder '%s', not '%s'", slug,
                     folder);
}

/* False where there is no sense in reading on. */
static bool lint_head(file *f) {
    char text[512];
    const moe_lint_place first = place(f, 0), second = place(f, 1);
    if (f->lines.count < HEAD_LINES || strcmp(f->lines.line[0], moe_records_format)) {
        moe_lint_say(f->lint, &first, "a file of records starts with the lines '%s' and "
                     "'device ...'", moe_records_format);
        return false;
    }
    const char *line = f->lines.line[1];
    if (strncmp(line, "device ", 7) || moe_facts_parse(line + 7, &f->facts)) {
        moe_lint_say(f->lint, &second, "it should read 'device FACTS': %s",
                     strncmp(line, "device ", 7) ? "it does not start so" : moe_error_text());
        return false;
    }
    moe_facts_print(&f->facts, text, sizeof text);
    if (strcmp(line + 7, text))
        moe_lint_say(f->lint, &second, "not as it is written: it should read 'device %s'", text);
    lint_folder_name(f, &second);
    return true;
}

/* -------------------------------------------------------------------------------------- lines */

static void lint_writing(const file *f, const moe_lint_place *at, const char *line,
                         const char *canonical) {
    size_t same = 0;
    while (line[same] && line[same] == canonical[same]) same++;
    if (line[same] || canonical[same])
        moe_lint_say(f->lint, at, "not as it is written: from column %zu on '%.40s' should be "
                     "'%.40s'", same + 1, line + same, canonical + same);
}

static moe_status lint_record(file *f, const moe_lint_place *at, const char *line) {
    moe_record record;
    char canonical[LINE_SIZE];
    if (moe_record_parse(line, &record))
        return moe_lint_say(f->lint, at, "%s", moe_error_text()), MOE_OK;
    moe_record_print(&record, canonical, sizeof canonical);
    lint_writing(f, at, line, canonical);
    const char *kind = moe_op_names[record.op.kind];
    if (strncmp(f->name, kind, strlen(kind)) || strcmp(f->name + strlen(kind), ".txt"))
        moe_lint_say(f->lint, at, "a record of %s belongs in %s.txt", kind, kind);
    moe_lint_evidence(f->lint, at, &f->facts, &record.measurement, &record.provenance);
    return moe_lint_template(f->lint, at, record.template_id);
}

/* The records beside a file of layers; none where there is no such file. */
static moe_status records_beside(file *f, moe_op_kind kind, const moe_lines **out) {
    char path[PATH_MAX];
    *out = &f->records[kind];
    if (f->read[kind]) return MOE_OK;
    f->read[kind] = true;
    snprintf(path, sizeof path, "%.*s%s.txt", (int)(f->name - f->path), f->path,
             moe_op_names[kind]);
    moe_status status = moe_lines_read(&f->records[kind], path);
    return status == MOE_E_NOT_FOUND ? MOE_OK : status;
}

static moe_status lint_step(file *f, const moe_lint_place *at, const moe_record *step) {
    char line[LINE_SIZE];
    const moe_lines *all;
    MOE_TRY(records_beside(f, step->op.kind, &all));
    moe_record_print(step, line, sizeof line);
    size_t key = moe_records_key(line, false);
    for (int64_t i = 0; i < all->count; i++)
        if (!strncmp(all->line[i], line, key) && !strncmp(all->line[i] + key, " | ok ", 6))
            return MOE_OK;
    moe_lint_say(f->lint, at, "no record, or none that is ok, of its step '%.*s'", (int)key, line);
    return MOE_OK;
}

static moe_status lint_layer(file *f, const moe_lint_place *at, const char *line) {
    moe_choice choice;
    char canonical[LINE_SIZE];
    if (moe_choice_parse(line, &choice))
        return moe_lint_say(f->lint, at, "%s", moe_error_text()), MOE_OK;
    moe_choice_print(&choice, canonical, sizeof canonical);
    lint_writing(f, at, line, canonical);
    moe_lint_evidence(f->lint, at, &f->facts, &choice.measurement, &choice.provenance);
    MOE_TRY(moe_lint_steps(f->lint, at, &choice));
    for (int64_t i = 0; i < choice.steps; i++) {
        const moe_record step = moe_lint_step(&choice, i);
        MOE_TRY(lint_step(f, at, &step));
    }
    return MOE_OK;
}

static moe_status lint_line(file *f, int64_t number) {
    const moe_lint_place at = place(f, number);
    const char *line = f->lines.line[number];
    if (!*line) return moe_lint_say(f->lint, &at, "an empty line"), MOE_OK;
    if (number > HEAD_LINES && strcmp(f->lines.line[number - 1], line) > 0)
        moe_lint_say(f->lint, &at, "out of order: it sorts before the line above it");
    return (f->layers ? lint_layer : lint_record)(f, &at, line);
}

/* --------------------------------------------------------------------------------- duplicates */

typedef struct key {
    const char *text;
    size_t length;
    int64_t line;
} key;

static int compare_keys(const void *left, const void *right) {
    const key *a = left, *b = right;
    size_t least = a->length < b->length ? a->length : b->length;
    int order = memcmp(a->text, b->text, least);
    if (!order) order = (a->length > b->length) - (a->length < b->length);
    return order ? order : (a->line > b->line) - (a->line < b->line);
}

static moe_status lint_duplicates(const file *f) {
    int64_t count = f->lines.count - HEAD_LINES;
    key *keys = calloc((size_t)count + 1, sizeof *keys);
    if (!keys) return moe_fail(MOE_E_MEMORY, "no memory for %lld lines", (long long)count);
    for (int64_t i = 0; i < count; i++) {
        const char *line = f->lines.line[i + HEAD_LINES];
        keys[i] = (key){line, moe_records_key(line, f->layers), i + HEAD_LINES};
    }
    qsort(keys, (size_t)count, sizeof *keys, compare_keys);
    for (int64_t i = 1; i < count; i++) {
        const key *a = &keys[i - 1], *b = &keys[i];
        const moe_lint_place at = place(f, b->line);
        if (b->length && a->length == b->length && !memcmp(a->text, b->text, a->length))
            moe_lint_say(f->lint, &at, "the same key as line %lld; keep the better one (see "
                         "tuning_db/README.md)", (long long)a->line + 1);
    }
    free(keys);
    return MOE_OK;
}

moe_status moe_lint_text(moe_lint *lint, const char *path) {
    const char *slash = strrchr(path, '/');
    file f = {.lint = lint, .path = path, .name = slash ? slash + 1 : path};
    f.layers = moe_records_layers(f.name);
    moe_status status = moe_lines_read(&f.lines, path);
    bool sound = !status && lint_head(&f);
    for (int64_t i = HEAD_LINES; sound && i < f.lines.count && !status; i++)
        status = lint_line(&f, i);
    if (sound && !status) status = lint_duplicates(&f);
    for (int kind = 0; kind < MOE_OP_COUNT; kind++) moe_lines_free(&f.records[kind]);
    moe_lines_free(&f.lines);
    return status;
}
