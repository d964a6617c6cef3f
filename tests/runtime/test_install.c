/* label: unit - the installed package alone builds and runs the example, by CMake and by
 * pkg-config, in a process that has neither Lua nor NVRTC in it. */
#include "check.h"
#include "synthetic.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GRANITE "d=1024 f=512 e=32 k=8 router=topk>softmax"

static char folder[256], db_path[300];

/* Runs a shell command in a clean environment; its output is in folder/log. */
static int shell(const char *command) {
    char whole[4096];
    snprintf(whole, sizeof whole, "cd '%s' && ( %s ) > log 2>&1", folder, command);
    int result = system(whole);
    if (result) {
        char path[300];
        snprintf(path, sizeof path, "%s/log", folder);
        char *log = read_text(path, NULL);
        print_message("%s\n%s\n", command, log ? log : "");
        free(log);
    }
    return result;
}

static void expect_in_log(const char *text) {
    char path[300];
    snprintf(path, sizeof path, "%s/log", folder);
    char *log = read_text(path, NULL);
    assert_non_null(log);
    CHECK_CONTAINS(log, text);
    free(log);
}

static void make_database(void) {
    char facts[512];
    moe_device *device = NULL;
    sqlite3 *db = synthetic_open(db_path);
    CHECK(moe_device_open("null", &device));
    snprintf(facts, sizeof facts, "%s", moe_device_text(device));
    moe_device_close(device);
    int64_t id = synthetic_device(db, facts);
    synthetic_image(db, "i", "sm_80", "kernel=k grid=tokens(16) block=32", "p");
    for (int kind = 0; kind < MOE_PLAIN_OPS; kind++)
        synthetic_record(db, &(synthetic_row){.device = id,
                                              .kind = (moe_op_kind)kind,
                                              .layer = GRANITE,
                                              .tokens = 16,
                                              .n = 1,
                                              .med = 1,
                                              .image = "i"});
    synthetic_close(db);
}

static void test_package(void **unused) {
    (void)unused;
    char command[2048], source[512];
    const char *build = getenv("MOETUNE_BUILD");
    assert_non_null(build);
    assert_non_null(realpath(".", source));
    scratch_make(folder, sizeof folder);
    snprintf(db_path, sizeof db_path, "%s/tuning.db", folder);
    make_database();

    snprintf(command, sizeof command, "cmake --install '%s' --prefix '%s/root' --component library",
             build, folder);
    assert_int_equal(shell(command), 0);
    snprintf(
        command, sizeof command,
        "cmake -S '%s/examples' -B example -DCMAKE_PREFIX_PATH='%s/root' && cmake --build example",
        source, folder);
    assert_int_equal(shell(command), 0);
    assert_int_equal(shell("example/run_layer tuning.db null 16"), 0);
    expect_in_log("16 tokens, match exact, mean |y| 0.000000");
    assert_int_equal(shell("example/run_layer tuning.db null 20"), 0);
    expect_in_log("20 tokens, match near_tokens");
    assert_int_equal(shell("example/run_layer nothing.db null; test $? = 3"), 0);
    expect_in_log("run_layer: not found: database nothing.db");

    snprintf(command, sizeof command,
             "cp '%s'/examples/Makefile '%s'/examples/run_layer.c . && "
             "PKG_CONFIG_PATH=$(dirname $(find root -name moetune.pc)) make "
             "CFLAGS='-O1 -Wall -Wextra -Werror' LDLIBS=",
             source, source);
    assert_int_equal(shell(command), 0);
    assert_int_equal(shell("LD_LIBRARY_PATH=$(dirname $(find root -name libmoetune.so)) "
                           "./run_layer tuning.db null 16"), 0);
    expect_in_log("16 tokens, match exact");

    /* The archive serves too, with what pkg-config says it needs. */
    assert_int_equal(shell("export PKG_CONFIG_PATH=$(dirname $(find root -name moetune.pc)) && "
                           "cc run_layer.c $(pkg-config --cflags moetune) -o static_layer "
                           "$(find root -name libmoetune.a) "
                           "$(pkg-config --static --libs-only-l moetune | sed s/-lmoetune//)"),
                     0);
    assert_int_equal(shell("./static_layer tuning.db null 16"), 0);
    expect_in_log("16 tokens, match exact");

    /* The simulator comes along, and is there when it is asked for. */
    assert_int_equal(shell("example/run_layer tuning.db sim:h100 16; test $? != 0"), 0);
    expect_in_log("the image has no kernel 'k'");
    assert_int_equal(shell("LD_LIBRARY_PATH=$(dirname $(find root -name libmoetune.so)) "
                           "./static_layer tuning.db sim:h100 16; test $? != 0"), 0);
    expect_in_log("the image has no kernel 'k'");

    /* What the process is made of while it runs: the loader names all that it ever loads. */
    assert_int_equal(shell("LD_DEBUG=files example/run_layer tuning.db null 16 2>&1 | "
                           "grep 'calling init'"),
                     0);
    expect_in_log("libmoetune.so");
    assert_int_equal(shell("LD_DEBUG=files example/run_layer tuning.db null 16 2>&1 | "
                           "grep 'calling init' | "
                           "grep -Ei 'lua|nvrtc|cuda|cupti|python|moetune_sim|gomp'; "
                           "test $? = 1"),
                     0);
    scratch_remove(folder);
}

int main(void) {
    const char *sanitize = getenv("MOETUNE_SANITIZE");
    if (sanitize && !strcmp(sanitize, "ON")) {
        puts("skipped: a program without the sanitizers cannot use a library with them");
        return 77;
    }
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_package)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
