/* label: unit - where libraries are looked for, and what is said when they are not there. */
#include "check.h"

#include "device/library.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char root[256];

/* Every place that is searched by variable, and the subfolder that stands for it here. */
static const struct {
    const char *variable, *folder;
} variables[] = {
    {"MOETUNE_CUDA", "toolkit"}, {"CUDA_HOME", "home"}, {"VIRTUAL_ENV", "venv"},
    {"CONDA_PREFIX", "conda"},   {"HOME", "user"},
};

static const moe_library fake = {
    .name = "the fake driver",
    .sonames = (const char *const[]){"libmoetune-fake.so.2", "libmoetune-fake.so.1", NULL},
    .advice = "run the tests by ctest",
};

static void make_folders(char *path) {
    for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        mkdir(path, 0755);
        *slash = '/';
    }
}

/* Puts a link to a real library at root/place. */
static void place(const char *where, const char *kind) {
    char from[512], to[512];
    const char *drivers = getenv("FAKE_DRIVERS");
    assert_non_null(drivers);
    snprintf(from, sizeof from, "%s/%s", drivers, kind);
    snprintf(to, sizeof to, "%s/%s", root, where);
    make_folders(to);
    assert_int_equal(symlink(from, to), 0);
}

static void set_variable(int i, bool on) {
    char folder[512];
    snprintf(folder, sizeof folder, "%s/%s", root, variables[i].folder);
    if (on)
        setenv(variables[i].variable, folder, 1);
    else
        unsetenv(variables[i].variable);
}

static int start(void **unused) {
    (void)unused;
    scratch_make(root, sizeof root);
    for (int i = 0; i < (int)(sizeof variables / sizeof variables[0]); i++) set_variable(i, false);
    return 0;
}

static int stop(void **unused) {
    (void)unused;
    scratch_remove(root);
    return 0;
}

static void expect(const char *where) {
    char path[512] = "", wanted[512];
    void *handle = NULL;
    snprintf(wanted, sizeof wanted, "%s/%s", root, where);
    CHECK(moe_library_open(&fake, &handle, path, sizeof path));
    assert_non_null(handle);
    assert_string_equal(path, wanted);
}

static void test_nowhere(void **unused) {
    (void)unused;
    void *handle = NULL;
    CHECK_FAILS(moe_library_open(&fake, &handle, NULL, 0), MOE_E_LIBRARY,
                "libmoetune-fake.so.2 is not in $MOETUNE_CUDA");
    CHECK_CONTAINS(moe_error_text(), "run the tests by ctest");
    assert_null(handle);
}

/* Each place is found, and hides every place behind it. */
static void test_order(void **unused) {
    (void)unused;
    static const struct {
        int variable;
        const char *where;
    } places[] = {
        {4, "user/.local/lib/python3.11/site-packages/nvidia/cuda_nvrtc/lib/libmoetune-fake.so.1"},
        {3, "conda/lib/python3.12/site-packages/nvidia/cu13/lib/libmoetune-fake.so.1"},
        {2, "venv/lib/python3.9/site-packages/nvidia/cuda_nvrtc/lib/libmoetune-fake.so.1"},
        {1, "home/extras/CUPTI/lib64/libmoetune-fake.so.1"},
        {1, "home/lib/libmoetune-fake.so.1"},
        {1, "home/lib64/libmoetune-fake.so.1"},
        {0, "toolkit/nvidia/cu13/lib/libmoetune-fake.so.1"},
        {0, "toolkit/extras/CUPTI/lib64/libmoetune-fake.so.1"},
        {0, "toolkit/lib/libmoetune-fake.so.1"},
        {0, "toolkit/lib64/libmoetune-fake.so.1"},
        {0, "toolkit/libmoetune-fake.so.1"},
        {0, "toolkit/libmoetune-fake.so.2"},
    };
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        place(places[i].where, "new/lib64/libcuda.so.1");
        set_variable(places[i].variable, true);
        expect(places[i].where);
    }
}

