/* label: unit
 * moetune db diff: what changed is named, noise is not a change, and only what got worse fails. */
#include "db/db_diff.h"
#include "db_files.h"
#include "own_folder.h"

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define DATE "2026-05-01T00:00:00Z"

/* The winner of gemm_up on one side. */
typedef struct side {
    int64_t number, n; /* n < 0: it fails; number < 0: the op is not there */
    double med, mad;
} side;

static void write_side(const char *path, const side *s) {
    unlink(path);
    moe_storage_close(db_files_open(path));
    if (s->number < 0) return;
    moe_record record = db_files_record("00000001", s->number, s->n, s->med, DATE);
    record.measurement.mad = s->mad;
    if (s->n < 0)
        record.measurement = (moe_measurement){.outcome = MOE_OUTCOME_WRONG,
                                               .timer = MOE_TIMER_MODEL};
    db_files_put(path, &record, NULL, NULL);
}

static void compare(moe_db_diff *diff) {
    moe_storage *a = db_files_open(in_folder("a.db")), *b = db_files_open(in_folder("b.db"));
    if (moe_db_compare(a, b, diff)) fail_msg("%s", moe_error_text());
    moe_storage_close(a);
    moe_storage_close(b);
}

static void test_changes_are_judged_by_the_noise_of_both(void **state) {
    (void)state;
    static const struct {
        side before, after;
        moe_change change;
        bool good;
    } cases[] = {
        {{1, 1, 1000, 0}, {1, 1, 1000, 0}, MOE_CHANGE_SAME, true},
        {{1, 1, 1000, 0}, {1, 1, 1009, 0}, MOE_CHANGE_SAME, true}, /* less than 1 % */
        {{1, 1, 1000, 0}, {1, 1, 1011, 0}, MOE_CHANGE_SLOWER, false},
        {{1, 1, 1000, 0}, {1, 1, 980, 0}, MOE_CHANGE_FASTER, true},
        {{1, 50, 1000, 100}, {1, 50, 1050, 0}, MOE_CHANGE_SAME, true}, /* the first one's spread */
        {{1, 50, 1000, 0}, {1, 50, 1050, 100}, MOE_CHANGE_SAME, true}, /* the second one's */
        {{1, 50, 1000, 10}, {1, 50, 1050, 10}, MOE_CHANGE_SLOWER, false},
        {{1, 1, 1000, 0}, {2, 1, 1001, 0}, MOE_CHANGE_OTHER, true},
        {{1, 1, 1000, 0}, {2, 1, 2000, 0}, MOE_CHANGE_SLOWER, false},
        {{1, 1, 1000, 0}, {1, -1, 0, 0}, MOE_CHANGE_BROKEN, false},
        {{1, -1, 0, 0}, {1, 1, 1000, 0}, MOE_CHANGE_NEW, true},
        {{1, -1, 0, 0}, {1, -1, 0, 0}, MOE_CHANGE_SAME, true},
        {{-1, 0, 0, 0}, {1, 1, 1000, 0}, MOE_CHANGE_NEW, true},
        {{1, 1, 1000, 0}, {-1, 0, 0, 0}, MOE_CHANGE_GONE, true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        moe_db_diff diff;
        write_side(in_folder("a.db"), &cases[i].before);
        write_side(in_folder("b.db"), &cases[i].after);
        compare(&diff);
        assert_int_equal(diff.differences, 1);
        if (diff.difference[0].change != cases[i].change ||
            moe_db_diff_good(&diff) != cases[i].good)
            fail_msg("case %zu: change %d", i, (int)diff.difference[0].change);
        assert_int_equal(diff.count[cases[i].change], 1);
        moe_db_diff_free(&diff);
    }
}

/* Writes one of two forms of a diff into an owned text. */
static char *say(const moe_db_diff *diff, void (*form)(const moe_db_diff *diff, FILE *to)) {
    char *text = NULL;
    size_t size;
    FILE *to = open_memstream(&text, &size);
    assert_non_null(to);
    form(diff, to);
    fclose(to);
    return text;
}

static void test_layers_are_compared_and_both_forms_tell(void **state) {
    (void)state;
    static const side kernel = {1, 1, 1000, 0};
    moe_db_diff diff;
    write_side(in_folder("a.db"), &kernel);
    write_side(in_folder("b.db"), &kernel);
    const moe_choice before = db_files_layer("00000001", 1, 5000, DATE);
    const moe_choice after = db_files_layer("00000001", 1, 7000, DATE);
    db_files_put_layer(in_folder("a.db"), &before);
    db_files_put_layer(in_folder("b.db"), &after);
    compare(&diff);
    assert_int_equal(diff.differences, 2);
    assert_int_equal(diff.count[MOE_CHANGE_SLOWER], 1);
    char *table = say(&diff, moe_db_diff_table), *text = say(&diff, moe_db_diff_json);
    assert_non_null(strstr(table, "slower       5.00      7.00  +40.0%"));
    assert_non_null(strstr(table, "sm_80 \"sim:test\" sms=4 | layer t=16 routing=uniform"));
    assert_non_null(strstr(table, "0 broken, 1 slower, 0 faster, 0 other, 0 new, 0 gone, 1 same"));
    assert_null(strstr(table, "\nsame"));
    json_t *json = json_loads(text, 0, NULL);
    json_t *rows = json_object_get(json, "rows");
    assert_false(json_boolean_value(json_object_get(json, "good")));
    assert_int_equal(json_array_size(rows), 2);
    const json_t *layer = json_array_get(rows, 1);
    assert_string_equal(json_string_value(json_object_get(layer, "change")), "slower");
    assert_string_equal(json_string_value(json_object_get(layer, "device")),
                        "sm_80 \"sim:test\" sms=4");
    assert_true(json_number_value(json_object_get(json_object_get(layer, "after"), "med_ns")) ==
                7000);
    json_decref(json);
    free(text);
    free(table);
    moe_db_diff_free(&diff);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_changes_are_judged_by_the_noise_of_both),
        cmocka_unit_test(test_layers_are_compared_and_both_forms_tell),
    };
    return cmocka_run_group_tests(tests, own_folder_make, own_folder_drop);
}
