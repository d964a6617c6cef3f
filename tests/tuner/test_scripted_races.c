/* label: sim
 * The tuner where times are measured: candidates race in turns, half of them drop out, and who wins
 * is decided by the times of the last race; rows are resumed, and winners keep their code. */
#include "scripted_bench.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { CANDIDATES = 20, DEFAULT = 1, SCREENED = 6 /* launches of a candidate before the races */ };

static const char cold[] = "combine t=4 d=16 e=4 k=2 x=f32";
static const char warm[] = "combine t=4 d=16 e=4 k=2 x=f32 cache=warm";
static scripted_shop shop;

static int open_shop(void **state) {
    static const char *const ops[] = {cold};
    (void)state;
    scripted_shop_open(&shop, ops, 1);
    return 0;
}

static int close_shop(void **state) {
    (void)state;
    scripted_shop_close(&shop);
    return 0;
}

static int make(void **state) {
    static scripted_bench bench;
    scripted_bench_make(&bench, &shop);
    scripted_bench_open(&bench, NULL);
    for (int n = 0; n < CANDIDATES; n++) scripted_takes(&bench, cold, n, 2000 + 20 * n);
    *state = &bench;
    return 0;
}

static int unmake(void **state) {
    scripted_bench_close(*state);
    scripted_bench_remove(*state);
    return 0;
}

static int64_t number_of(const moe_finalist *f) {
    return moe_config_get(&f->record.config, "n", -1);
}

static int64_t winner_of(scripted_bench *bench, const char *op) {
    const moe_op_result result = scripted_tune(bench, op);
    assert_true(result.finalists > 0);
    return number_of(&result.finalist[0]);
}

/* The fastest one looks slow at first: by the screening it would be the seventh. */
static void test_half_drop_out_and_the_fastest_wins(void **state) {
    scripted_bench *bench = *state;
    static const int64_t last[] = {9, 0, 1, 2}, samples[CANDIDATES] = {
        50, 50, 50, 20, 20, 20, 20, 10, 10, 50, 10, 10, 10, 10, 10, 10, 5, 5, 5, 5};
    scripted_kernel *late = scripted_candidate(bench, cold, 9);
    late->cold = late->warm = 1000;
    late->early = 2.1;
    late->settled = SCREENED;
    const moe_op_result result = scripted_tune(bench, cold);
    assert_int_equal(result.measured, CANDIDATES);
    assert_int_equal(result.outcome[MOE_OUTCOME_OK], CANDIDATES);
    assert_true(result.complete);
    assert_int_equal(result.finalists, MOE_FINALISTS);
    for (int i = 0; i < MOE_FINALISTS; i++)
        assert_int_equal(number_of(&result.finalist[i]), last[i]);
    for (int n = 0; n < CANDIDATES; n++) {
        const moe_record row = scripted_row(bench, cold, n, NULL);
        assert_int_equal(row.measurement.outcome, MOE_OUTCOME_OK);
        assert_int_equal(row.measurement.timer, MOE_TIMER_EVENTS);
        assert_int_equal(row.measurement.n, samples[n]);
        assert_true(row.measurement.med == (n == 9 ? 1000 : 2000 + 20 * n));
    }
}

static void test_the_default_races_to_the_end(void **state) {
    scripted_bench *bench = *state;
    scripted_takes(bench, cold, DEFAULT, 9000);
    const moe_op_result result = scripted_tune(bench, cold);
    assert_int_equal(number_of(&result.finalist[0]), 0);
    assert_int_equal(number_of(&result.standard), DEFAULT);
    assert_int_equal(result.standard.record.measurement.n, 50);
    assert_true(result.standard.record.measurement.med == 9000);
}

/* Clocks that rise while they race must rise for all alike: whoever ran last would win. */
static void test_a_drift_favours_nobody(void **state) {
    scripted_bench *bench = *state;
    scripted_takes(bench, cold, 3, 1960);
    bench->script->drift = -2e-4;
    assert_int_equal(winner_of(bench, cold), 3);
}

static void test_a_tie_goes_to_the_default(void **state) {
    scripted_bench *bench = *state;
    scripted_takes(bench, cold, DEFAULT, 1008);
    scripted_takes(bench, cold, 5, 1000);
    assert_int_equal(winner_of(bench, cold), DEFAULT);
}

static void test_a_tie_without_it_goes_to_the_lower_text(void **state) {
    scripted_bench *bench = *state;
    scripted_takes(bench, cold, 3, 1000);
    scripted_takes(bench, cold, 12, 1008); /* "n=12" stands before "n=3" */
    assert_int_equal(winner_of(bench, cold), 12);
}

static void test_beyond_the_noise_there_is_no_tie(void **state) {
    scripted_bench *bench = *state;
    scripted_takes(bench, cold, DEFAULT, 1020);
    scripted_takes(bench, cold, 3, 1000);
    scripted_takes(bench, cold, 12, 1015);
    assert_int_equal(winner_of(bench, cold), 3);
}