/* A virtual environment that is not active but first on the path. */
static void test_python_on_the_path(void **unused) {
    (void)unused;
    char python[512], path[1024], *before = strdup(getenv("PATH"));
    snprintf(python, sizeof python, "%s/bare/bin/python3", root);
    make_folders(python);
    assert_int_equal(symlink("/bin/sh", python), 0);
    place("bare/lib/python3.12/site-packages/nvidia/cu13/lib/libmoetune-fake.so.1",
          "new/lib64/libcuda.so.1");
    snprintf(path, sizeof path, "%s/none::%s/bare/bin:%s", root, root, before);
    setenv("PATH", path, 1);
    expect("bare/lib/python3.12/site-packages/nvidia/cu13/lib/libmoetune-fake.so.1");
    setenv("PATH", before, 1);
    free(before);
}

static void test_broken(void **unused) {
    (void)unused;
    void *handle = NULL;
    place("toolkit/lib64/libmoetune-fake.so.2", "broken/libcuda.so.1");
    set_variable(0, true);
    CHECK_FAILS(moe_library_open(&fake, &handle, NULL, 0), MOE_E_LIBRARY,
                "found, but it does not load");
    CHECK_CONTAINS(moe_error_text(), "toolkit/lib64/libmoetune-fake.so.2");
    /* The next name in the same folder serves. */
    place("toolkit/lib64/libmoetune-fake.so.1", "new/lib64/libcuda.so.1");
    expect("toolkit/lib64/libmoetune-fake.so.1");
}

static void test_odd_names(void **unused) {
    (void)unused;
    char folder[512];
    place("odd [x] *?/lib64/libmoetune-fake.so.1", "new/lib64/libcuda.so.1");
    snprintf(folder, sizeof folder, "%s/odd [x] *?", root);
    setenv("MOETUNE_CUDA", folder, 1);
    expect("odd [x] *?/lib64/libmoetune-fake.so.1");
    setenv("MOETUNE_CUDA", "", 1);
    void *handle;
    assert_int_equal(moe_library_open(&fake, &handle, NULL, 0), MOE_E_LIBRARY);
    char *long_name = calloc(1, 10000);
    memset(long_name, 'x', 9999);
    setenv("MOETUNE_CUDA", long_name, 1);
    free(long_name);
    assert_int_equal(moe_library_open(&fake, &handle, NULL, 0), MOE_E_LIBRARY);
}

static void test_symbols(void **unused) {
    (void)unused;
    void *handle = NULL;
    int (*function)(unsigned) = NULL;
    place("toolkit/lib64/libmoetune-fake.so.1", "old/lib64/libcuda.so.1");
    set_variable(0, true);
    CHECK(moe_library_open(&fake, &handle, NULL, 0));
    CHECK(moe_library_symbol(&fake, handle, "cuInit", &function));
    assert_int_equal(function(0), 0);
    CHECK_FAILS(moe_library_symbol(&fake, handle, "cuLaunchKernelEx", &function), MOE_E_LIBRARY,
                "no function cuLaunchKernelEx, so it is too old; run the tests");
}

/* By the loader's path: libm is everywhere. */
static void test_loader(void **unused) {
    (void)unused;
    const moe_library math = {"libm", (const char *const[]){"libm.so.6", NULL}, "install libc"};
    char path[512] = "";
    void *handle = NULL;
    CHECK(moe_library_open(&math, &handle, path, sizeof path));
    assert_int_equal(path[0], '/');
    CHECK_CONTAINS(path, "/libm.so.6");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_nowhere, start, stop),
        cmocka_unit_test_setup_teardown(test_order, start, stop),
        cmocka_unit_test_setup_teardown(test_python_on_the_path, start, stop),
        cmocka_unit_test_setup_teardown(test_broken, start, stop),
        cmocka_unit_test_setup_teardown(test_odd_names, start, stop),
        cmocka_unit_test_setup_teardown(test_symbols, start, stop),
        cmocka_unit_test_setup_teardown(test_loader, start, stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
