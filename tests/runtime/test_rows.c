/* label: unit - rows of the tuning database: how they are graded, which win, and how one database
 * lies over another. */
#include "check.h"
#include "synthetic.h"

#include "run/db.h"

#include <stdio.h>
#include <string.h>
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
    synthetic_plain(path, H100, LAYER);
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

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)
    const struct CMUnitTest tests[] = {
        TEST(test_code),
        TEST(test_grades),
        TEST(test_winners),
        TEST(test_routing),
        TEST(test_overlay),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
