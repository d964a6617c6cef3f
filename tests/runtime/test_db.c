/* label: unit - opening a tuning database: what is there, what is not, and what is damaged. */
#include "check.h"
#include "synthetic.h"

#include "run/db.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#define LAYER "d=64 f=32 e=8 k=2"
#define H100 "sm_90a \"NVIDIA H100 80GB HBM3\" sms=132 smem=232448"
#define LAUNCH "kernel=k grid=fixed(1) block=32 smem=1000"

static char folder[256], path[300];

static int start(void **unused) {
    (void)unused;
    scratch_make(folder, sizeof folder);
    snprintf(path, sizeof path, "%s/tuning.db", folder);
    return 0;
}

static int stop(void **unused) {
    (void)unused;
    scratch_remove(folder);
    return 0;
}

/* -------------------------------------------------------------------------------------- opening */

static void expect_open_failure(moe_status status, const char *message) {
    moe_db *db = NULL;
    CHECK_FAILS(moe_db_open(path, &db), status, message);
    CHECK_CONTAINS(moe_error_text(), path);
    assert_null(db);
}

static void test_missing(void **unused) {
    (void)unused;
    expect_open_failure(MOE_E_NOT_FOUND, "make one: moetune tune");
    snprintf(path, sizeof path, "%s", folder);
    expect_open_failure(MOE_E_IO, "not a file");
    snprintf(path, sizeof path, "%s/none/tuning.db", folder);
    expect_open_failure(MOE_E_NOT_FOUND, "make one: moetune tune");
    moe_db_close(NULL);
}

static void test_not_a_database(void **unused) {
    (void)unused;
    char text[8192];
    memset(text, 'x', sizeof text);
    write_text(path, text, sizeof text);
    expect_open_failure(MOE_E_CORRUPT, "moetune db build");
    write_text(path, "", 0);
    expect_open_failure(MOE_E_CORRUPT, "not a tuning database; make one");
    unlink(path);
    sqlite3 *db = NULL;
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    synthetic_run(db, "CREATE TABLE groceries (milk)");
    expect_open_failure(MOE_E_CORRUPT, "not a tuning database");
    synthetic_run(db, "PRAGMA user_version = 3");
    expect_open_failure(MOE_E_CORRUPT, "no such table");
    synthetic_run(db, "PRAGMA user_version = 7");
    expect_open_failure(MOE_E_CORRUPT, "its schema is 7, and this library reads 3; update moetune");
    synthetic_run(db, "PRAGMA user_version = 2");
    expect_open_failure(MOE_E_CORRUPT, "its schema is 2, and this library reads 3; rebuild it");
    synthetic_run(db, "PRAGMA user_version = -3");
    expect_open_failure(MOE_E_CORRUPT, "rebuild it");
    synthetic_close(db);
}

/* A file cut off anywhere is reported or still whole: never a crash, never a wrong row. */
static void test_truncated(void **unused) {
    (void)unused;
    size_t size;
    synthetic_plain(path, H100, LAYER);
    char *whole = read_text(path, &size);
    moe_layer layer;
    moe_facts facts;
    CHECK(moe_layer_parse(LAYER, &layer));
    CHECK(moe_facts_parse(H100, &facts));
    moe_want want = {.facts = &facts};
    for (size_t cut = 0; cut < size; cut += 509) {
        moe_db *db = NULL;
        moe_rows rows = {0};
        moe_image image;
        write_text(path, whole, cut);
        moe_status status = moe_db_open(path, &db);
        if (!status) status = moe_db_rows(db, MOE_OP_gemm_up, &layer, &want, &rows);
        if (!status) status = moe_db_image(db, "i", &image);
        assert_int_equal(status, MOE_E_CORRUPT);
        CHECK_CONTAINS(moe_error_text(), "moetune");
        moe_rows_free(&rows);
        moe_db_close(db);
    }
    free(whole);
}

/* Flipped bytes may go unseen in text, but nothing worse. */
static void test_damaged(void **unused) {
    (void)unused;
    size_t size;
    dice d = {11};
    synthetic_plain(path, H100, LAYER);
    char *whole = read_text(path, &size);
    moe_layer layer;
    moe_facts facts;
    CHECK(moe_layer_parse(LAYER, &layer));
    CHECK(moe_facts_parse(H100, &facts));
    moe_want want = {.facts = &facts};
    char *damaged = malloc(size);
    assert_non_null(damaged);
    for (int round = 0; round < 400; round++) {
        moe_db *db = NULL;
        moe_image image;
        memcpy(damaged, whole, size);
        for (int i = 0; i < 20; i++)
            damaged[dice_between(&d, 0, (int64_t)size - 1)] = (char)dice_roll(&d);
        write_text(path, damaged, size);
        if (moe_db_open(path, &db)) continue;
        for (int kind = 0; kind < MOE_PLAIN_OPS; kind++) {
            moe_rows rows = {0};
            if (!moe_db_rows(db, (moe_op_kind)kind, &layer, &want, &rows))
                for (int64_t i = 0; i < rows.count; i++)
                    (void)moe_db_image(db, rows.row[i].image, &image);
            moe_rows_free(&rows);
        }
        moe_db_close(db);
    }
    free(damaged);
    free(whole);
}

