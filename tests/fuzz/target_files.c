/* target_files.c - a folder for the targets that read files, in memory where there is such a
 * place. */
#define _GNU_SOURCE /* nftw */
#include "targets.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static char folder[64];

static int remove_one(const char *path, const struct stat *facts, int kind, struct FTW *place) {
    (void)facts, (void)kind, (void)place;
    return remove(path);
}

static void remove_folder(void) { nftw(folder, remove_one, 8, FTW_DEPTH | FTW_PHYS); }

const char *fuzz_folder(void) {
    if (*folder) return folder;
    snprintf(folder, sizeof folder, "%s/moetune-fuzz-XXXXXX",
             access("/dev/shm", W_OK) ? "/tmp" : "/dev/shm");
    fuzz_check(mkdtemp(folder) != NULL, "no folder", folder);
    atexit(remove_folder);
    return folder;
}

const char *fuzz_file(const char *name, const char *data, size_t size) {
    static char path[128];
    snprintf(path, sizeof path, "%s/%s", fuzz_folder(), name);
    FILE *file = fopen(path, "wb");
    bool good = file && (size == 0 || fwrite(data, 1, size, file) == size);
    fuzz_check(good && !fclose(file), "cannot write", path);
    return path;
}
