/* label: unit - libmoetune has no simulator in it, and opens the one beside it when asked to. */
#include "check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

static char output[1 << 16]; /* of the last program */
static char folder[256];     /* libmoetune alone; each test puts beside it what it likes */

static int shell(const char *command) {
    FILE *pipe = popen(command, "r");
    assert_non_null(pipe);
    output[fread(output, 1, sizeof output - 1, pipe)] = '\0';
    int status = pclose(pipe);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

/* Opens a device with a libmoetune in a process of its own; 0 where that worked. */
static int open_device(const char *library, const char *device) {
    char command[1024];
    snprintf(command, sizeof command, "'%s' '%s' '%s' 2>&1", getenv("OPEN_DEVICE"), library,
             device);
    return shell(command);
}

/* The same with the libmoetune of the folder. */
static int open_alone(const char *device) {
    char library[300];
    snprintf(library, sizeof library, "%s/libmoetune.so", folder);
    return open_device(library, device);
}

static void expect_absent(const char *text) {
    if (strstr(output, text)) fail_msg("'%s' is in: %s", text, output);
}

static void put_beside(const char *file) {
    char command[1024];
    snprintf(command, sizeof command, "cp -L '%s' '%s/libmoetune_sim.so.0'", file, folder);
    assert_int_equal(shell(command), 0);
}

static const char *library(void) { return getenv("MOETUNE_LIBRARY"); }

static int start(void **unused) {
    (void)unused;
    char command[1024];
    scratch_make(folder, sizeof folder);
    snprintf(command, sizeof command, "cp -L '%s' '%s/libmoetune.so'", library(), folder);
    return shell(command);
}

static int end(void **unused) {
    (void)unused;
    scratch_remove(folder);
    return 0;
}

static void test_null(void **unused) {
    (void)unused;
    assert_int_equal(open_device(library(), "null"), 0);
    CHECK_CONTAINS(output, "ok: sm_90a \"null\"");
    CHECK_CONTAINS(output, "/libmoetune.so");
    expect_absent("moetune_sim");
    expect_absent("libgomp");
}

static void test_simulated(void **unused) {
    (void)unused;
    assert_int_equal(open_device(library(), "sim:a100,seed=3"), 0);
    CHECK_CONTAINS(output, "ok: sm_80 \"sim:a100\"");
    CHECK_CONTAINS(output, "/libmoetune_sim.so");
}

/* What fails inside of the simulator fails in the caller's words. */
static void test_messages(void **unused) {
    (void)unused;
    assert_int_equal(open_device(library(), "sim:none"), 1);
    CHECK_CONTAINS(output,
                   "not found: device sim:none: no simulated chip 'none'; there are sim:h100");
    assert_int_equal(open_device(library(), "sim:h100,speed=1"), 1);
    CHECK_CONTAINS(output,
                   "parse error: device sim:h100,speed=1: device option 'speed=1': use seed=N");
}

static void test_auto(void **unused) {
    (void)unused;
    int failed = open_device(library(), "auto");
    expect_absent("moetune_sim");
    if (!failed) return;
    CHECK_CONTAINS(output,
                   "device auto: no GPU; name sim:h100 for a simulated one: device cuda:0: ");
}

static void test_missing(void **unused) {
    (void)unused;
    char where[512];
    snprintf(where, sizeof where, "libmoetune_sim.so.0 is neither in %s nor on the loader's path; "
                                  "install it beside libmoetune", folder);
    assert_int_equal(open_alone("null"), 0);
    assert_int_equal(open_alone("sim:h100"), 1);
    CHECK_CONTAINS(output,
                   "missing library: device sim:h100: libmoetune_sim, the simulated GPU, is "
                   "missing: ");
    CHECK_CONTAINS(output, where);
}

static void test_beside(void **unused) {
    (void)unused;
    put_beside(getenv("MOETUNE_SIM_LIBRARY"));
    assert_int_equal(open_alone("sim:h100"), 0);
    CHECK_CONTAINS(output, folder);
}

static void test_broken(void **unused) {
    (void)unused;
    char path[300];
    snprintf(path, sizeof path, "%s/libmoetune_sim.so.0", folder);
    write_text(path, "not a library", 13);
    assert_int_equal(open_alone("sim:h100"), 1);
    CHECK_CONTAINS(output,
                   "missing library: device sim:h100: libmoetune_sim: found, but it does not "
                   "load (");
    put_beside(library());
    assert_int_equal(open_alone("sim:h100"), 1);
    CHECK_CONTAINS(output, "has no function moetune_sim, so it is not moetune's");
}

static void test_other_version(void **unused) {
    (void)unused;
    static const char *const variables[] = {"FAKE_SIM_NEWER", "FAKE_SIM_LARGER"};
    for (int i = 0; i < 2; i++) {
        put_beside(getenv(variables[i]));
        assert_int_equal(open_alone("sim:h100"), 1);
        CHECK_CONTAINS(output, "missing library: device sim:h100: libmoetune_sim: is of moetune "
                               "7.0.0, interface ");
        CHECK_CONTAINS(output, "does not fit libmoetune " MOE_VERSION);
        CHECK_CONTAINS(output, "install both of one build");
    }
}

/* What an engine ships, and what it need not. */
static void test_sizes(void **unused) {
    (void)unused;
    struct stat alone, sim;
    assert_int_equal(stat(library(), &alone), 0);
    assert_int_equal(stat(getenv("MOETUNE_SIM_LIBRARY"), &sim), 0);
    print_message("libmoetune.so %lld bytes, libmoetune_sim.so %lld bytes\n",
                  (long long)alone.st_size, (long long)sim.st_size);
    assert_true(alone.st_size < sim.st_size);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, start, end)
    const struct CMUnitTest tests[] = {
        TEST(test_null),   TEST(test_simulated),     TEST(test_messages),
        TEST(test_auto),   TEST(test_missing),       TEST(test_beside),
        TEST(test_broken), TEST(test_other_version), TEST(test_sizes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