/* One kernel lives on what the run before has left in the caches, the other one does not. */
static void test_cold_and_warm_have_winners_of_their_own(void **state) {
    scripted_bench *bench = *state;
    scripted_kernel *cached = scripted_candidate(bench, cold, 6);
    cached->cold = 5000;
    cached->warm = 500;
    scripted_kernel *streaming = scripted_candidate(bench, cold, 7);
    streaming->cold = streaming->warm = 1000;
    assert_int_equal(winner_of(bench, cold), 7);
    assert_true(scripted_row(bench, cold, 6, NULL).measurement.med == 5000);
    int64_t flushes = bench->script->flushes;
    assert_true(flushes > CANDIDATES * 5);
    assert_int_equal(winner_of(bench, warm), 6);
    assert_true(scripted_row(bench, warm, 6, NULL).measurement.med == 500);
    assert_int_equal(bench->script->flushes, flushes);
}

/* ------------------------------------------------------------------------------- what is kept */

static void test_code_is_kept_of_those_that_may_serve(void **state) {
    scripted_bench *bench = *state;
    char image[MOE_HASH_SIZE];
    for (int n = 0; n < CANDIDATES; n++) /* the second of all is half as slow again as the first */
        scripted_takes(bench, cold, n, n == 0 ? 1000 : 1500 + 20 * n);
    const moe_op_result result = scripted_tune(bench, cold);
    for (int i = 0; i < result.finalists; i++) {
        moe_compiled compiled;
        bool found;
        scripted_row(bench, cold, number_of(&result.finalist[i]), image);
        assert_string_not_equal(image, "");
        assert_int_equal(moe_storage_image(bench->storage, image, &compiled, NULL, &found), MOE_OK);
        assert_true(found);
        assert_true(compiled.image.cubin_size > 0 && compiled.image.ptx_size > 0);
        assert_int_equal(compiled.image.launch.scratch_fixed,
                         65536 * number_of(&result.finalist[i]));
        moe_compiled_free(&compiled);
    }
    scripted_row(bench, cold, CANDIDATES - 1, image); /* not in a race, and far behind */
    assert_string_equal(image, "");
}

static int64_t launches(const scripted_bench *bench) { return bench->script->launches; }

static void reopen(scripted_bench *bench) {
    scripted_bench_close(bench);
    scripted_bench_open(bench, NULL);
}

static void test_a_second_tune_runs_nothing(void **state) {
    scripted_bench *bench = *state;
    int64_t winner = winner_of(bench, cold), before = launches(bench);
    reopen(bench);
    const moe_op_result again = scripted_tune(bench, cold);
    assert_int_equal(again.measured, 0);
    assert_int_equal(again.resumed, CANDIDATES);
    assert_int_equal(again.finalists, MOE_FINALISTS);
    assert_int_equal(number_of(&again.finalist[0]), winner);
    assert_int_equal(launches(bench), before);
}

/* What an older driver or compiler gave is no evidence about this one. */
static void measures_all_again(scripted_bench *bench) {
    int64_t before = launches(bench);
    const moe_op_result again = scripted_tune(bench, cold);
    assert_int_equal(again.resumed, 0);
    assert_int_equal(again.measured, CANDIDATES);
    assert_true(launches(bench) > before + CANDIDATES * 5);
    assert_string_equal(scripted_row(bench, cold, 0, NULL).provenance.driver,
                        bench->tuner.provenance.driver);
    assert_string_equal(scripted_row(bench, cold, 0, NULL).provenance.toolkit,
                        bench->tuner.provenance.toolkit);
}

static void test_another_driver_measures_anew(void **state) {
    scripted_bench *bench = *state;
    scripted_tune(bench, cold);
    assert_string_equal(scripted_row(bench, cold, 0, NULL).provenance.driver, "13.0/580.1");
    strcpy(bench->script->driver, "13.1/590.2");
    reopen(bench);
    measures_all_again(bench);
}

static void test_another_toolkit_measures_anew(void **state) {
    scripted_bench *bench = *state;
    scripted_tune(bench, cold);
    strcpy(bench->tuner.provenance.toolkit, "13.9");
    measures_all_again(bench);
}

int main(void) {
#define ON_A_BENCH(test) cmocka_unit_test_setup_teardown(test, make, unmake)
    const struct CMUnitTest tests[] = {
        ON_A_BENCH(test_half_drop_out_and_the_fastest_wins),
        ON_A_BENCH(test_the_default_races_to_the_end),
        ON_A_BENCH(test_a_drift_favours_nobody),
        ON_A_BENCH(test_a_tie_goes_to_the_default),
        ON_A_BENCH(test_a_tie_without_it_goes_to_the_lower_text),
        ON_A_BENCH(test_beyond_the_noise_there_is_no_tie),
        ON_A_BENCH(test_cold_and_warm_have_winners_of_their_own),
        ON_A_BENCH(test_code_is_kept_of_those_that_may_serve),
        ON_A_BENCH(test_a_second_tune_runs_nothing),
        ON_A_BENCH(test_another_driver_measures_anew),
        ON_A_BENCH(test_another_toolkit_measures_anew),
    };
    return cmocka_run_group_tests(tests, open_shop, close_shop);
}
