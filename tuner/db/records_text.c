/* records_text.c - the tuning database as text files. */
#include "db/records_text.h"

#include "text/lines.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

const char moe_records_format[] = "# moetune records 1";
static const char layer_file[] = "layer";

enum { PATH_SIZE = 4096, LINE_SIZE = 8192, HEAD_LINES = 2 };

void moe_records_slug(const moe_facts *facts, char *slug, size_t size) {
    moe_text out = moe_text_start(slug, size);
    if (facts->simulated && strncmp(facts->name, "sim", 3) != 0) moe_text_add(&out, "sim-");
    bool gap = false;
    for (const char *at = facts->name; *at; at++) {
        if (isalnum((unsigned char)*at)) {
            moe_text_add(&out, "%s%c", gap && out.used ? "-" : "", tolower((unsigned char)*at));
            gap = false;
        } else {
            gap = true;
        }
    }
}

static void device_line(const moe_facts *facts, char *line, size_t size) {
    char text[512];
    moe_facts_print(facts, text, sizeof text);
    snprintf(line, size, "device %s", text);
}

/* ------------------------------------------------------------------------------------- export */

/* The lines of one device, by file: one for each kind of op, and one for layers. */
typedef struct device_lines {
    moe_lines file[MOE_OP_COUNT + 1];
    moe_records_count *count;
} device_lines;

static moe_status add_record(void *context, const moe_record *record, const char *image) {
    (void)image;
    char line[LINE_SIZE];
    device_lines *all = context;
    moe_record_print(record, line, sizeof line);
    all->count->records++;
    return moe_lines_add(&all->file[record->op.kind], line);
}

static moe_status add_choice(void *context, const moe_choice *choice) {
    char line[LINE_SIZE];
    device_lines *all = context;
    moe_choice_print(choice, line, sizeof line);
    all->count->choices++;
    return moe_lines_add(&all->file[MOE_OP_COUNT], line);
}

size_t moe_records_key(const char *line, bool layer) {
    const char *end = strstr(line, " | ");
    for (int i = 0; end && !layer && i < 2; i++) end = strstr(end + 3, " | ");
    return end ? (size_t)(end - line) : strlen(line);
}

/* Lines of the file as it is that no row of the database replaces. `own` is sorted. */
static moe_status keep_old_lines(const char *path, const char *head, bool layer, moe_lines *own) {
    moe_lines old = {0};
    moe_status status = moe_lines_read(&old, path);
    int64_t ours = own->count;
    if (status == MOE_E_NOT_FOUND) status = MOE_OK;
    else if (!status && (old.count < HEAD_LINES || strcmp(old.line[0], moe_records_format) ||
                         strcmp(old.line[1], head)))
        status = moe_fail(MOE_E_INVALID, "%s is no file of records of this device (%s); give "
                          "another folder", path, head);
    for (int64_t i = HEAD_LINES; i < old.count && !status; i++) {
        size_t length = moe_records_key(old.line[i], layer) + 1;
        bool replaced = false;
        for (int64_t j = 0; j < ours && !replaced; j++)
            replaced = !strncmp(old.line[i], own->line[j], length);
        if (!replaced) status = moe_lines_add(own, old.line[i]);
    }
    moe_lines_free(&old);
    return status;
}

static moe_status write_file(const char *path, const char *head, bool layer, moe_lines *own) {
    moe_lines all = {0};
    moe_status status = keep_old_lines(path, head, layer, own);
    moe_lines_sort(own);
    if (!status) status = moe_lines_add(&all, moe_records_format);
    if (!status) status = moe_lines_add(&all, head);
    for (int64_t i = 0; i < own->count && !status; i++) status = moe_lines_add(&all, own->line[i]);
    if (!status) status = moe_lines_write(&all, path);
    moe_lines_free(&all);
    return status;
}

static moe_status make_folder(const char *path) {
    if (!mkdir(path, 0777) || errno == EEXIST) return MOE_OK;
    return moe_fail(MOE_E_IO, "folder %s: %s", path, strerror(errno));
}

typedef struct exporting {
    moe_storage *store;
    const char *folder;
    bool simulated; /* devices, too */
    moe_records_count *count;
} exporting;

static moe_status write_device(const exporting *e, const moe_facts *facts, device_lines *all) {
    char slug[128], folder[PATH_SIZE], head[640], path[PATH_SIZE + 64];
    moe_records_slug(facts, slug, sizeof slug);
    device_line(facts, head, sizeof head);
    snprintf(folder, sizeof folder, "%s/%s", e->folder, slug);
    MOE_TRY(make_folder(folder));
    for (int i = 0; i <= MOE_OP_COUNT; i++) {
        bool layer = i == MOE_OP_COUNT;
        if (!all->file[i].count) continue;
        snprintf(path, sizeof path, "%s/%s.txt", folder, layer ? layer_file : moe_op_names[i]);
        MOE_TRY(write_file(path, head, layer, &all->file[i]));
        e->count->files++;
    }
    return MOE_OK;
}

static moe_status export_device(void *context, int64_t device, const moe_facts *facts) {
    exporting *e = context;
    device_lines all = {.count = e->count};
    if (facts->simulated && !e->simulated) {
        e->count->simulated++;
        return MOE_OK;
    }
    e->count->devices++;
    moe_status status = moe_storage_records(e->store, device, add_record, &all);
    if (!status) status = moe_storage_choices(e->store, device, add_choice, &all);
    if (!status) status = write_device(e, facts, &all);
    for (int i = 0; i <= MOE_OP_COUNT; i++) moe_lines_free(&all.file[i]);
    return status;
}

