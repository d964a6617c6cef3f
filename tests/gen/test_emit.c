/* label: unit */
/* test_emit.c - moetune emit as its user meets it: output, messages, exit statuses. */
#include "folder.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include <cmocka.h>

#define UP "emit gemm_up 'd=64 f=32 e=4 k=2' 'bm=32' --templates tests/gen/templates"

static char output[1 << 16];

/* Runs the command with stderr joined to stdout; returns its exit status. */
static int run(const char *arguments) {
    char command[1024];
    const char *program = getenv("MOETUNE_BINARY");
    if (!program) skip();
    snprintf(command, sizeof command, "'%s' %s 2>&1", program, arguments);
    FILE *stream = popen(command, "r");
    assert_non_null(stream);
    size_t size = fread(output, 1, sizeof output - 1, stream);
    output[size] = '\0';
    int status = pclose(stream);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void test_outputs(void **state) {
    static const struct {
        const char *arguments, *contains;
    } rows[] = {
        {UP " --device sm_80", "// config     bm=32 warps=1 unroll=0\n"},
        {UP " --device sm_80", "#line 1 \"templates/tiny.cu\"\n"},
        {UP " --device sm_90a", "// device     sm_90a\n"},
        {UP " --template tiny --device sm_80", "// template   tiny@"},
        {"emit gemm_up 'gemm_up t=7 d=64 f=32 e=4 k=2' --templates tests/gen/templates "
         "--device sm_80", "// config     bm=16 "},
        {"emit gemm_up 't=99 d=64 f=32 e=4 k=2' --templates tests/gen/templates --device sm_80",
         "// config     bm=64 "},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_int_equal(run(rows[i].arguments), 0);
        if (!strstr(output, rows[i].contains)) fail_msg("%s\n%s", rows[i].arguments, output);
    }
    assert_int_equal(run(UP " --device sm_80 --plain"), 0);
    assert_null(strstr(output, "#line"));
}

static void test_errors(void **state) {
    static const struct {
        const char *arguments;
        int status;
        const char *contains;
    } rows[] = {
        {"emit", 2, "an op's kind and its text are needed"},
        {"emit a b c d", 2, "too many arguments"},
        {"emit gemm_sideways 'd=8' --device sm_80", 2, "moetune: op: 'gemm_sideways' is not known"},
        {"emit gemm_up 'd=9 f=32 e=4 k=2' --device sm_80", 2, "must be multiples of 8"},
        {"emit gemm_up 'd=8 f=32 e=4' --device sm_80", 2, "moetune: op: 'k=' is missing"},
        {UP " --device sm_75", 2, "nothing is known of 'sm_75'"},
        {UP " --device nowhere:1", 3, "moetune: "},
        {UP " --device sm_80 --template none", 3, "there is no template 'none'; there are: tiny@"},
        {"emit gemm_up 'd=64 f=32 e=4 k=2' 'bm=31' --templates tests/gen/templates --device sm_80",
         2, "moetune: tiny: config: bm=31 is none of its values: 16 32 64"},
        {"emit gemm_up 'd=64 f=32 e=4 k=2' 'bm' --templates tests/gen/templates --device sm_80", 2,
         "moetune: config: 'bm' is not name=integer"},
        {"emit route 'd=64 e=4 k=2' --templates tests/gen/templates --device sm_80", 3,
         "moetune: no template serves this: tiny makes no route"},
        {UP "/none --device sm_80", 3, "give the folder that holds the templates"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        int status = run(rows[i].arguments);
        if (status != rows[i].status || !strstr(output, rows[i].contains))
            fail_msg("%s\nexit %d\n%s", rows[i].arguments, status, output);
    }
}

/* The command in a source's own header writes the same source again. */
static void test_regenerate(void **state) {
    static char first[sizeof output];
    char command[1024];
    (void)state;
    assert_int_equal(run(UP " --device sm_90a"), 0);
    strcpy(first, output);
    const char *line = strstr(first, "// regenerate moetune ");
    assert_non_null(line);
    line += strlen("// regenerate moetune ");
    snprintf(command, sizeof command, "%.*s --templates tests/gen/templates",
             (int)strcspn(line, "\n"), line);
    assert_int_equal(run(command), 0);
    assert_string_equal(output, first);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_outputs),
        cmocka_unit_test(test_errors),
        cmocka_unit_test(test_regenerate),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
