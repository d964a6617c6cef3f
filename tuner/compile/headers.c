/* headers.c - folders of headers, and headers that NVRTC has no need of. */
#include "compile/headers.h"

#include <libgen.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* NVRTC declares what a kernel can use of these by itself, but has no such files. */
static const char *const names[] = {
    "assert.h", "cassert", "stdio.h", "cstdio", "stdlib.h", "cstdlib", "string.h", "cstring",
    "math.h", "cmath", "stddef.h", "cstddef", "limits.h", "climits", "float.h", "cfloat",
    "stdint.h", "cstdint", "inttypes.h", "stdbool.h",
};
#define INTEGERS                                                                                   \
    "#pragma once\n"                                                                               \
    "typedef signed char int8_t; typedef short int16_t; typedef int int32_t;\n"                    \
    "typedef long long int64_t; typedef unsigned char uint8_t; typedef unsigned short uint16_t;\n" \
    "typedef unsigned uint32_t; typedef unsigned long long uint64_t;\n"                            \
    "typedef long long intptr_t; typedef unsigned long long uintptr_t;\n"
static const char *const texts[] = {
    "", "", "", "", "", "", "", "", "", "", "", "", "", "", "", "",
    INTEGERS, INTEGERS, INTEGERS, "",
};
_Static_assert(sizeof names == sizeof texts, "a text for each name");

/* From the folder of the library, in a toolkit and in Python's wheels. */
static const char *const places[] = {
    "../include", "../../include", "../../../include", "../../cuda_runtime/include",
    "../../cuda_cccl/include",
};

static void add(moe_headers *h, const char *folder, const char *below) {
    if (h->options == MOE_HEADER_OPTIONS) return;
    int length = snprintf(h->room[h->options], MOE_HEADER_OPTION_SIZE, "-I%s%s", folder, below);
    if (length >= MOE_HEADER_OPTION_SIZE || access(h->room[h->options] + 2, R_OK)) return;
    h->option[h->options] = h->room[h->options];
    h->options++;
}

static void add_own(moe_headers *h, const char *library) {
    char real[PATH_MAX], folder[PATH_MAX + 64], file[PATH_MAX + 128];
    if (!realpath(library, real)) return;
    const char *base = dirname(real);
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        snprintf(folder, sizeof folder, "%s/%s", base, places[i]);
        snprintf(file, sizeof file, "%s/cuda_fp16.h", folder);
        bool here = !access(file, R_OK);
        snprintf(file, sizeof file, "%s/cuda/std/cstdint", folder);
        if (here || !access(file, R_OK)) add(h, folder, "");
        add(h, folder, "/cccl");
    }
}

moe_headers *moe_headers_find(const char *nvrtc, const char *const *folders) {
    moe_headers *h = calloc(1, sizeof *h);
    if (!h) return NULL;
    h->count = sizeof names / sizeof *names;
    h->name = names;
    h->text = texts;
    for (; *folders; folders++) add(h, *folders, "");
    add_own(h, nvrtc);
    return h;
}