moe_status moe_records_export(moe_storage *store, const char *folder, bool simulated,
                              moe_records_count *out) {
    exporting e = {store, folder, simulated, out};
    *out = (moe_records_count){0};
    MOE_TRY(make_folder(folder));
    return moe_storage_devices(store, export_device, &e);
}

/* ------------------------------------------------------------------------------------- import */

typedef struct importing {
    moe_storage *store;
    const char *path; /* of the file being read */
    int64_t device;
    moe_facts facts;
    moe_records_count *count;
} importing;

bool moe_records_honest(const moe_facts *facts, const moe_measurement *m) {
    return (m->timer == MOE_TIMER_MODEL) == (facts->simulated != 0);
}

static moe_status check_timer(const importing *in, const moe_measurement *m) {
    if (moe_records_honest(&in->facts, m)) return MOE_OK;
    return moe_fail(MOE_E_INVALID, "timer=%s on %s: a modelled time is not a measurement, and only "
                    "simulated devices have one", moe_timer_names[m->timer], in->facts.name);
}

static moe_status import_record(importing *in, const char *line) {
    moe_record record;
    const moe_evidence none = {0};
    MOE_TRY(moe_record_parse(line, &record));
    MOE_TRY(check_timer(in, &record.measurement));
    in->count->records++;
    return moe_storage_put(in->store, in->device, &record, &none);
}

/* A choice whose records are not in the files is of no use, and of no harm. */
static moe_status import_choice(importing *in, const char *line) {
    moe_choice choice;
    MOE_TRY(moe_choice_parse(line, &choice));
    MOE_TRY(check_timer(in, &choice.measurement));
    moe_status status = moe_storage_put_choice(in->store, in->device, &choice);
    if (status == MOE_E_INVALID) {
        in->count->orphans++;
        snprintf(in->count->note, sizeof in->count->note, "%.500s", moe_error_text());
        return MOE_OK;
    }
    in->count->choices += !status;
    return status;
}

static moe_status import_head(importing *in, const moe_lines *lines) {
    if (lines->count < HEAD_LINES || strcmp(lines->line[0], moe_records_format) ||
        strncmp(lines->line[1], "device ", 7))
        return moe_fail(MOE_E_PARSE, "%s: it should start with the lines '%s' and 'device ...'",
                        in->path, moe_records_format);
    moe_status status = moe_facts_parse(lines->line[1] + 7, &in->facts);
    if (status) return moe_fail_context(status, "%s:2", in->path);
    return moe_storage_device(in->store, &in->facts, &in->device);
}

static moe_status import_lines(importing *in, const moe_lines *lines, bool layer) {
    MOE_TRY(import_head(in, lines));
    for (int64_t i = HEAD_LINES; i < lines->count; i++) {
        if (!*lines->line[i]) continue;
        moe_status status =
            (layer ? import_choice : import_record)(in, lines->line[i]);
        if (status) return moe_fail_context(status, "%s:%lld", in->path, (long long)i + 1);
    }
    in->count->files++;
    return MOE_OK;
}

static moe_status import_file(importing *in, const char *path, bool layer) {
    moe_lines lines = {0};
    in->path = path;
    moe_status status = moe_lines_read(&lines, path);
    if (!status) status = import_lines(in, &lines, layer);
    moe_lines_free(&lines);
    return status;
}

bool moe_records_layers(const char *name) {
    size_t length = strlen(layer_file);
    return !strncmp(name, layer_file, length) && !strcmp(name + length, ".txt");
}

/* Layers last: they stand on the records. */
static moe_status import_device(importing *in, const char *folder) {
    moe_lines names = {0};
    char path[PATH_SIZE + 300];
    moe_status status = moe_lines_list(&names, folder);
    for (int pass = 0; pass < 2; pass++)
        for (int64_t i = 0; i < names.count && !status; i++) {
            const char *dot = strrchr(names.line[i], '.');
            if (!dot || strcmp(dot, ".txt") != 0) continue;
            if (moe_records_layers(names.line[i]) != (pass == 1)) continue;
            snprintf(path, sizeof path, "%s/%s", folder, names.line[i]);
            status = import_file(in, path, pass == 1);
        }
    moe_lines_free(&names);
    return status;
}

moe_status moe_records_import(moe_storage *store, const char *folder, moe_records_count *out) {
    moe_lines names = {0};
    char path[PATH_SIZE];
    importing in = {.store = store, .count = out};
    *out = (moe_records_count){0};
    moe_status status = moe_lines_list(&names, folder);
    for (int64_t i = 0; i < names.count && !status; i++) {
        struct stat what;
        snprintf(path, sizeof path, "%s/%s", folder, names.line[i]);
        if (stat(path, &what) || !S_ISDIR(what.st_mode)) continue;
        status = import_device(&in, path);
        out->devices++;
    }
    moe_lines_free(&names);
    if (!status && !out->files)
        return moe_fail(MOE_E_NOT_FOUND, "%s: no files of records in it; moetune db export writes "
                        "them", folder);
    return status;
}
