/* label: sim
 * Databases as text and back, as a user does it: records that are whole, stale and bad. */
#include "command_case.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

/* Text to database to text gives the same bytes, and the database runs the layer. */
static void test_databases_go_to_text_and_back(void **state) {
    (void)state;
    const char *const tune[] = {TUNE, "--limit", "2", "--db", in_folder("tuned.db"), NULL};
    const char *const out[] = {"db", "export", in_folder("tuned.db"), in_folder("records"), NULL};
    const char *const build[] = {"db", "build", in_folder("records"), "-o", in_folder("built.db"),
                                 "--quiet", NULL};
    const char *const out2[] = {"db", "export", in_folder("built.db"), "-o", in_folder("records2"),
                                NULL};
    const char *const check[] = {"check", "--device", "sim:a100", "--layer", LAYER, "--tokens", "8",
                                 "--db", in_folder("built.db"), "--quiet", NULL};
    char command[512];
    assert_int_equal(command_run(tune), 0);
    assert_int_equal(command_run(out), 0);
    assert_int_equal(command_run(build), 0);
    assert_int_equal(command_run(out2), 0);
    snprintf(command, sizeof command, "diff -r %s %s", in_folder("records"), in_folder("records2"));
    assert_int_equal(system(command), 0);
    assert_int_equal(command_run(check), 0);
    char *text = command_text(in_folder("err"));
    assert_string_equal(text, "");
    free(text);
    text = command_text(in_folder("records/sim-a100/gemm_up.txt"));
    assert_int_equal(strncmp(text, "# moetune records 1\ndevice sm_80 \"sim:a100\" ", 44), 0);
    free(text);
    snprintf(command, sizeof command, "grep -L timer=model %s/*/*.txt | grep .",
             in_folder("records"));
    assert_int_not_equal(system(command), 0);
}

/* A record of a template that is not there any more stays, without code, and is spoken of. */
static void test_stale_records_are_kept_and_told(void **state) {
    (void)state;
    char command[512];
    snprintf(command, sizeof command,
             "cp -r %s %s && sed -i 's/combine@......../combine@00000000/; "
             "s/route@......../vanished@00000000/' %s/sim-a100/*.txt",
             in_folder("records"), in_folder("stale"), in_folder("stale"));
    assert_int_equal(system(command), 0);
    const char *const build[] = {"db", "build", in_folder("stale"), "-o", in_folder("stale.db"),
                                 NULL};
    assert_int_equal(command_run(build), 1);
    char *text = command_text(in_folder("err"));
    assert_non_null(strstr(text, "the template has changed since"));
    assert_non_null(strstr(text, "there is no such template"));
    free(text);
    const char *const show[] = {"db", "show", in_folder("stale.db"), NULL};
    assert_int_equal(command_run(show), 0);
    text = command_text(in_folder("out"));
    assert_non_null(strstr(text, "vanished@00000000"));
    free(text);
}

static void test_bad_records_name_file_and_line(void **state) {
    (void)state;
    static const struct {
        const char *edit, *message;
    } cases[] = {
        {"3s/ok n=1/ok n=x/", "gemm_up.txt:3"},
        {"2s/sm_80/sm_/", "gemm_up.txt:2"},
        {"1s/records/recipes/", "# moetune records 1"},
        {"3s/timer=model/timer=cupti/", "modelled time is not a measurement"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char command[512];
        snprintf(command, sizeof command, "rm -rf %s; cp -r %s %s && sed -i '%s' %s/*/gemm_up.txt",
                 in_folder("bad"), in_folder("records"), in_folder("bad"), cases[i].edit,
                 in_folder("bad"));
        assert_int_equal(system(command), 0);
        const char *const build[] = {"db", "build", in_folder("bad"), "-o", in_folder("bad.db"),
                                     NULL};
        pid_t child = command_start(build, in_folder("out"), in_folder("err"));
        assert_int_not_equal(command_wait(child), 0);
        char *text = command_text(in_folder("err"));
        if (!strstr(text, cases[i].message)) fail_msg("%s: %s", cases[i].edit, text);
        free(text);
        assert_int_not_equal(access(in_folder("bad.db"), F_OK), 0);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_databases_go_to_text_and_back),
        cmocka_unit_test(test_stale_records_are_kept_and_told),
        cmocka_unit_test(test_bad_records_name_file_and_line),
    };
    return cmocka_run_group_tests(tests, own_folder_make, own_folder_drop);
}
