/* label: sim
 * The tuner in children of a supervisor, on a device that hangs and kills: what takes a process
 * along is tried once more, in vain for the last time, and the work goes on to its end. The parent
 * must not run threads of its own, which its children would wait for. */
#include "scripted_bench.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { CANDIDATES = 20, RACED = 12 /* a launch that is in a race */ };
enum { ENOUGH = 5 /* deaths that one candidate may cause before it lets go: the test must end */ };

static const char op[] = "combine t=4 d=16 e=4 k=2 x=f32";
static scripted_shop shop;

static int open_shop(void **state) {
    const char *ops[1 + SCRIPTED_STEPS] = {op};
    (void)state;
    memcpy(ops + 1, scripted_steps, sizeof scripted_steps);
    scripted_shop_open(&shop, ops, 1 + SCRIPTED_STEPS);
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
    for (int n = 0; n < CANDIDATES; n++) scripted_takes(&bench, op, n, 2000 + 100 * n);
    *state = &bench;
    return 0;
}

static int unmake(void **state) {
    scripted_bench_remove(*state);
    return 0;
}

static int end(scripted_bench *bench) {
    int status = bench->tuner.lost ? MOE_START_AGAIN : 0;
    scripted_bench_close(bench);
    return status;
}

static int tune_op(void *context, moe_heart *heart) {
    scripted_bench *bench = context;
    scripted_bench_open(bench, heart);
    scripted_tune(bench, op);
    return end(bench);
}

static int tune_ops(void *context, moe_heart *heart) {
    scripted_bench *bench = context;
    scripted_bench_open(bench, heart);
    moe_session session = scripted_session(bench, MOE_CACHE_COLD, true);
    moe_session_free(&session);
    return end(bench);
}

static int tune_layer(void *context, moe_heart *heart) {
    scripted_bench *bench = context;
    scripted_bench_open(bench, heart);
    moe_session session = scripted_session(bench, MOE_CACHE_COLD, false);
    moe_session_free(&session);
    return end(bench);
}

/* Works to the end in so many children, and opens the database for a look. */
static void supervise(scripted_bench *bench, int (*work)(void *, moe_heart *), int64_t children) {
    int status = -1;
    int64_t before = bench->script->opened;
    if (moe_supervise(work, bench, &status)) fail_msg("%s", moe_error_text());
    assert_int_equal(status, 0);
    assert_int_equal(bench->script->opened - before, children);
    scripted_bench_open(bench, NULL);
}

static scripted_kernel *befall(scripted_bench *bench, int64_t n, scripted_fault fault, int64_t from,
                               int64_t times) {
    scripted_kernel *kernel = scripted_candidate(bench, op, n);
    kernel->fault = fault;
    kernel->from = from;
    kernel->until = from + times;
    return kernel;
}

/* All but one are right, and the fastest of these has won the last race. */
static void check_others(scripted_bench *bench, int64_t bad) {
    for (int n = 0; n < CANDIDATES; n++)
        if (n != bad)
            assert_int_equal(scripted_row(bench, op, n, NULL).measurement.outcome, MOE_OUTCOME_OK);
    const moe_op_result again = scripted_tune(bench, op);
    assert_int_equal(again.measured, 0);
    assert_int_equal(moe_config_get(&again.finalist[0].record.config, "n", -1), bad == 0 ? 1 : 0);
    assert_int_equal(again.finalist[0].record.measurement.n, 50);
}

static void check_log(const scripted_bench *bench, const moe_record *row, const char *part) {
    char log[1024];
    assert_int_equal(
        moe_storage_log(bench->storage, bench->tuner.device_row, row, log, sizeof log), MOE_OK);
    if (!strstr(log, part)) fail_msg("'%s' is not in '%s'", part, log);
}

/* Two strikes, and it is out. */
static void check_two_strikes(scripted_bench *bench, scripted_fault fault) {
    scripted_kernel *kernel = befall(bench, 4, fault, 0, ENOUGH);
    supervise(bench, tune_op, 3);
    const moe_record row = scripted_row(bench, op, 4, NULL);
    assert_int_equal(kernel->launches, 2);
    assert_int_equal(row.measurement.outcome, MOE_OUTCOME_TIMEOUT);
    assert_int_equal(row.measurement.n, 2);
    check_log(bench, &row, "the tuner ended while this candidate ran");
    check_others(bench, 4);
    scripted_bench_close(bench);
}

static void test_a_killer_is_tried_twice(void **state) {
    check_two_strikes(*state, SCRIPTED_DIES);
}

