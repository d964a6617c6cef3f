/* gen.c - a folder of templates. */
#include "template.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PATH_SIZE = 4096, MAX_FILES = 256, LABEL_LENGTH = 16 };

/* The names in a folder that end in `suffix`, in order. */
typedef struct listing {
    char name[MAX_FILES][256];
    int count;
} listing;

static int compare(const void *a, const void *b) { return strcmp(a, b); }

static bool ends_in(const char *name, const char *suffix) {
    size_t length = strlen(name), tail = strlen(suffix);
    return length > tail && !strcmp(name + length - tail, suffix);
}

static moe_status list_folder(const char *path, const char *suffix, listing *out) {
    DIR *folder = opendir(path);
    moe_status status = MOE_OK;
    out->count = 0;
    if (!folder)
        return moe_fail(MOE_E_NOT_FOUND, "%s: %s; give the folder that holds the templates", path,
                        strerror(errno));
    for (struct dirent *entry; !status && (entry = readdir(folder));) {
        if (entry->d_name[0] == '.' || !ends_in(entry->d_name, suffix)) continue;
        if (out->count == MAX_FILES)
            status = moe_fail(MOE_E_TEMPLATE, "%s: more than %d files of %s", path, MAX_FILES,
                              suffix);
        else
            snprintf(out->name[out->count++], sizeof out->name[0], "%s", entry->d_name);
    }
    closedir(folder);
    qsort(out->name, (size_t)out->count, sizeof out->name[0], compare);
    return status;
}

/* The folder's own name, which stands for it in messages and #line marks. */
static void name_folder(const char *folder, char *label, size_t size) {
    char *real = realpath(folder, NULL);
    const char *path = real ? real : folder, *slash = strrchr(path, '/');
    const char *name = slash && slash[1] ? slash + 1 : "templates";
    snprintf(label, size, "%.*s", LABEL_LENGTH, name);
    free(real);
}

static moe_status add_includes(moe_gen *gen, const char *path, const char *label,
                               const char *suffix, listing *names) {
    MOE_TRY(list_folder(path, suffix, names));
    if (gen->includes + names->count > GEN_MAX_INCLUDES)
        return moe_fail(MOE_E_TEMPLATE, "%s: more than %d files", path, GEN_MAX_INCLUDES);
    for (int i = 0; i < names->count; i++) {
        bool body = !strcmp(suffix, ".cuh");
        MOE_TRY(gen_file_open(path, label, names->name[i], body, &gen->include[gen->includes]));
        gen->includes++;
    }
    return MOE_OK;
}

/* What templates share: text for bodies (.cuh) and functions for their tables (.lua). */
static moe_status open_includes(moe_gen *gen, const char *folder, listing *names) {
    char path[PATH_SIZE], label[GEN_LABEL_SIZE];
    snprintf(path, sizeof path, "%.4000s/include", folder);
    snprintf(label, sizeof label, "%.16s/include", gen->label);
    if (access(path, F_OK)) return MOE_OK;
    MOE_TRY(add_includes(gen, path, label, ".cuh", names));
    return add_includes(gen, path, label, ".lua", names);
}

/* True if `folder` has a file stem.suffix. */
static bool has_file(const char *folder, const char *stem, const char *suffix) {
    char path[PATH_SIZE];
    snprintf(path, sizeof path, "%.3000s/%.512s%s", folder, stem, suffix);
    return !access(path, F_OK);
}

/* Notes that a template is left out; why is the last error. */
static void leave_out(moe_gen *gen, const char *name) {
    if (gen->broken_count == GEN_MAX_BROKEN) return;
    gen_broken *broken = &gen->broken[gen->broken_count++];
    snprintf(broken->name, sizeof broken->name, "%.*s", GEN_STEM_SIZE - 1, name);
    snprintf(broken->why, sizeof broken->why, "%s", moe_error_text());
}

