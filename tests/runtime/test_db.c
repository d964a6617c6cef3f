/* label: unit - the read side of the tuning database: opening what is there and what is not,
 * grading rows, and laying one database over another. */
#include "check.h"
#include "synthetic.h"

#include "db.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#define LAYER "d=64 f=32 e=8 k=2"
#define H100 "sm_90a \"NVIDIA H100 80GB HBM3\" sms=132 smem=232448"
#define PCIE "sm_90a \"NVIDIA H100 PCIe\" sms=114 smem=232448"
#define SIM_H100 "sm_90a \"sim:h100\" sms=132 smem=232448 simulated=1"
#define A100 "sm_80 \"NVIDIA A100\" sms=108 smem=166912"
#define L40S "sm_89 \"NVIDIA L40S\" sms=142 smem=101376"
#define LAUNCH "kernel=k grid=fixed(1) block=32 smem=1000"

static char folder[256], path[300], second[300];

static int start(void **unused) {
    (void)unused;
    scratch_make(folder, sizeof folder);
    snprintf(path, sizeof path, "%s/tuning.db", folder);
    snprintf(second, sizeof second, "%s/second.db", folder);
    return 0;
}

static int stop(void **unused) {
    (void)unused;
    scratch_remove(folder);
    return 0;
}

/* -------------------------------------------------------------------------------------- opening */

static void make_plain(const char *where) {
    sqlite3 *db = synthetic_open(where);
    int64_t device = synthetic_device(db, H100);
    synthetic_image(db, "i", "sm_90a", LAUNCH, "cp");
    for (int kind = 0; kind < MOE_OP_COUNT; kind++)
        synthetic_record(db, &(synthetic_row){.device = device, .kind = (moe_op_kind)kind,
                                              .layer = LAYER, .tokens = 64, .n = 5, .med = 1000,
                                              .timer = "cupti", .image = "i"});
    synthetic_close(db);
}

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
    synthetic_run(db, "PRAGMA user_version = 1");
    expect_open_failure(MOE_E_CORRUPT, "no such table");
    synthetic_run(db, "PRAGMA user_version = 7");
    expect_open_failure(MOE_E_CORRUPT, "its schema is 7, and this library reads 1; update moetune");
    synthetic_run(db, "PRAGMA user_version = -3");
    expect_open_failure(MOE_E_CORRUPT, "rebuild it");
    synthetic_close(db);
}