static void test_a_hang_is_ended_and_tried_twice(void **state) {
    check_two_strikes(*state, SCRIPTED_HANGS);
}

/* Each death leaves a mark, so that there is an end to them, however many there are. */
static void test_many_killers_come_to_an_end(void **state) {
    scripted_bench *bench = *state;
    enum { FIRST = 3, LAST = 6 };
    for (int n = FIRST; n <= LAST; n++) befall(bench, n, SCRIPTED_DIES, 0, ENOUGH);
    supervise(bench, tune_op, 1 + 2 * (1 + LAST - FIRST));
    for (int n = FIRST; n <= LAST; n++)
        assert_int_equal(scripted_row(bench, op, n, NULL).measurement.outcome,
                         MOE_OUTCOME_TIMEOUT);
    scripted_bench_close(bench);
}

/* The power may have failed, and the candidate be innocent. */
static void test_one_strike_is_forgiven(void **state) {
    scripted_bench *bench = *state;
    befall(bench, 4, SCRIPTED_DIES, 0, 1);
    supervise(bench, tune_op, 2);
    assert_int_equal(scripted_row(bench, op, 4, NULL).measurement.outcome, MOE_OUTCOME_OK);
    check_others(bench, 4);
    scripted_bench_close(bench);
}

static void test_a_fault_goes_on_in_a_new_child(void **state) {
    scripted_bench *bench = *state;
    scripted_kernel *kernel = befall(bench, 4, SCRIPTED_LOST, 0, ENOUGH);
    supervise(bench, tune_op, 2);
    assert_int_equal(kernel->launches, 1);
    assert_int_equal(scripted_row(bench, op, 4, NULL).measurement.outcome, MOE_OUTCOME_FAULTED);
    check_others(bench, 4);
    scripted_bench_close(bench);
}

/* It was right alone: nothing in the database says what ran as the race ended with the process. */
static void test_a_killer_in_a_race_is_known(void **state) {
    scripted_bench *bench = *state;
    scripted_takes(bench, op, 4, 1000);
    scripted_kernel *kernel = befall(bench, 4, SCRIPTED_DIES, RACED, ENOUGH);
    supervise(bench, tune_op, 2);
    const moe_record row = scripted_row(bench, op, 4, NULL);
    assert_int_equal(kernel->launches, RACED + 1);
    assert_int_equal(row.measurement.outcome, MOE_OUTCOME_TIMEOUT);
    check_log(bench, &row, "in a race");
    check_others(bench, 4);
    scripted_bench_close(bench);
}

/* A pipeline of good kernels that takes the process along is stored as what it is, once. */
static void test_a_killer_in_a_layer_is_known(void **state) {
    scripted_bench *bench = *state;
    moe_choice choice = {.t = 4};
    bool found;
    supervise(bench, tune_ops, 1);
    scripted_bench_close(bench);
    scripted_kernel *kernel = scripted_candidate(bench, scripted_steps[1], 0);
    int64_t before = kernel->launches;
    kernel->fault = SCRIPTED_DIES;
    kernel->from = before;
    kernel->until = before + ENOUGH;
    supervise(bench, tune_layer, 2);
    assert_int_equal(kernel->launches, before + 1);
    assert_int_equal(moe_layer_parse(scripted_layer, &choice.layer), MOE_OK);
    assert_int_equal(moe_storage_find_choice(bench->storage, bench->tuner.device_row, &choice,
                                             &found), MOE_OK);
    assert_true(found);
    assert_int_equal(choice.measurement.outcome, MOE_OUTCOME_TIMEOUT);
    scripted_bench_close(bench);
    supervise(bench, tune_layer, 1);
    assert_int_equal(kernel->launches, before + 1);
    scripted_bench_close(bench);
}

int main(void) {
#define ON_A_BENCH(test) cmocka_unit_test_setup_teardown(test, make, unmake)
    const struct CMUnitTest tests[] = {
        ON_A_BENCH(test_a_killer_is_tried_twice),
        ON_A_BENCH(test_a_hang_is_ended_and_tried_twice),
        ON_A_BENCH(test_many_killers_come_to_an_end),
        ON_A_BENCH(test_one_strike_is_forgiven),
        ON_A_BENCH(test_a_fault_goes_on_in_a_new_child),
        ON_A_BENCH(test_a_killer_in_a_race_is_known),
        ON_A_BENCH(test_a_killer_in_a_layer_is_known),
    };
    return cmocka_run_group_tests(tests, open_shop, close_shop);
}
