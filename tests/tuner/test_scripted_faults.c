/* label: sim
 * Candidates that go wrong where a fault takes the device along: each is an outcome with its
 * reason, the others are tried, in a new process where there has to be one, and none is tried in
 * vain again. */
#include "judge/op_case.h"
#include "measure/outcome.h"
#include "scripted_bench.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { CANDIDATES = 20, DEFAULT = 1, UNIT = 65536, RACED = 12 /* a launch that is in a race */ };

static const char op[] = "combine t=4 d=16 e=4 k=2 x=f32";
static const char rows_op[] = "gemm_down t=4 d=8 f=8 e=4 k=2 act=relu x=f32";
static scripted_shop shop;

static int open_shop(void **state) {
    static const char *const ops[] = {op, rows_op};
    (void)state;
    scripted_shop_open(&shop, ops, 2);
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
    for (int n = 0; n < CANDIDATES; n++) scripted_takes(&bench, op, n, 2000 + 100 * n);
    *state = &bench;
    return 0;
}

static int unmake(void **state) {
    scripted_bench_close(*state);
    scripted_bench_remove(*state);
    return 0;
}

/* As the next process. */
static void start_again(scripted_bench *bench) {
    scripted_bench_close(bench);
    scripted_bench_open(bench, NULL);
}

static moe_outcome outcome_of(const scripted_bench *bench, int64_t n) {
    return scripted_row(bench, op, n, NULL).measurement.outcome;
}

static void check_log(const scripted_bench *bench, int64_t n, const char *part) {
    char log[1024];
    const moe_record row = scripted_row(bench, op, n, NULL);
    assert_int_equal(
        moe_storage_log(bench->storage, bench->tuner.device_row, &row, log, sizeof log), MOE_OK);
    if (!strstr(log, part)) fail_msg("'%s' is not in '%s'", part, log);
}

static int64_t winner(const moe_op_result *result) {
    assert_true(result->finalists > 0);
    return moe_config_get(&result->finalist[0].record.config, "n", -1);
}

/* A mark that a run may be its last must go with whatever comes of it. */
static void check_nothing_is_in_flight(const scripted_bench *bench) {
    for (int n = 0; n < CANDIDATES; n++)
        assert_int_not_equal(outcome_of(bench, n), MOE_OUTCOME_TIMEOUT);
}

static void test_a_status_is_what_became_of_the_kernel(void **state) {
    (void)state;
    static const struct {
        moe_status status;
        bool ran, loaded; /* it says something of a kernel that ran, that was loaded */
        moe_outcome outcome;
    } cases[] = {
        {MOE_OK, false, false, MOE_OUTCOME_OK},
        {MOE_E_FAULT, true, true, MOE_OUTCOME_FAULTED},
        {MOE_E_DEVICE, true, true, MOE_OUTCOME_FAULTED},
        {MOE_E_UNSUPPORTED, true, true, MOE_OUTCOME_OVER_LIMIT},
        {MOE_E_COMPILE, true, true, MOE_OUTCOME_COMPILE_FAILED},
        {MOE_E_TEMPLATE, true, true, MOE_OUTCOME_COMPILE_FAILED},
        {MOE_E_MEMORY, false, true, MOE_OUTCOME_OVER_LIMIT},
        {MOE_E_IO, false, false, MOE_OUTCOME_OK},
        {MOE_E_LIBRARY, false, false, MOE_OUTCOME_OK},
        {MOE_E_CORRUPT, false, false, MOE_OUTCOME_OK},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        moe_outcome ran = cases[i].outcome, loaded = cases[i].outcome;
        assert_int_equal(moe_outcome_of(cases[i].status, &ran), cases[i].ran);
        assert_int_equal(moe_outcome_of_loading(cases[i].status, &loaded), cases[i].loaded);
        assert_int_equal(ran, cases[i].outcome);
        assert_int_equal(loaded, cases[i].outcome);
    }
}

/* ------------------------------------------------------------------ faults that take the device */

/* The process has to start again, and goes on behind the fault. */
static void check_a_fault(scripted_bench *bench, scripted_fault fault, const char *log) {
    scripted_kernel *kernel = scripted_candidate(bench, op, 4);
    kernel->fault = fault;
    moe_op_result result = scripted_tune(bench, op);
    assert_true(bench->tuner.lost);
    assert_false(result.complete);
    assert_in_range(result.measured, 1, CANDIDATES - 1);
    assert_int_equal(result.outcome[MOE_OUTCOME_FAULTED], 1);
    start_again(bench);
    int64_t launches = kernel->launches, measured = result.measured;
    result = scripted_tune(bench, op);
    assert_false(bench->tuner.lost);
    assert_int_equal(result.resumed, measured);
    assert_int_equal(result.measured, CANDIDATES - measured);
    assert_int_equal(result.outcome[MOE_OUTCOME_FAULTED], 1);
    assert_int_equal(kernel->launches, launches); /* never again */
    assert_int_equal(outcome_of(bench, 4), MOE_OUTCOME_FAULTED);
    assert_int_equal(winner(&result), 0);
    check_log(bench, 4, log);
    check_nothing_is_in_flight(bench);
}

static void test_a_lost_context_is_the_kernels_fault(void **state) {
    check_a_fault(*state, SCRIPTED_LOST, "the process must restart");
}

static void test_a_refused_launch_is_the_kernels_fault(void **state) {
    check_a_fault(*state, SCRIPTED_REFUSED, "the launch is refused");
}