/* Every body needs its .lua, and the other way round: leaves the others out of the list. */
static moe_status list_pairs(moe_gen *gen, const char *folder, listing *names, const char *suffix,
                             const char *other) {
    int kept = 0;
    MOE_TRY(list_folder(folder, suffix, names));
    for (int i = 0; i < names->count; i++) {
        char *name = names->name[i];
        name[strlen(name) - strlen(suffix)] = '\0';
        if (has_file(folder, name, other)) {
            memmove(names->name[kept++], name, sizeof names->name[0]);
            continue;
        }
        (void)moe_fail(MOE_E_TEMPLATE, "%s/%s%s: there is no %s%s beside it; a template is both",
                       gen->label, name, suffix, name, other);
        leave_out(gen, name);
    }
    names->count = kept;
    return MOE_OK;
}

static moe_status open_all(moe_gen *gen, const char *folder, const listing *names) {
    gen->template = calloc((size_t)names->count + 1, sizeof *gen->template);
    if (!gen->template) return moe_fail(MOE_E_MEMORY, "%s: out of memory", folder);
    for (int i = 0; i < names->count; i++) {
        moe_status status = gen_template_open(gen, folder, names->name[i],
                                              &gen->template[gen->count]);
        if (status == MOE_E_TEMPLATE)
            leave_out(gen, names->name[i]);
        else if (status)
            return status;
        else
            gen->count++;
    }
    return MOE_OK;
}

static moe_status open_templates(moe_gen *gen, const char *folder, listing *names) {
    MOE_TRY(list_pairs(gen, folder, names, ".cu", ".lua"));
    MOE_TRY(list_pairs(gen, folder, names, ".lua", ".cu"));
    MOE_TRY(open_all(gen, folder, names));
    if (gen->count) return MOE_OK;
    if (gen->broken_count) return moe_fail(MOE_E_TEMPLATE, "%s", gen->broken[0].why);
    return moe_fail(MOE_E_NOT_FOUND, "%s: no template in it; give a folder of NAME.lua and NAME.cu "
                                     "files", folder);
}

moe_status moe_gen_open(const char *folder, moe_gen **out) {
    moe_gen *gen = calloc(1, sizeof *gen);
    listing *names = calloc(1, sizeof *names);
    moe_status status = MOE_OK;
    if (!gen || !names) {
        status = moe_fail(MOE_E_MEMORY, "%s: out of memory", folder);
        goto done;
    }
    name_folder(folder, gen->label, sizeof gen->label);
    status = open_includes(gen, folder, names);
    if (!status) status = open_templates(gen, folder, names);
    if (!status) {
        *out = gen;
        gen = NULL;
    }
done:
    free(names);
    moe_gen_close(gen);
    return status;
}

void moe_gen_close(moe_gen *gen) {
    if (!gen) return;
    for (int i = 0; i < gen->count; i++) gen_template_close(gen->template[i]);
    for (int i = 0; i < gen->includes; i++) gen_file_close(&gen->include[i]);
    free(gen->template);
    free(gen);
}

int moe_gen_count(const moe_gen *gen) { return gen->count; }

const moe_template *moe_gen_at(const moe_gen *gen, int index) { return gen->template[index]; }

void moe_gen_allow_any_order(moe_gen *gen, bool allowed) { gen->any_order = allowed; }

bool moe_gen_any_order(const moe_gen *gen) { return gen->any_order; }

const moe_template *moe_gen_find(const moe_gen *gen, const char *name) {
    for (int i = 0; i < gen->count; i++) {
        const moe_template *t = gen->template[i];
        if (!strcmp(strchr(name, '@') ? t->id : t->name, name)) return t;
    }
    return NULL;
}

const char *moe_gen_broken(const moe_gen *gen, int index) {
    return index < gen->broken_count ? gen->broken[index].why : NULL;
}

moe_status moe_gen_need(const moe_gen *gen, const char *name, const moe_template **out) {
    char known[512];
    moe_text list = moe_text_start(known, sizeof known);
    *out = moe_gen_find(gen, name);
    if (*out) return MOE_OK;
    for (int i = 0; i < gen->broken_count; i++)
        if (!strcmp(gen->broken[i].name, name))
            return moe_fail(MOE_E_TEMPLATE, "%s", gen->broken[i].why);
    for (int i = 0; i < gen->count; i++)
        moe_text_add(&list, "%s%s", i ? ", " : "", gen->template[i]->id);
    return moe_fail(MOE_E_NOT_FOUND, "there is no template '%.64s'; there are: %s", name, known);
}
