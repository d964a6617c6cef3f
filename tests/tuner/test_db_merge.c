/* label: unit
 * moetune db merge: the better evidence of each key stays, in whatever order databases are named,
 * with its code and samples; layers keep what they are made of; files that are there are safe. */
#include "db/db_merge.h"
#include "db_files.h"
#include "own_folder.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define OLD "00000001"
#define NEW "00000002"
#define MAY "2026-05-01T00:00:00Z"
#define JUNE "2026-06-01T00:00:00Z"
#define JULY "2026-07-01T00:00:00Z"

/* The rows of a database as text, samples and images included. */
static moe_status say_record(void *context, const moe_record *record, const char *image) {
    char line[MOE_RECORD_TEXT_SIZE];
    moe_record_print(record, line, sizeof line);
    moe_text_add(context, "%s | image %s\n", line, image);
    return MOE_OK;
}

static moe_status say_layer(void *context, const moe_choice *choice) {
    char line[MOE_CHOICE_TEXT_SIZE];
    moe_choice_print(choice, line, sizeof line);
    moe_text_add(context, "%s\n", line);
    return MOE_OK;
}

static char *rows_of(const char *path) {
    enum { SIZE = 1 << 16 };
    char *text = malloc(SIZE);
    moe_text out = moe_text_start(text, SIZE);
    moe_storage *store = db_files_open(path);
    int64_t device;
    assert_int_equal(moe_storage_device(store, &db_files_facts, &device), MOE_OK);
    assert_int_equal(moe_storage_records(store, device, say_record, &out), MOE_OK);
    assert_int_equal(moe_storage_choices(store, device, say_layer, &out), MOE_OK);
    moe_storage_close(store);
    assert_false(out.cut);
    return text;
}

/* Merges a and b both ways; both results must be alike. The caller frees the text. */
static char *merge(moe_db_merged *merged) {
    const char *one[] = {in_folder("a.db"), in_folder("b.db")}, *other[] = {one[1], one[0]};
    moe_db_merged again;
    unlink(in_folder("ab.db"));
    unlink(in_folder("ba.db"));
    if (moe_db_merge(one, 2, in_folder("ab.db"), merged)) fail_msg("%s", moe_error_text());
    if (moe_db_merge(other, 2, in_folder("ba.db"), &again)) fail_msg("%s", moe_error_text());
    assert_memory_equal(merged, &again, sizeof again);
    char *ab = rows_of(in_folder("ab.db")), *ba = rows_of(in_folder("ba.db"));
    assert_string_equal(ab, ba);
    free(ba);
    return ab;
}

static void start(void) {
    unlink(in_folder("a.db"));
    unlink(in_folder("b.db"));
}

/* Of two rows with one key, row `a` stays. */
static void test_the_better_evidence_stays(void **state) {
    (void)state;
    static const struct {
        const char *what, *version_a, *version_b, *date_a, *date_b;
        int64_t n_a, n_b;
        double med_a, med_b;
    } cases[] = {
        {"more samples", OLD, OLD, MAY, JUNE, 50, 10, 200, 100},
        {"as many, later", OLD, OLD, JUNE, MAY, 50, 50, 200, 100},
        {"a newer template", NEW, OLD, JUNE, MAY, 10, 50, 200, 100},
        {"a newer template, though its hash is lower", OLD, NEW, JUNE, MAY, 10, 50, 200, 100},
        {"all alike: the lower text", OLD, OLD, MAY, MAY, 50, 50, 100, 200},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        moe_db_merged merged;
        char line[MOE_RECORD_TEXT_SIZE];
        start();
        const moe_record a = db_files_record(cases[i].version_a, 1, cases[i].n_a, cases[i].med_a,
                                             cases[i].date_a);
        const moe_record b = db_files_record(cases[i].version_b, 1, cases[i].n_b, cases[i].med_b,
                                             cases[i].date_b);
        db_files_put(in_folder("a.db"), &a, NULL, NULL);
        db_files_put(in_folder("b.db"), &b, NULL, NULL);
        char *text = merge(&merged);
        moe_record_print(&a, line, sizeof line);
        if (!strstr(text, line) || merged.records != 1 || merged.overridden != 1)
            fail_msg("%s: %s", cases[i].what, text);
        free(text);
    }
}

