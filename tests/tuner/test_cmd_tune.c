/* label: sim
 * What moetune tune tells: its plan in a dry run, and how well one template's survey was ranked. */
#include "command_case.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static void test_a_dry_run_tells_its_plan_and_leaves_nothing(void **state) {
    (void)state;
    const char *const args[] = {"tune", "--device", "sim:a100", "--layer", LAYER, "--tokens", "8",
                                "--budget", "4:00", "--dry-run", "--db", in_folder("dry.db"), NULL};
    assert_int_equal(command_run(args), 0);
    char *text = command_text(in_folder("out"));
    assert_non_null(strstr(text, "\ngemm_down  "));
    assert_non_null(strstr(text, "for whole layers"));
    assert_non_null(strstr(text, "budget 240 s"));
    free(text);
    assert_int_not_equal(access(in_folder("dry.db"), F_OK), 0);
}

/* Beside a template that serves, one that throws is not missed. */
static void test_a_dry_run_tells_what_is_left_out(void **state) {
    (void)state;
    const char *const args[] = {"tune", "--device", "sim:a100", "--layer",
                                "d=64 f=32 e=4 k=2 x=f32 w=f32", "--templates",
                                "tests/tuner/templates", "--op", "combine", "--dry-run", NULL};
    assert_int_equal(command_run(args), 0);
    char *text = command_text(in_folder("err"));
    assert_non_null(strstr(text, "a template of combine is left out: "));
    assert_non_null(strstr(text, "thrower.lua"));
    free(text);
}

/* A survey of one template says how well its predictions order what was timed. */
static void test_a_survey_ranks_one_template(void **state) {
    (void)state;
    const char *const args[] = {"tune", "--device", "sim:a100", "--layer", LAYER, "--tokens", "8",
                                "--op", "permute", "--template", "permute_small", "--strategy",
                                "survey", "--quiet", "--json", "--db", in_folder("survey.db"),
                                NULL};
    assert_int_equal(command_run(args), 0);
    json_t *report = command_json(in_folder("out"));
    const json_t *ops = json_object_get(report, "ops");
    const json_t *list = json_object_get(json_array_get(ops, 0), "templates");
    const json_t *found = json_array_get(list, 0), *order = json_object_get(found, "prediction");
    int64_t space = json_integer_value(json_object_get(found, "space"));
    int64_t ranked = json_integer_value(json_object_get(order, "ranked"));
    int64_t place = json_integer_value(json_object_get(order, "best_rank"));
    assert_int_equal(json_array_size(ops), 1);
    assert_int_equal(json_array_size(json_object_get(report, "layers")), 0);
    assert_int_equal(json_array_size(list), 1);
    assert_int_equal(strncmp(json_string_value(json_object_get(found, "template")),
                             "permute_small@", 14), 0);
    assert_int_equal(ranked, space); /* it fits the limit, so all were timed */
    assert_in_range(place, 1, ranked);
    assert_true(json_number_value(json_object_get(order, "correlation")) > 0.5);
    double regret = json_number_value(json_object_get(order, "regret"));
    assert_true(regret >= 1 && regret < 1.1);
    json_decref(report);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_dry_run_tells_its_plan_and_leaves_nothing),
        cmocka_unit_test(test_a_dry_run_tells_what_is_left_out),
        cmocka_unit_test(test_a_survey_ranks_one_template),
    };
    return cmocka_run_group_tests(tests, own_folder_make, own_folder_drop);
}
