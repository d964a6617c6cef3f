/* house.c - the source tree as the checks see it. */
#define _GNU_SOURCE
#include "house.h"

#include <dirent.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Where headers are looked for, as CMake's targets have it. */
static const char *const tops[] = {"include", "runtime", "gen", "sim", "reference", "tuner"};

bool house_has(const char *list, const char *word) {
    size_t length = strlen(word);
    for (const char *at = list; (at = strstr(at, word)) != NULL; at += length)
        if ((at == list || at[-1] == ' ') && (at[length] == ' ' || !at[length])) return true;
    return false;
}

void house_folder(const char *path, char *folder, size_t size) {
    const char *slash = strrchr(path, '/');
    snprintf(folder, size, "%.*s", slash ? (int)(slash - path) : 0, path);
}

static void add(house_files *files, const char *path) {
    if (files->count == files->room) {
        files->room = 2 * files->room + 64;
        files->path = realloc(files->path, (size_t)files->room * sizeof *files->path);
        assert_non_null(files->path);
    }
    snprintf(files->path[files->count++], HOUSE_PATH, "%s", path);
}

static bool is_folder(const char *path) {
    struct stat status;
    return !stat(path, &status) && S_ISDIR(status.st_mode);
}

void house_find(house_files *files, const char *folder, const char *endings) {
    struct dirent **entry = NULL;
    char path[HOUSE_PATH];
    int count = scandir(folder, &entry, NULL, alphasort);
    for (int i = 0; i < count; i++) {
        const char *name = entry[i]->d_name, *dot = strrchr(name, '.');
        snprintf(path, sizeof path, "%s/%s", folder, name);
        if (name[0] != '.' && is_folder(path)) house_find(files, path, endings);
        else if (name[0] != '.' && dot && house_has(endings, dot + 1)) add(files, path);
        free(entry[i]);
    }
    free(entry);
}

void house_forget(house_files *files) {
    free(files->path);
    *files = (house_files){0};
}

char *house_read(const char *path) {
    FILE *file = fopen(path, "r");
    if (!file) fail_msg("%s cannot be read", path);
    char *text = NULL;
    size_t room = 0;
    ssize_t size = getdelim(&text, &room, 0, file);
    fclose(file);
    if (size < 0) text[0] = 0;
    return text;
}

void house_write(const char *root, const char *path, const char *text) {
    char whole[HOUSE_PATH];
    snprintf(whole, sizeof whole, "%s/%s", root, path);
    for (char *slash = whole + 1; (slash = strchr(slash, '/')) != NULL; *slash++ = '/') {
        *slash = 0;
        mkdir(whole, 0755);
    }
    FILE *file = fopen(whole, "w");
    assert_non_null(file);
    fputs(text, file);
    assert_int_equal(fclose(file), 0);
}

void house_scratch(char *folder, size_t size) {
    const char *base = getenv("TMPDIR");
    snprintf(folder, size, "%s/moetune-house-XXXXXX", base && base[0] ? base : "/tmp");
    assert_non_null(mkdtemp(folder));
}

static int remove_entry(const char *path, const struct stat *status, int type, struct FTW *at) {
    (void)status, (void)type, (void)at;
    return remove(path);
}

void house_remove(const char *folder) {
    nftw(folder, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

const char *house_next_include(const char *at, house_include *out) {
    for (; at && *at; at = strchr(at, '\n') ? strchr(at, '\n') + 1 : NULL) {
        const char *start = at + strspn(at, " \t");
        if (*start == '#' && sscanf(start, "# include %c%255[^>\"\n]", &out->quote, out->name) == 2)
            return start + strcspn(start, "\n");
    }
    return NULL;
}

bool house_resolve(const char *root, const char *from, const char *name, char *path, size_t size) {
    char folder[HOUSE_PATH], whole[HOUSE_PATH + 256];
    house_folder(from, folder, sizeof folder);
    snprintf(path, size, "%s/%s", folder, name);
    for (size_t i = 0;; i++) {
        snprintf(whole, sizeof whole, "%s/%s", root, path);
        if (access(whole, F_OK) == 0) return true;
        if (i == sizeof tops / sizeof tops[0]) return false;
        snprintf(path, size, "%s/%s", tops[i], name);
    }
}
