/* library.c - finds and opens the vendor's shared libraries at run time. */
#define _GNU_SOURCE /* dlinfo */
#include "device/library.h"

#include <dlfcn.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PATH_SIZE = 1024, REASON_SIZE = 256 };

/* Stand among the variables below for the folder of the running program, and for that over the
 * folder of the first python3 on the path: a virtual environment works without being activated. */
static const char program[] = "program", python[] = "python";

/* Where to look, in order. The folder is $variable followed by a glob pattern; without a variable
 * the pattern stands alone, and without a pattern the loader searches its own path. */
static const struct {
    const char *variable;
    const char *pattern;
} places[] = {
    {"MOETUNE_CUDA", ""},
    {"MOETUNE_CUDA", "/lib64"},
    {"MOETUNE_CUDA", "/lib"},
    {"MOETUNE_CUDA", "/extras/CUPTI/lib64"},
    {"MOETUNE_CUDA", "/nvidia/*/lib"},
    {"CUDA_HOME", "/lib64"},
    {"CUDA_HOME", "/lib"},
    {"CUDA_HOME", "/extras/CUPTI/lib64"},
    {NULL, NULL},
    {NULL, "/usr/local/cuda/lib64"},
    {NULL, "/usr/local/cuda/extras/CUPTI/lib64"},
    {NULL, "/usr/local/nvidia/lib64"}, /* a container's driver */
    {program, "/../.deps/nvidia/*/lib"}, /* where scripts/setup.sh puts them */
    {"VIRTUAL_ENV", "/lib/python3*/site-packages/nvidia/*/lib"},
    {python, "/lib/python3*/site-packages/nvidia/*/lib"},
    {"CONDA_PREFIX", "/lib/python3*/site-packages/nvidia/*/lib"},
    {"HOME", "/.local/lib/python3*/site-packages/nvidia/*/lib"},
    {NULL, "/usr/local/lib/python3*/dist-packages/nvidia/*/lib"},
    {NULL, "/usr/local/lib/python3*/site-packages/nvidia/*/lib"},
    {NULL, "/usr/lib/python3*/site-packages/nvidia/*/lib"},
};

/* The file that a handle was loaded from, as the loader knows it. */
static void report_path(void *handle, const char *soname, char *path, size_t size) {
    char folder[PATH_SIZE] = "";
    if (!path || !size) return;
    if (strchr(soname, '/') || dlinfo(handle, RTLD_DI_ORIGIN, folder) != 0)
        snprintf(path, size, "%s", soname);
    else
        snprintf(path, size, "%s/%s", folder, soname);
}

static void *open_file(const char *file, char *reason) {
    void *handle = dlopen(file, RTLD_NOW | RTLD_LOCAL);
    const char *error = handle ? NULL : dlerror();
    if (error) snprintf(reason, REASON_SIZE, "%s", error);
    return handle;
}

/* The first soname that opens in a folder. `reason` is set only by a file that is there. */
static void *open_in(const char *folder, const char *const *sonames, char *path, size_t size,
                     char *reason) {
    char file[PATH_SIZE];
    for (; *sonames; sonames++) {
        int length = snprintf(file, sizeof file, "%s/%s", folder, *sonames);
        if (length < 0 || (size_t)length >= sizeof file || access(file, F_OK) != 0) continue;
        void *handle = open_file(file, reason);
        if (handle) {
            report_path(handle, file, path, size);
            return handle;
        }
    }
    return NULL;
}

static void *open_by_loader(const char *const *sonames, char *path, size_t size) {
    char ignored[REASON_SIZE];
    for (; *sonames; sonames++) {
        void *handle = open_file(*sonames, ignored);
        if (handle) {
            report_path(handle, *sonames, path, size);
            return handle;
        }
    }
    return NULL;
}

const char *moe_program_folder(char *folder, size_t size) {
    ssize_t length = readlink("/proc/self/exe", folder, size - 1);
    folder[length > 0 ? length : 0] = '\0';
    char *slash = strrchr(folder, '/');
    if (slash) *slash = '\0';
    return folder;
}

static const char *python_prefix(char *folder, size_t size) {
    const char *list = getenv("PATH");
    for (size_t length = 0; list && *list; list += length + (list[length] == ':')) {
        length = strcspn(list, ":");
        int used = snprintf(folder, size, "%.*s/python3", (int)length, list);
        if (used < 0 || (size_t)used >= size || access(folder, X_OK) != 0) continue;
        for (int i = 0; i < 2; i++) {
            char *slash = strrchr(folder, '/');
            if (!slash) return NULL;
            *slash = '\0';
        }
        return folder;
    }
    return NULL;
}

/* $variable/pattern with the variable's own text protected from globbing; false if it is unset. */
static bool make_pattern(const char *variable, const char *pattern, char *out) {
    char folder[PATH_SIZE];
    const char *base = !variable             ? ""
                       : variable == program ? moe_program_folder(folder, sizeof folder)
                       : variable == python  ? python_prefix(folder, sizeof folder)
                                             : getenv(variable);
    size_t used = 0;
    if (!base || (variable && !*base)) return false;
    for (; *base && used + 2 < PATH_SIZE; base++) {
        if (strchr("*?[\\", *base)) out[used++] = '\\';
        out[used++] = *base;
    }
    if (*base || used + strlen(pattern) >= PATH_SIZE) return false;
    strcpy(out + used, pattern);
    return true;
}

static void *open_at(int place, const char *const *sonames, char *path, size_t size,
                     char *reason) {
    char pattern[PATH_SIZE];
    glob_t folders;
    void *handle = NULL;
    if (!places[place].pattern) return open_by_loader(sonames, path, size);
    if (!make_pattern(places[place].variable, places[place].pattern, pattern)) return NULL;
    if (glob(pattern, 0, NULL, &folders) != 0) return NULL;
    for (size_t i = 0; i < folders.gl_pathc && !handle; i++)
        handle = open_in(folders.gl_pathv[i], sonames, path, size, reason);
    globfree(&folders);
    return handle;
}

moe_status moe_library_open(const moe_library *library, void **handle, char *path, size_t size) {
    char reason[REASON_SIZE] = "";
    for (int i = 0; i < (int)(sizeof places / sizeof places[0]); i++) {
        void *opened = open_at(i, library->sonames, path, size, reason);
        if (opened) {
            *handle = opened;
            return MOE_OK;
        }
    }
    if (*reason)
        return moe_fail(MOE_E_LIBRARY, "%s: found, but it does not load (%s); %s", library->name,
                        reason, library->advice);
    return moe_fail(
        MOE_E_LIBRARY,
        "%s: %s is not in $MOETUNE_CUDA, $CUDA_HOME, the loader's path, /usr/local/cuda "
        "or a Python environment; %s",
        library->name, library->sonames[0], library->advice);
}

moe_status moe_library_symbol(const moe_library *library, void *handle, const char *symbol,
                              void *function) {
    void *address = dlsym(handle, symbol);
    if (!address)
        return moe_fail(MOE_E_LIBRARY, "%s: has no function %s, so it is too old; %s",
                        library->name, symbol, library->advice);
    memcpy(function, &address, sizeof address);
    return MOE_OK;
}
