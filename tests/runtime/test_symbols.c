/* label: unit - libmoetune.so exports the functions of moetune.h, all of them and nothing else;
 * libmoetune_sim.so the one that libmoetune calls. */
#include "check.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_SYMBOLS = 256, NAME = 64 };

typedef struct names {
    char name[MAX_SYMBOLS][NAME];
    int count;
} names;

static int compare(const void *a, const void *b) { return strcmp(a, b); }

static void add(names *list, const char *name, size_t length) {
    assert_true(list->count < MAX_SYMBOLS && length < NAME);
    snprintf(list->name[list->count++], NAME, "%.*s", (int)length, name);
}

/* Every declaration starts with MOE_API at the start of a line; its name ends at the first '('. */
static void read_header(names *list) {
    char *text = read_text("include/moetune.h", NULL);
    assert_non_null(text);
    for (char *at = text; (at = strstr(at, "\nMOE_API ")) != NULL; at++) {
        char *end = strchr(at, '('), *start = end;
        assert_non_null(end);
        while (start[-1] == '_' || (start[-1] >= '0' && start[-1] <= '9') ||
               (start[-1] >= 'a' && start[-1] <= 'z'))
            start--;
        add(list, start, (size_t)(end - start));
    }
    free(text);
    qsort(list->name, (size_t)list->count, NAME, compare);
}

static void read_library(const char *library, names *list) {
    char command[512], line[256], name[256], type;
    assert_non_null(library);
    snprintf(command, sizeof command, "nm -D --defined-only '%s'", library);
    FILE *nm = popen(command, "r");
    assert_non_null(nm);
    while (fgets(line, sizeof line, nm)) {
        assert_int_equal(sscanf(line, "%*x %c %255s", &type, name), 2);
        add(list, name, strcspn(name, "@"));
    }
    assert_int_equal(pclose(nm), 0);
    qsort(list->name, (size_t)list->count, NAME, compare);
}

static void test_exports(void **unused) {
    (void)unused;
    static names header, library;
    read_header(&header);
    read_library(getenv("MOETUNE_LIBRARY"), &library);
    assert_true(header.count > 20);
    for (int i = 0; i < header.count && i < library.count; i++)
        assert_string_equal(header.name[i], library.name[i]);
    assert_int_equal(header.count, library.count);
}

static void test_sim_exports(void **unused) {
    (void)unused;
    static names library;
    read_library(getenv("MOETUNE_SIM_LIBRARY"), &library);
    assert_int_equal(library.count, 1);
    assert_string_equal(library.name[0], "moetune_sim");
}

/* It loads on its own, with every symbol bound, and answers. */
static void test_load(void **unused) {
    (void)unused;
    const char *(*version)(void) = NULL;
    void *handle = dlopen(getenv("MOETUNE_LIBRARY"), RTLD_NOW | RTLD_LOCAL);
    if (!handle) fail_msg("%s", dlerror());
    *(void **)&version = dlsym(handle, "moe_version");
    assert_non_null(version);
    assert_string_equal(version(), MOE_VERSION);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_exports),
                                       cmocka_unit_test(test_sim_exports),
                                       cmocka_unit_test(test_load)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
