/* lines.c - a growing list of owned texts. */
#include "text/lines.h"

#include "core/list.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

moe_status moe_lines_add(moe_lines *lines, const char *text) {
    MOE_TRY(moe_list_grow(&lines->line, lines->count, &lines->room, sizeof *lines->line));
    char *copy = strdup(text);
    if (!copy) return moe_fail(MOE_E_MEMORY, "no memory for a line");
    lines->line[lines->count++] = copy;
    return MOE_OK;
}

void moe_lines_free(moe_lines *lines) {
    for (int64_t i = 0; i < lines->count; i++) free(lines->line[i]);
    free(lines->line);
    *lines = (moe_lines){0};
}

static int compare(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

void moe_lines_sort(moe_lines *lines) {
    if (lines->count) qsort(lines->line, (size_t)lines->count, sizeof *lines->line, compare);
}

moe_status moe_lines_read(moe_lines *lines, const char *path) {
    FILE *file = fopen(path, "r");
    char *line = NULL;
    size_t room = 0;
    if (!file)
        return moe_fail(errno == ENOENT ? MOE_E_NOT_FOUND : MOE_E_IO, "%s: %s", path,
                        strerror(errno));
    moe_status status = MOE_OK;
    for (ssize_t length; !status && (length = getline(&line, &room, file)) >= 0;) {
        if (length && line[length - 1] == '\n') line[length - 1] = '\0';
        status = moe_lines_add(lines, line);
    }
    if (!status && ferror(file)) status = moe_fail(MOE_E_IO, "%s: %s", path, strerror(errno));
    free(line);
    fclose(file);
    return status;
}

moe_status moe_lines_write(const moe_lines *lines, const char *path) {
    char draft[4200];
    snprintf(draft, sizeof draft, "%s.new", path);
    FILE *file = fopen(draft, "w");
    if (!file) return moe_fail(MOE_E_IO, "%s: %s; give another folder", draft, strerror(errno));
    for (int64_t i = 0; i < lines->count; i++) fprintf(file, "%s\n", lines->line[i]);
    bool bad = fflush(file) || fsync(fileno(file));
    bad |= ferror(file) != 0;
    if (fclose(file) || bad || rename(draft, path)) {
        moe_status status = moe_fail(MOE_E_IO, "%s: %s; it is as it was before", path,
                                     strerror(errno));
        unlink(draft);
        return status;
    }
    return MOE_OK;
}

moe_status moe_lines_list(moe_lines *lines, const char *folder) {
    DIR *all = opendir(folder);
    if (!all) return moe_fail(MOE_E_NOT_FOUND, "%s: %s", folder, strerror(errno));
    moe_status status = MOE_OK;
    for (struct dirent *entry; !status && (entry = readdir(all));)
        if (entry->d_name[0] != '.') status = moe_lines_add(lines, entry->d_name);
    closedir(all);
    moe_lines_sort(lines);
    return status;
}
