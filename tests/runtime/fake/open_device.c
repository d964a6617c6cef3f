/* open_device.c LIBRARY DEVICE - a program that has nothing in it but libmoetune: opens the device,
 * prints its facts or why not, and all files that the process is made of. */
#include "moetune.h"

#include <dlfcn.h>
#include <stdio.h>

static void *find(void *library, const char *name) {
    void *address = dlsym(library, name);
    if (!address) puts(dlerror());
    return address;
}

int main(int argc, char **argv) {
    moe_status (*open_device)(const char *, moe_device **) = NULL;
    const char *(*text)(const moe_device *) = NULL, *(*status_text)(moe_status) = NULL;
    const char *(*error)(void) = NULL;
    void (*close_device)(moe_device *) = NULL;
    char line[1024];
    moe_device *device = NULL;
    void *library = argc == 3 ? dlopen(argv[1], RTLD_NOW | RTLD_LOCAL) : NULL;
    if (!library) return puts(argc == 3 ? dlerror() : "LIBRARY DEVICE"), 2;
    *(void **)&open_device = find(library, "moe_device_open");
    *(void **)&text = find(library, "moe_device_text");
    *(void **)&status_text = find(library, "moe_status_text");
    *(void **)&error = find(library, "moe_error_text");
    *(void **)&close_device = find(library, "moe_device_close");
    moe_status status = open_device(argv[2], &device);
    printf("%s: %s\n", status_text(status), status ? error() : text(device));
    FILE *maps = fopen("/proc/self/maps", "r");
    while (maps && fgets(line, sizeof line, maps)) fputs(line, stdout);
    if (maps) fclose(maps);
    close_device(device);
    return status ? 1 : 0;
}
