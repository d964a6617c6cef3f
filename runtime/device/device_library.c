/* device_library.c - finds and opens libmoetune_sim. */
#define _GNU_SOURCE /* dladdr1 */
#include "device/device_library.h"
#include "device/library.h"

#include <dlfcn.h>
#include <link.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { PATH_SIZE = 1024 };

#define ADVICE "install it beside libmoetune (bash scripts/build.sh makes both), or use a GPU"

const moe_device_class moe_device_elsewhere = {
    .prefix = MOE_DEVICE_SIM_PREFIX,
    .help = MOE_DEVICE_SIM_HELP,
};

/* With the version's first number, as it is installed, and bare, as it is carried. */
static const char *const names[] = {"libmoetune_sim.so.0", "libmoetune_sim.so"};
enum { NAMES = sizeof names / sizeof names[0] };

/* The folder of the library or program that holds this code. */
static const char *own_folder(char *folder, size_t size) {
    struct link_map *map = NULL;
    Dl_info info;
    if (!dladdr1(&moe_device_elsewhere, &info, (void **)&map, RTLD_DL_LINKMAP) || !map ||
        !strchr(map->l_name, '/'))
        return moe_program_folder(folder, size);
    snprintf(folder, size, "%.*s", (int)(strrchr(map->l_name, '/') - map->l_name), map->l_name);
    return folder;
}

/* Beside this library, then wherever the loader looks. Files that are there, and only these, leave
 * their reason. */
static void *open_library(const char *folder, char *reason, size_t size) {
    char path[PATH_SIZE + 32];
    void *handle = NULL;
    for (int i = 0; i < NAMES && !handle; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        if (access(path, F_OK) != 0) continue;
        handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
        if (!handle) snprintf(reason, size, "%s", dlerror());
    }
    for (int i = 0; i < NAMES && !handle; i++) handle = dlopen(names[i], RTLD_NOW | RTLD_LOCAL);
    return handle;
}

static bool fits(const moe_device_library *library) {
    static const size_t sizes[] = MOE_DEVICE_SIZES;
    return library->interface == MOE_DEVICE_INTERFACE &&
           !memcmp(library->sizes, sizes, sizeof sizes);
}

static moe_status take_class(void *handle, const moe_device_class **out) {
    moe_device_entry *entry = NULL;
    *(void **)&entry = dlsym(handle, MOE_DEVICE_ENTRY);
    if (!entry)
        return moe_fail(MOE_E_LIBRARY, "libmoetune_sim: has no function %s, so it is not "
                                       "moetune's; "
                                       ADVICE, MOE_DEVICE_ENTRY);
    const moe_device_library *library = entry(moe_message_own());
    if (!fits(library))
        return moe_fail(MOE_E_LIBRARY, "libmoetune_sim: is of moetune %s, interface %d, and does "
                                       "not fit libmoetune %s, interface %d; install both of one "
                                       "build",
                        library->version, library->interface, MOE_VERSION, MOE_DEVICE_INTERFACE);
    *out = library->class;
    return MOE_OK;
}

moe_status moe_device_library_open(const moe_device_class **out) {
    char folder[PATH_SIZE], reason[256] = "";
    void *handle = open_library(own_folder(folder, sizeof folder), reason, sizeof reason);
    if (handle) return take_class(handle, out);
    if (*reason)
        return moe_fail(MOE_E_LIBRARY, "libmoetune_sim: found, but it does not load (%s); " ADVICE,
                        reason);
    return moe_fail(MOE_E_LIBRARY, "libmoetune_sim, the simulated GPU, is missing: %s is neither "
                                   "in %s nor on the loader's path; " ADVICE, names[0], folder);
}