/* A file cut off anywhere is reported or still whole: never a crash, never a wrong row. */
static void test_truncated(void **unused) {
    (void)unused;
    size_t size;
    make_plain(path);
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
    make_plain(path);
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
        for (int kind = 0; kind < MOE_OP_COUNT; kind++) {
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
        make_plain(path);
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
    make_plain(path);
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
    make_plain(path);
    CHECK(moe_db_open(path, &reader));
    CHECK(moe_db_image(reader, "i", &image));
    sqlite3 *db = NULL;
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    synthetic_run(db, "BEGIN EXCLUSIVE; UPDATE record SET err = 2; COMMIT");
    synthetic_close(db);
    assert_memory_equal(image.cubin, "\177ELF", 4);
    assert_string_equal(image.ptx, ".version 9.0");
    assert_int_equal(image.ptx_size, 12);
    moe_db_close(reader);
}

static void test_odd_path(void **unused) {
    (void)unused;
    snprintf(path, sizeof path, "%s/a?b#c%%20d e.db", folder);
    make_plain(path);
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
    assert_string_equal(image.ptx, ".version 9.0");
    CHECK_FAILS(moe_db_image(db, "empty", &image), MOE_E_CORRUPT, "has no code");
    CHECK_FAILS(moe_db_image(db, "bad", &image), MOE_E_CORRUPT, "not an ELF file");
    CHECK_FAILS(moe_db_image(db, "launch", &image), MOE_E_CORRUPT, "'grid=' is missing");
    CHECK_FAILS(moe_db_image(db, "none", &image), MOE_E_NOT_FOUND, "moetune db build");
    moe_db_close(db);
}

/* -------------------------------------------------------------------------------------- grading */

/* Which code runs where. */
static void test_code(void **unused) {
    (void)unused;
    const struct {
        const char *code, *device;
        moe_code cubin, ptx; /* with the cubin only, with the PTX only */
    } table[] = {
        {"sm_90a", H100, MOE_CODE_CUBIN, MOE_CODE_PTX},
        {"sm_90", H100, MOE_CODE_CUBIN, MOE_CODE_PTX},
        {"sm_80", H100, MOE_CODE_NONE, MOE_CODE_PTX},
        {"sm_80", L40S, MOE_CODE_CUBIN, MOE_CODE_PTX},
        {"sm_89", A100, MOE_CODE_NONE, MOE_CODE_NONE},
        {"sm_86", L40S, MOE_CODE_CUBIN, MOE_CODE_PTX},
        {"sm_90a", L40S, MOE_CODE_NONE, MOE_CODE_NONE},
        {"sm_90a", "sm_100a \"B200\" sms=148", MOE_CODE_NONE, MOE_CODE_NONE},
        {"sm_100f", "sm_103a \"B300\" sms=148", MOE_CODE_CUBIN, MOE_CODE_PTX},
        {"sm_100f", "sm_120a \"RTX\" sms=188", MOE_CODE_NONE, MOE_CODE_NONE},
        {"sm_100a", "sm_103a \"B300\" sms=148", MOE_CODE_NONE, MOE_CODE_NONE},
        {"sm_90a", SIM_H100, MOE_CODE_NONE, MOE_CODE_PTX},
        {"nonsense", H100, MOE_CODE_NONE, MOE_CODE_NONE},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        moe_facts facts;
        CHECK(moe_facts_parse(table[i].device, &facts));
        assert_int_equal(moe_code_for(table[i].code, true, false, &facts), table[i].cubin);
        assert_int_equal(moe_code_for(table[i].code, false, true, &facts), table[i].ptx);
        assert_int_equal(moe_code_for(table[i].code, false, false, &facts), MOE_CODE_NONE);
    }
}

/* One row of gemm_up; what a lookup says about it. */
static void grade(const char *tuned_on, const synthetic_row *row, const char *arch,
                  const char *asked_on, int64_t tokens, moe_match match, const char *reason) {
    moe_db *db = NULL;
    moe_layer layer;
    moe_facts facts;
    moe_rows rows = {0};
    moe_fit fit;
    char text[MOE_FIT_TEXT_SIZE];
    unlink(path);
    sqlite3 *raw = synthetic_open(path);
    synthetic_row copy = *row;
    copy.kind = MOE_OP_gemm_up;
    copy.layer = LAYER;
    copy.image = "i";
    copy.device = synthetic_device(raw, tuned_on);
    synthetic_image(raw, "i", arch, LAUNCH, "cp");
    synthetic_record(raw, &copy);
    synthetic_close(raw);
    CHECK(moe_layer_parse(LAYER, &layer));
    CHECK(moe_facts_parse(asked_on, &facts));
    moe_want want = {.facts = &facts};
    CHECK(moe_db_open(path, &db));
    CHECK(moe_db_rows(db, MOE_OP_gemm_up, &layer, &want, &rows));
    const moe_row *best = moe_rows_best(&rows, &want, tokens, &fit);
    assert_non_null(best);
    moe_fit_reason(&best->origin, &want, tokens, text, sizeof text);
    assert_string_equal(moe_match_text(fit.match), moe_match_text(match));
    CHECK_CONTAINS(text, reason);
    moe_rows_free(&rows);
    moe_db_close(db);
}

static void test_grades(void **unused) {
    (void)unused;
    const synthetic_row timed = {.tokens = 64, .n = 50, .med = 12300, .timer = "cupti"};
    const synthetic_row modelled = {.tokens = 64, .n = 1, .med = 12300, .timer = "model"};
    const synthetic_row untimed = {.tokens = 64, .is_default = 1};
    synthetic_row zipf = timed, warm = timed;
    zipf.routing = "zipf";
    warm.cache = "warm";
    grade(H100, &timed, "sm_90a", H100, 64, MOE_MATCH_EXACT,
          "measured 12.3 us by cupti, n=50 on this device");
    grade(SIM_H100, &modelled, "sm_90a", SIM_H100, 64, MOE_MATCH_EXACT,
          "modelled 12.3 us on this device");
    grade(H100, &timed, "sm_90a", H100, 100, MOE_MATCH_NEAR_TOKENS, "tuned at t=64, not t=100");
    grade(H100, &zipf, "sm_90a", H100, 64, MOE_MATCH_NEAR_TOKENS, "zipf routing, not uniform");
    grade(H100, &warm, "sm_90a", H100, 64, MOE_MATCH_NEAR_TOKENS, "a warm cache, not a cold one");
    grade(H100, &timed, "sm_90a", PCIE, 64, MOE_MATCH_NEAR_DEVICE,
          "on \"NVIDIA H100 80GB HBM3\" (sm_90a, 132 SMs)");
    grade(SIM_H100, &modelled, "sm_90a", H100, 64, MOE_MATCH_NEAR_DEVICE,
          "modelled, not measured: 12.3 us on \"sim:h100\"");
    grade(A100, &timed, "sm_80", H100, 64, MOE_MATCH_NEAR_DEVICE,
          "the driver compiles its sm_80 PTX");
    grade(A100, &timed, "sm_80", L40S, 64, MOE_MATCH_NEAR_DEVICE, "(sm_80, 108 SMs)");
    grade(H100, &untimed, "sm_90a", H100, 64, MOE_MATCH_DEFAULT, "never timed on this device");
}

/* A database of many rows of gemm_up, of which each asked question has one right answer. */
static void ask(moe_db *db, const moe_want *want, int64_t tokens, const char *config) {
    moe_layer layer;
    moe_rows rows = {0};
    moe_fit fit;
    CHECK(moe_layer_parse(LAYER, &layer));
    CHECK(moe_db_rows(db, MOE_OP_gemm_up, &layer, want, &rows));
    const moe_row *best = moe_rows_best(&rows, want, tokens, &fit);
    if (!config) {
        assert_null(best);
    } else {
        assert_non_null(best);
        assert_string_equal(best->config, config);
    }
    moe_rows_free(&rows);
}

static void add(sqlite3 *db, int64_t device, int64_t tokens, const char *config, double med,
                double mad, int is_default) {
    synthetic_record(db, &(synthetic_row){.device = device,
                                          .kind = MOE_OP_gemm_up,
                                          .layer = LAYER,
                                          .tokens = tokens,
                                          .config = config,
                                          .med = med,
                                          .mad = mad,
                                          .n = 5,
                                          .timer = "cupti",
                                          .is_default = is_default,
                                          .image = "i"});
}

static void test_winners(void **unused) {
    (void)unused;
    moe_db *db = NULL;
    moe_facts h100, pcie;
    sqlite3 *raw = synthetic_open(path);
    int64_t mine = synthetic_device(raw, H100);
    synthetic_image(raw, "i", "sm_90a", LAUNCH, "cp");
    synthetic_image(raw, "any", "sm_90a", LAUNCH " align=1 deterministic=0", "cp");
    synthetic_image(raw, "fat", "sm_90a",
                    "kernel=k grid=fixed(1) block=32 smem=232448 static_smem=1", "cp");
    add(raw, mine, 16, "bm=16", 100, 1, 0); /* plainly the fastest */
    add(raw, mine, 16, "bm=32", 200, 1, 1);
    add(raw, mine, 64, "bm=16", 100, 3, 0); /* ties with the default, which wins */
    add(raw, mine, 64, "bm=32", 105, 3, 1);
    add(raw, mine, 64, "bm=64", 110, 3, 0);
    add(raw, mine, 256, "bm=64", 100, 3, 0); /* ties: the lower text wins */
    add(raw, mine, 256, "bm=32", 104, 3, 0);
    add(raw, mine, 256, "bm=16", 120, 3, 0); /* plainly slower */
    synthetic_row row = {.device = mine, .kind = MOE_OP_gemm_up, .layer = LAYER, .tokens = 16,
                         .n = 5, .med = 1, .timer = "cupti"};
    row.config = "bm=1", row.outcome = "wrong", row.image = "i";
    synthetic_record(raw, &row);
    row.config = "bm=2", row.outcome = NULL, row.image = NULL;
    synthetic_record(raw, &row);
    row.config = "bm=3", row.image = "any";
    synthetic_record(raw, &row);
    row.config = "bm=4", row.image = "fat";
    synthetic_record(raw, &row);
    int64_t other = synthetic_device(raw, PCIE);
    add(raw, other, 100, "bm=128", 50, 1, 0);
    synthetic_close(raw);
    CHECK(moe_facts_parse(H100, &h100));
    CHECK(moe_facts_parse(PCIE, &pcie));
    CHECK(moe_db_open(path, &db));
    moe_want want = {.facts = &h100};
    ask(db, &want, 16, "bm=16");
    ask(db, &want, 1, "bm=16");
    ask(db, &want, 64, "bm=32");
    ask(db, &want, 256, "bm=32");
    ask(db, &want, 100, "bm=32"); /* t=64 of this device, not t=100 of another */
    want.any_order = true;
    ask(db, &want, 16, "bm=3");
    want = (moe_want){.facts = &pcie};
    ask(db, &want, 100, "bm=128");
    ask(db, &want, 16, "bm=128"); /* its own row, though far */
    moe_facts small = h100;
    small.smem = 999;
    want.facts = &small;
    ask(db, &want, 16, NULL);
    moe_db_close(db);
}

/* A step that does not depend on the routing serves any routing. */
static void test_routing(void **unused) {
    (void)unused;
    moe_db *db = NULL;
    moe_facts facts;
    moe_layer layer;
    moe_rows rows = {0};
    moe_fit fit;
    make_plain(path);
    CHECK(moe_facts_parse(H100, &facts));
    CHECK(moe_layer_parse(LAYER, &layer));
    CHECK(moe_db_open(path, &db));
    moe_want want = {.facts = &facts, .routing = MOE_ROUTING_ZIPF};
    CHECK(moe_db_rows(db, MOE_OP_combine, &layer, &want, &rows));
    assert_non_null(moe_rows_best(&rows, &want, 64, &fit));
    assert_int_equal(fit.match, MOE_MATCH_EXACT);
    moe_rows_free(&rows);
    CHECK(moe_db_rows(db, MOE_OP_gemm_down, &layer, &want, &rows));
    assert_non_null(moe_rows_best(&rows, &want, 64, &fit));
    assert_int_equal(fit.match, MOE_MATCH_NEAR_TOKENS);
    moe_rows_free(&rows);
    moe_db_close(db);
}

static void test_overlay(void **unused) {
    (void)unused;
    moe_db *db = NULL;
    moe_facts facts;
    moe_image image;
    CHECK(moe_facts_parse(H100, &facts));
    sqlite3 *shipped = synthetic_open(path), *own = synthetic_open(second);
    int64_t there = synthetic_device(shipped, H100), here = synthetic_device(own, H100);
    synthetic_image(shipped, "i", "sm_90a", LAUNCH, "cp");
    synthetic_image(own, "i", "sm_90a", LAUNCH, "p");
    add(shipped, there, 16, "bm=16", 100, 1, 0);
    add(shipped, there, 64, "bm=64", 100, 1, 0);
    add(own, here, 16, "bm=32", 150, 1, 0); /* slower, but of this very machine */
    synthetic_close(shipped);
    synthetic_close(own);
    moe_want want = {.facts = &facts};
    CHECK(moe_db_open(path, &db));
    ask(db, &want, 16, "bm=16");
    CHECK(moe_db_overlay(db, second));
    ask(db, &want, 16, "bm=32");
    ask(db, &want, 64, "bm=64"); /* rows of the lower file stay visible */
    CHECK(moe_db_image(db, "i", &image));
    assert_null(image.cubin); /* the upper file's */
    CHECK_FAILS(moe_db_overlay(db, "/nowhere.db"), MOE_E_NOT_FOUND, "/nowhere.db");
    ask(db, &want, 16, "bm=32");
    for (int i = 1; i < MOE_MAX_OVERLAYS; i++) CHECK(moe_db_overlay(db, path));
    ask(db, &want, 16, "bm=16");
    CHECK_FAILS(moe_db_overlay(db, path), MOE_E_INVALID, "more than 8 overlays");
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
        make_plain(path);
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
        TEST(test_missing),   TEST(test_not_a_database), TEST(test_truncated), TEST(test_damaged),
        TEST(test_read_only), TEST(test_live_log),       TEST(test_no_lock),   TEST(test_odd_path),
        TEST(test_images),    TEST(test_code),           TEST(test_grades),    TEST(test_winners),
        TEST(test_routing),   TEST(test_overlay),        TEST(test_strange_rows),
        TEST(test_default_path),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