/* It was right alone, and the fastest of all. */
static void test_a_fault_in_a_race_disqualifies(void **state) {
    scripted_bench *bench = *state;
    scripted_takes(bench, op, 7, 1000);
    scripted_kernel *kernel = scripted_candidate(bench, op, 7);
    kernel->fault = SCRIPTED_LOST;
    kernel->from = RACED;
    kernel->until = INT64_MAX;
    moe_op_result result = scripted_tune(bench, op);
    assert_true(bench->tuner.lost);
    assert_int_equal(result.outcome[MOE_OUTCOME_OK], CANDIDATES);
    assert_int_equal(outcome_of(bench, 7), MOE_OUTCOME_FAULTED);
    check_log(bench, 7, "the process must restart");
    start_again(bench);
    int64_t launches = kernel->launches;
    result = scripted_tune(bench, op);
    assert_false(bench->tuner.lost);
    assert_int_equal(result.measured, 0);
    assert_int_equal(kernel->launches, launches);
    assert_int_equal(winner(&result), 0);
    assert_int_equal(result.finalist[0].record.measurement.n, 50);
}

/* --------------------------------------------------------------- faults that leave it as it was */

static void check_harmless(scripted_bench *bench, scripted_fault fault, moe_outcome outcome,
                           const char *log) {
    scripted_kernel *kernel = scripted_candidate(bench, op, 4);
    kernel->fault = fault;
    const moe_op_result result = scripted_tune(bench, op);
    assert_false(bench->tuner.lost);
    assert_true(result.complete);
    assert_int_equal(result.measured, CANDIDATES);
    assert_int_equal(result.outcome[outcome], 1);
    assert_int_equal(result.outcome[MOE_OUTCOME_OK], CANDIDATES - 1);
    assert_int_equal(outcome_of(bench, 4), outcome);
    check_log(bench, 4, log);
    check_nothing_is_in_flight(bench);
    assert_int_equal(winner(&result), 0);
    int64_t loads = kernel->loads;
    assert_int_equal(scripted_tune(bench, op).resumed, CANDIDATES);
    assert_int_equal(kernel->loads, loads);
}

static void test_wrong_results_are_never_timed(void **state) {
    scripted_bench *bench = *state;
    scripted_takes(bench, op, 4, 1);
    check_harmless(bench, SCRIPTED_WRONG, MOE_OUTCOME_WRONG, "y[");
    assert_in_range(scripted_candidate(bench, op, 4)->launches, 1, 2);
}

static void test_what_the_device_lacks_is_no_fault(void **state) {
    check_harmless(*state, SCRIPTED_UNSUPPORTED, MOE_OUTCOME_OVER_LIMIT, "that the device lacks");
}

static void test_no_room_for_code_is_an_outcome(void **state) {
    check_harmless(*state, SCRIPTED_NO_ROOM, MOE_OUTCOME_OVER_LIMIT, "out of device memory");
}

/* Candidate n asks for n units. Eight of them fit, alone: in a race the best four, with six units.
 */
static void test_no_room_for_scratch_is_an_outcome(void **state) {
    scripted_bench *bench = *state;
    bench->script->memory = 8 * UNIT + UNIT / 2;
    const moe_op_result result = scripted_tune(bench, op);
    assert_true(result.complete);
    assert_int_equal(result.measured, CANDIDATES);
    for (int n = 0; n < CANDIDATES; n++)
        assert_int_equal(outcome_of(bench, n),
                         n <= 8 ? MOE_OUTCOME_OK : MOE_OUTCOME_OVER_LIMIT);
    check_log(bench, 9, "out of device memory");
    for (int n = 0; n <= 8; n++)
        assert_int_equal(scripted_row(bench, op, n, NULL).measurement.n, n <= 3 ? 50 : 5);
    assert_int_equal(winner(&result), 0);
}

/* A layout that finds no room must not be taken for one that is there. */
static void test_a_layout_without_room_is_made_again(void **state) {
    scripted_bench *bench = *state;
    const moe_op its = scripted_op(rows_op);
    const moe_config config = {1, {{"n", 0}}};
    const moe_candidate candidate = {.t = moe_gen_find(shop.gen, "paced"), .config = config};
    const moe_built *built;
    moe_op_case *c;
    moe_trial *trial;
    moe_verdict verdict;
    double ns;
    assert_int_equal(moe_candidate_image(&candidate, &its, &bench->script->facts,
                                         shop.builder, &built), MOE_OK);
    assert_int_equal(moe_op_case_open(bench->device, &its, 1, &c), MOE_OK);
    bench->script->memory = 1;
    assert_int_equal(moe_trial_open(c, &built->compiled.image, &trial), MOE_E_MEMORY);
    bench->script->memory = SIZE_MAX;
    assert_int_equal(moe_trial_open(c, &built->compiled.image, &trial), MOE_OK);
    assert_int_equal(moe_trial_verify(trial, &verdict, &ns), MOE_OK);
    if (!verdict.ok) fail_msg("%s", verdict.text);
    moe_trial_close(trial);
    moe_op_case_close(c);
}

int main(void) {
#define ON_A_BENCH(test) cmocka_unit_test_setup_teardown(test, make, unmake)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_status_is_what_became_of_the_kernel),
        ON_A_BENCH(test_a_lost_context_is_the_kernels_fault),
        ON_A_BENCH(test_a_refused_launch_is_the_kernels_fault),
        ON_A_BENCH(test_a_fault_in_a_race_disqualifies),
        ON_A_BENCH(test_wrong_results_are_never_timed),
        ON_A_BENCH(test_what_the_device_lacks_is_no_fault),
        ON_A_BENCH(test_no_room_for_code_is_an_outcome),
        ON_A_BENCH(test_no_room_for_scratch_is_an_outcome),
        ON_A_BENCH(test_a_layout_without_room_is_made_again),
    };
    return cmocka_run_group_tests(tests, open_shop, close_shop);
}