static void expect_rows(const char *where, int count) {
    moe_db *db = NULL;
    moe_layer layer;
    moe_facts facts;
    moe_rows rows = {0};
    CHECK(moe_layer_parse(LAYER, &layer));
    CHECK(moe_facts_parse(H100, &facts));
    moe_want want = {.facts = &facts};
    CHECK(moe_db_open(where, &db));
    CHECK(moe_db_rows(db, MOE_OP_gemm_up, &layer, &want, &rows));
    assert_int_equal(rows.count, count);
    moe_rows_free(&rows);
    moe_db_close(db);
}

/* Runs a check as a user for whom permissions hold; root may write anywhere. */
static void as_nobody(void (*check)(void)) {
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        if (geteuid() == 0 && (setgid(65534) || setuid(65534))) _exit(3);
        check();
        _exit(0);
    }
    int status = -1;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void read_it(void) {
    moe_db *db = NULL;
    if (moe_db_open(path, &db)) {
        fprintf(stderr, "%s\n", moe_error_text());
        _exit(1);
    }
    expect_rows(path, 1);
    moe_db_close(db);
}

static void expect_unreadable(void) {
    moe_db *db = NULL;
    if (moe_db_open(path, &db) != MOE_E_IO || !strstr(moe_error_text(), "make it readable"))
        _exit(1);
}

static void test_read_only(void **unused) {
    (void)unused;
    const char *const modes[] = {"DELETE", "WAL"};
    for (int i = 0; i < 2; i++) {
        char sql[64];
        sqlite3 *db = NULL;
        unlink(path);
        synthetic_plain(path, H100, LAYER);
        snprintf(sql, sizeof sql, "PRAGMA journal_mode = %s", modes[i]);
        assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
        synthetic_run(db, sql);
        synthetic_run(db, "UPDATE record SET err = 1");
        synthetic_close(db);
        chmod(path, 0444);
        chmod(folder, 0555);
        as_nobody(read_it);
        chmod(folder, 0755);
    }
    chmod(path, 0);
    as_nobody(expect_unreadable);
}

/* What a running tuner has committed to its log is seen. */
static void test_live_log(void **unused) {
    (void)unused;
    synthetic_plain(path, H100, LAYER);
    sqlite3 *db = NULL;
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    synthetic_run(db, "PRAGMA journal_mode = WAL");
    synthetic_run(db, "PRAGMA wal_autocheckpoint = 0");
    synthetic_run(db, "UPDATE record SET tokens = 65");
    synthetic_run(db,
                  "INSERT INTO record (device, kind, shape, tokens, routing, cache, template,"
                  " config, outcome, n, med, mad, err, timer, is_default, driver, toolkit,"
                  " commit_id, date, clock, image) SELECT device, kind, shape, 66, routing, cache,"
                  " template, config, outcome, n, med, mad, err, timer, is_default, driver,"
                  " toolkit, commit_id, date, clock, image FROM record");
    expect_rows(path, 2);
    synthetic_close(db);
}

/* A reader does not stand in a writer's way between its calls. */
static void test_no_lock(void **unused) {
    (void)unused;
    moe_db *reader = NULL;
    moe_image image;
    synthetic_plain(path, H100, LAYER);
    CHECK(moe_db_open(path, &reader));
    CHECK(moe_db_image(reader, "i", &image));
    sqlite3 *db = NULL;
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    synthetic_run(db, "BEGIN EXCLUSIVE; UPDATE record SET err = 2; COMMIT");
    synthetic_close(db);
    assert_memory_equal(image.cubin, "\177ELF", 4);
    assert_string_equal(image.ptx, SYNTHETIC_PTX);
    assert_int_equal(image.ptx_size, sizeof SYNTHETIC_PTX - 1);
    moe_db_close(reader);
}

static void test_odd_path(void **unused) {
    (void)unused;
    snprintf(path, sizeof path, "%s/a?b#c%%20d e.db", folder);
    synthetic_plain(path, H100, LAYER);
    expect_rows(path, 1);
}