/* The youngest row of a version says how new the version is, for all of its rows. */
static void test_a_version_is_as_new_as_its_youngest_row(void **state) {
    (void)state;
    moe_db_merged merged;
    start();
    const moe_record stays = db_files_record(NEW, 1, 1, 100, MAY);
    const moe_record young = db_files_record(NEW, 2, 1, 100, JULY);
    const moe_record goes = db_files_record(OLD, 1, 50, 90, JUNE);
    db_files_put(in_folder("a.db"), &stays, NULL, NULL);
    db_files_put(in_folder("a.db"), &young, NULL, NULL);
    db_files_put(in_folder("b.db"), &goes, NULL, NULL);
    char *text = merge(&merged);
    assert_null(strstr(text, "gemm@" OLD));
    assert_int_equal(merged.records, 2);
    assert_int_equal(merged.overridden, 1);
    free(text);
}

/* A row built from text has code, the tuner's own has samples: the merged one has both. */
static void test_code_and_samples_stay_with_their_row(void **state) {
    (void)state;
    moe_db_merged merged;
    char ptx[] = "ptx text", *samples, *log, hash[MOE_HASH_SIZE], *source;
    bool found;
    int64_t device;
    start();
    moe_record record = db_files_record(NEW, 1, 3, 20, MAY);
    db_files_put(in_folder("a.db"), &record, "10.0 20.0 30.0", NULL);
    db_files_put(in_folder("b.db"), &record, NULL, ptx);
    free(merge(&merged));
    assert_int_equal(merged.alike, 1);
    assert_int_equal(merged.overridden, 0);
    moe_storage *store = db_files_open(in_folder("ab.db"));
    assert_int_equal(moe_storage_device(store, &db_files_facts, &device), MOE_OK);
    assert_int_equal(moe_storage_notes(store, device, &record, &samples, &log), MOE_OK);
    assert_string_equal(samples, "10.0 20.0 30.0");
    assert_int_equal(moe_storage_find(store, device, &record, hash, &found), MOE_OK);
    moe_compiled back;
    assert_int_equal(moe_storage_image(store, hash, &back, &source, &found), MOE_OK);
    assert_true(found);
    assert_string_equal(back.ptx, ptx);
    assert_null(back.cubin); /* what was not there is not there */
    assert_string_equal(source, "cuda");
    moe_compiled_free(&back);
    free(source);
    free(samples);
    free(log);
    moe_storage_close(store);
}

static void test_a_layer_keeps_the_records_it_is_made_of(void **state) {
    (void)state;
    moe_db_merged merged;
    start();
    const moe_record old = db_files_record(OLD, 1, 1, 100, MAY);
    const moe_record new = db_files_record(NEW, 1, 1, 100, JUNE);
    const moe_choice layer = db_files_layer(OLD, 1, 500, MAY);
    db_files_put(in_folder("a.db"), &old, NULL, NULL);
    db_files_put_layer(in_folder("a.db"), &layer);
    db_files_put(in_folder("b.db"), &new, NULL, NULL);
    char *text = merge(&merged);
    assert_int_equal(merged.records, 2);
    assert_int_equal(merged.layers, 1);
    assert_int_equal(merged.kept, 1);
    assert_int_equal(merged.overridden, 0);
    assert_non_null(strstr(text, "| gemm@" OLD " number=1 |"));
    free(text);

    /* A layer of the newer template overrides it, and then nothing holds the old record. */
    const moe_choice better = db_files_layer(NEW, 1, 600, JUNE);
    db_files_put_layer(in_folder("b.db"), &better);
    text = merge(&merged);
    assert_int_equal(merged.records, 1);
    assert_int_equal(merged.kept, 0);
    assert_int_equal(merged.overridden, 1);
    assert_int_equal(merged.overridden_layers, 1);
    assert_null(strstr(text, "gemm@" OLD));
    free(text);
}

