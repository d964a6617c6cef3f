/* own_folder.c - a folder under /tmp that all tests of a program share. */
#include "own_folder.h"

#include "workbench.h"

#include <stdio.h>

static char folder[64];

int own_folder_make(void **state) {
    (void)state;
    workbench_folder(folder);
    return 0;
}

int own_folder_drop(void **state) {
    (void)state;
    workbench_remove(folder);
    return 0;
}

const char *in_folder(const char *name) {
    static char path[256][128];
    static int next;
    char *text = path[next++ % 256];
    snprintf(text, sizeof path[0], "%s/%s", folder, name);
    return text;
}