static void test_default_path(void **unused) {
    (void)unused;
    char text[512];
    setenv("MOETUNE_DB", "/x/y.db", 1);
    CHECK(moe_db_default_path(text, sizeof text));
    assert_string_equal(text, "/x/y.db");
    unsetenv("MOETUNE_DB");
    setenv("XDG_CACHE_HOME", "/cache", 1);
    CHECK(moe_db_default_path(text, sizeof text));
    assert_string_equal(text, "/cache/moetune/tuning.db");
    unsetenv("XDG_CACHE_HOME");
    setenv("HOME", "/home/me", 1);
    CHECK(moe_db_default_path(text, sizeof text));
    assert_string_equal(text, "/home/me/.cache/moetune/tuning.db");
    CHECK_FAILS(moe_db_default_path(text, 5), MOE_E_INVALID, "too long");
    unsetenv("HOME");
    CHECK_FAILS(moe_db_default_path(text, sizeof text), MOE_E_NOT_FOUND, "give a path");
    moe_db *db;
    setenv("MOETUNE_DB", path, 1);
    CHECK_FAILS(moe_db_open(NULL, &db), MOE_E_NOT_FOUND, path);
}

/* --------------------------------------------------------------------------------------- images */

static void test_images(void **unused) {
    (void)unused;
    moe_db *db = NULL;
    moe_image image;
    sqlite3 *raw = synthetic_open(path);
    synthetic_image(raw, "both", "sm_90a", LAUNCH, "cp");
    synthetic_image(raw, "ptx", "sm_80", LAUNCH, "p");
    synthetic_image(raw, "empty", "sm_80", LAUNCH, "");
    synthetic_image(raw, "launch", "sm_80", "kernel=k", "cp");
    synthetic_run(raw,
                  "INSERT INTO image VALUES ('bad','sm_90a','" LAUNCH "','','','',x'0102','p')");
    synthetic_close(raw);
    CHECK(moe_db_open(path, &db));
    CHECK(moe_db_image(db, "both", &image));
    assert_string_equal(image.arch, "sm_90a");
    assert_int_equal(image.cubin_size, strlen("\177ELF fake"));
    assert_int_equal(image.launch.kernel[0].smem, 1000);
    CHECK(moe_db_image(db, "ptx", &image));
    assert_null(image.cubin);
    assert_string_equal(image.ptx, SYNTHETIC_PTX);
    CHECK_FAILS(moe_db_image(db, "empty", &image), MOE_E_CORRUPT, "has no code");
    CHECK_FAILS(moe_db_image(db, "bad", &image), MOE_E_CORRUPT, "not an ELF file");
    CHECK_FAILS(moe_db_image(db, "launch", &image), MOE_E_CORRUPT, "'grid=' is missing");
    CHECK_FAILS(moe_db_image(db, "none", &image), MOE_E_NOT_FOUND, "moetune db build");
    moe_db_close(db);
}

/* Rows with words that this version does not know are an error that says so, not a guess. */
static void test_strange_rows(void **unused) {
    (void)unused;
    const char *const changes[] = {
        "UPDATE record SET routing = 'sideways'", "UPDATE record SET timer = 'sundial'",
        "UPDATE image SET launch = 'kernel=k grid=spiral(3) block=1'",
        "UPDATE image SET arch = 'an architecture with a name that is too long'",
        "UPDATE record SET cache = NULL",
    };
    moe_layer layer;
    moe_facts facts;
    CHECK(moe_layer_parse(LAYER, &layer));
    CHECK(moe_facts_parse(H100, &facts));
    moe_want want = {.facts = &facts};
    for (size_t i = 0; i < sizeof changes / sizeof changes[0]; i++) {
        moe_db *db = NULL;
        moe_rows rows = {0};
        sqlite3 *raw = NULL;
        unlink(path);
        synthetic_plain(path, H100, LAYER);
        assert_int_equal(sqlite3_open(path, &raw), SQLITE_OK);
        synthetic_run(raw, "PRAGMA writable_schema = ON; UPDATE sqlite_master SET sql = "
                           "replace(sql, 'NOT NULL', ''); PRAGMA writable_schema = RESET");
        synthetic_run(raw, changes[i]);
        synthetic_close(raw);
        CHECK(moe_db_open(path, &db));
        CHECK_FAILS(moe_db_rows(db, MOE_OP_gemm_up, &layer, &want, &rows), MOE_E_CORRUPT,
                    "moetune db build");
        moe_rows_free(&rows);
        moe_db_close(db);
    }
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)
    const struct CMUnitTest tests[] = {
        TEST(test_missing),
        TEST(test_not_a_database),
        TEST(test_truncated),
        TEST(test_damaged),
        TEST(test_read_only),
        TEST(test_live_log),
        TEST(test_no_lock),
        TEST(test_odd_path),
        TEST(test_images),
        TEST(test_strange_rows),
        TEST(test_default_path),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