static void test_a_file_that_is_there_is_safe(void **state) {
    (void)state;
    moe_db_merged merged;
    start();
    unlink(in_folder("out.db"));
    const moe_record one = db_files_record(OLD, 1, 1, 100, MAY);
    const moe_record two = db_files_record(OLD, 2, 1, 100, MAY);
    db_files_put(in_folder("out.db"), &one, NULL, NULL);
    db_files_put(in_folder("a.db"), &two, NULL, NULL);
    const char *const without[] = {in_folder("a.db")};
    char *before = rows_of(in_folder("out.db"));
    assert_int_equal(moe_db_merge(without, 1, in_folder("out.db"), &merged), MOE_E_INVALID);
    char *after = rows_of(in_folder("out.db"));
    assert_string_equal(before, after);
    free(before);
    free(after);

    const char *const with[] = {in_folder("a.db"), in_folder("out.db")};
    assert_int_equal(moe_db_merge(with, 2, in_folder("out.db"), &merged), MOE_OK);
    assert_int_equal(merged.records, 2);
    after = rows_of(in_folder("out.db"));
    assert_non_null(strstr(after, "number=1 |"));
    assert_non_null(strstr(after, "number=2 |"));
    free(after);
}

/* Nothing is written where one of the databases cannot be read. */
static void test_bad_databases_are_refused_whole(void **state) {
    (void)state;
    static const struct {
        const char *sql, *message;
    } cases[] = {
        {"UPDATE record SET config = 'number=x'", "row 1 of table record"},
        {"UPDATE device SET text = 'a toaster'", "row 1 of table device"},
        {"PRAGMA user_version = 1", "its schema is 1"},
        {"DROP TABLE choice", "no such table"},
        {"INSERT INTO choice SELECT 1, device, 'd=64 f=32 e=4 k=2', 16, 'uniform', 'cold', "
         "'gemm_up', 'ok', n, med, mad, err, timer, driver, toolkit, commit_id, date, clock "
         "FROM record; UPDATE record SET tokens = 17; INSERT INTO choice_step VALUES (1, 0, 1)",
         "has a step without a record"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        moe_db_merged merged;
        start();
        const moe_record one = db_files_record(OLD, 1, 1, 100, MAY);
        const moe_record two = db_files_record(OLD, 2, 1, 100, MAY);
        db_files_put(in_folder("a.db"), &one, NULL, NULL);
        db_files_put(in_folder("b.db"), &two, NULL, NULL);
        db_files_sql(in_folder("b.db"), cases[i].sql);
        const char *const both[] = {in_folder("a.db"), in_folder("b.db")};
        moe_status status = moe_db_merge(both, 2, in_folder("bad.db"), &merged);
        if (status == MOE_OK || !strstr(moe_error_text(), cases[i].message))
            fail_msg("%s: %d: %s", cases[i].sql, (int)status, moe_error_text());
        assert_true(status == MOE_E_CORRUPT || status == MOE_E_IO);
        assert_int_not_equal(access(in_folder("bad.db"), F_OK), 0);
        assert_int_not_equal(access(in_folder("bad.db.new"), F_OK), 0);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_better_evidence_stays),
        cmocka_unit_test(test_a_version_is_as_new_as_its_youngest_row),
        cmocka_unit_test(test_code_and_samples_stay_with_their_row),
        cmocka_unit_test(test_a_layer_keeps_the_records_it_is_made_of),
        cmocka_unit_test(test_a_file_that_is_there_is_safe),
        cmocka_unit_test(test_bad_databases_are_refused_whole),
    };
    return cmocka_run_group_tests(tests, own_folder_make, own_folder_drop);
}
