/* label: sim
 * Whole layers where times are measured: pipelines race as replayed graphs, or kernel by kernel
 * where the device has none, and the choice is stored, resumed, and made anew for another driver or
 * compiler. */
#include "scripted_bench.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { BEST = 900, DEFAULT = 1000, SLOW = 2000, GAP = 500 };
enum { GEMM_UP = 1 }; /* of the steps */

static scripted_shop shop;

static int open_shop(void **state) {
    (void)state;
    scripted_shop_open(&shop, scripted_steps, SCRIPTED_STEPS);
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
    for (int i = 0; i < SCRIPTED_STEPS; i++) {
        scripted_takes(&bench, scripted_steps[i], 0, BEST);
        scripted_takes(&bench, scripted_steps[i], 1, DEFAULT);
        scripted_takes(&bench, scripted_steps[i], 2, SLOW);
    }
    bench.script->graphs = true;
    bench.script->gap = GAP;
    *state = &bench;
    return 0;
}

static int unmake(void **state) {
    scripted_bench_remove(*state);
    return 0;
}

/* Tunes in a process of its own, as it were. */
static moe_layer_result tune(scripted_bench *bench, moe_cache cache) {
    scripted_bench_open(bench, NULL);
    moe_session session = scripted_session(bench, cache, false);
    assert_int_equal(session.layers, 1);
    const moe_layer_result result = session.layer[0];
    assert_int_equal(session.stopped, bench->tuner.lost);
    moe_session_free(&session);
    scripted_bench_close(bench);
    assert_int_equal(bench->script->open_graphs, 0);
    return result;
}

static void tune_ops(scripted_bench *bench) {
    scripted_bench_open(bench, NULL);
    moe_session session = scripted_session(bench, MOE_CACHE_COLD, true);
    moe_session_free(&session);
    scripted_bench_close(bench);
}

/* The choice's candidates, one digit a step. */
static void check_choice(const moe_layer_result *result, const char *numbers, double ns) {
    char got[SCRIPTED_STEPS + 1] = "";
    if (!result->there || result->wrong) fail_msg("%s", result->note);
    assert_int_equal(result->choice.steps, SCRIPTED_STEPS);
    for (int i = 0; i < SCRIPTED_STEPS; i++)
        got[i] = (char)('0' + moe_config_get(&result->choice.step[i].config, "n", -1));
    assert_string_equal(got, numbers);
    const moe_measurement *m = &result->choice.measurement;
    assert_int_equal(m->outcome, MOE_OUTCOME_OK);
    assert_int_equal(m->timer, MOE_TIMER_EVENTS);
    assert_int_equal(m->n, 50);
    if (m->med != ns) fail_msg("%g ns, not %g", m->med, ns);
}

/* Defaults, winners, and these with one op's second. */
static void test_pipelines_race_as_graphs(void **state) {
    scripted_bench *bench = *state;
    const moe_layer_result result = tune(bench, MOE_CACHE_COLD);
    check_choice(&result, "0000", 4 * BEST);
    assert_int_equal(result.tried, 2 + SCRIPTED_STEPS);
    assert_true(result.standard_ns == 4 * DEFAULT);
    assert_true(bench->script->replays >= (2 + SCRIPTED_STEPS) * 10 + 4 * 50);
}

static void test_without_graphs_they_are_launched(void **state) {
    scripted_bench *bench = *state;
    bench->script->graphs = false;
    const moe_layer_result result = tune(bench, MOE_CACHE_COLD);
    check_choice(&result, "0000", 4 * (BEST + GAP));
    assert_int_equal(bench->script->replays, 0);
}

static void test_where_graphs_are_refused_too(void **state) {
    scripted_bench *bench = *state;
    bench->script->refuse_graphs = true;
    const moe_layer_result result = tune(bench, MOE_CACHE_COLD);
    check_choice(&result, "0000", 4 * (BEST + GAP));
    assert_int_equal(bench->script->replays, 0);
}

static void test_a_replay_that_does_less_is_wrong(void **state) {
    scripted_bench *bench = *state;
    bench->script->forget = true;
    const moe_layer_result result = tune(bench, MOE_CACHE_COLD);
    assert_true(result.wrong);
    assert_false(result.there);
    assert_non_null(strstr(result.note, "replayed: y["));
}

/* By itself the best is 3 % faster, and wins; of the layer that is less than means anything. */
static void test_a_tie_goes_to_the_default_pipeline(void **state) {
    scripted_bench *bench = *state;
    for (int i = 0; i < SCRIPTED_STEPS; i++)
        scripted_takes(bench, scripted_steps[i], 0, i == GEMM_UP ? 970 : DEFAULT);
    const moe_layer_result result = tune(bench, MOE_CACHE_COLD);
    check_choice(&result, "1111", 4 * DEFAULT);
    scripted_bench_open(bench, NULL);
    const moe_op_result up = scripted_tune(bench, scripted_steps[GEMM_UP]);
    assert_int_equal(moe_config_get(&up.finalist[0].record.config, "n", -1), 0);
    scripted_bench_close(bench);
}

static void test_cold_and_warm_are_layers_of_their_own(void **state) {
    scripted_bench *bench = *state;
    scripted_kernel *cached = scripted_candidate(bench, scripted_steps[GEMM_UP], 2);
    cached->cold = SLOW;
    cached->warm = 100;
    const moe_layer_result cold = tune(bench, MOE_CACHE_COLD), warm = tune(bench, MOE_CACHE_WARM);
    check_choice(&cold, "0000", 4 * BEST);
    check_choice(&warm, "0200", 3 * BEST + 100);
}

/* --------------------------------------------------------------------------------------- resume */

static void test_a_choice_is_resumed(void **state) {
    scripted_bench *bench = *state;
    tune(bench, MOE_CACHE_COLD);
    int64_t before = bench->script->launches;
    const moe_layer_result again = tune(bench, MOE_CACHE_COLD);
    assert_true(again.resumed);
    check_choice(&again, "0000", 4 * BEST);
    assert_int_equal(bench->script->launches, before);
}

static void test_another_driver_chooses_anew(void **state) {
    scripted_bench *bench = *state;
    tune(bench, MOE_CACHE_COLD);
    strcpy(bench->script->driver, "13.1/590.2");
    scripted_takes(bench, scripted_steps[GEMM_UP], 2, 100);
    const moe_layer_result again = tune(bench, MOE_CACHE_COLD);
    assert_false(again.resumed);
    check_choice(&again, "0200", 3 * BEST + 100);
    assert_string_equal(again.choice.provenance.driver, "13.1/590.2");
}

static moe_layer_result tune_with_toolkit(scripted_bench *bench, const char *toolkit) {
    scripted_bench_open(bench, NULL);
    strcpy(bench->tuner.provenance.toolkit, toolkit);
    moe_session session = scripted_session(bench, MOE_CACHE_COLD, false);
    const moe_layer_result result = session.layer[0];
    moe_session_free(&session);
    scripted_bench_close(bench);
    return result;
}

static void test_another_toolkit_chooses_anew(void **state) {
    scripted_bench *bench = *state;
    assert_false(tune_with_toolkit(bench, "13.0").resumed);
    assert_true(tune_with_toolkit(bench, "13.0").resumed);
    assert_false(tune_with_toolkit(bench, "13.9").resumed);
}

/* --------------------------------------------------------------------------------------- faults */

/* It is right alone and in the first run of its pipeline. */
static void test_a_fault_in_the_race_is_stored(void **state) {
    scripted_bench *bench = *state;
    tune_ops(bench);
    scripted_kernel *kernel = scripted_candidate(bench, scripted_steps[GEMM_UP], 1);
    kernel->fault = SCRIPTED_LOST;
    kernel->from = kernel->launches + 5;
    kernel->until = INT64_MAX;
    moe_layer_result result = tune(bench, MOE_CACHE_COLD);
    assert_true(bench->tuner.lost);
    assert_true(result.wrong);
    assert_false(result.there);
    assert_int_equal(result.choice.measurement.outcome, MOE_OUTCOME_FAULTED);
    int64_t before = bench->script->launches;
    result = tune(bench, MOE_CACHE_COLD);
    assert_true(result.resumed && result.wrong);
    assert_int_equal(bench->script->launches, before);
}

/* Two ops' second best ask for more scratch than there is. */
static void test_a_pipeline_without_room_is_left_out(void **state) {
    scripted_bench *bench = *state;
    tune_ops(bench);
    bench->script->memory = 48 << 10;
    const moe_layer_result result = tune(bench, MOE_CACHE_COLD);
    check_choice(&result, "0000", 4 * BEST);
    assert_non_null(strstr(result.note, "over_limit: out of device memory"));
}

/* ------------------------------------------------------------------------------------- the plan */

static void write_file(const char *folder, const char *name, const char *text) {
    char path[128];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

/* No step of a layer, so that it could be left out, and nobody would know why. */
static void test_a_template_that_throws_is_heard_of(void **state) {
    scripted_bench *bench = *state;
    moe_goal goal = {.layers = 1, .tokens = {4}, .token_count = 1, .routings = 1, .budget = 60};
    moe_session session;
    struct moe_op_plan *plan;
    moe_gen *gen;
    write_file(bench->folder, "thrower.cu", "// never rendered\n");
    write_file(bench->folder, "thrower.lua",
               "return moe.template { name = 'thrower', op = 'down_combine', arch = {80, 120},\n"
               "params = {{'n', {1}}}, default = function() error('on purpose') end,\n"
               "launch = function() return {kernels = {{grid = {'fixed', 1}, block = 1}}} end,\n"
               "cost = function() return {flops = 0, bytes = 1} end }\n");
    assert_int_equal(moe_layer_parse(scripted_layer, &goal.layer[0]), MOE_OK);
    scripted_bench_open(bench, NULL);
    assert_int_equal(moe_gen_open(bench->folder, &gen), MOE_OK);
    bench->tuner.gen = gen;
    assert_int_equal(moe_session_plan(&bench->tuner, &goal, &session, &plan),
                     MOE_E_TEMPLATE);
    assert_non_null(strstr(moe_error_text(), "thrower.lua:2"));
    moe_gen_close(gen);
    scripted_bench_close(bench);
}

int main(void) {
#define ON_A_BENCH(test) cmocka_unit_test_setup_teardown(test, make, unmake)
    const struct CMUnitTest tests[] = {
        ON_A_BENCH(test_pipelines_race_as_graphs),
        ON_A_BENCH(test_without_graphs_they_are_launched),
        ON_A_BENCH(test_where_graphs_are_refused_too),
        ON_A_BENCH(test_a_replay_that_does_less_is_wrong),
        ON_A_BENCH(test_a_tie_goes_to_the_default_pipeline),
        ON_A_BENCH(test_cold_and_warm_are_layers_of_their_own),
        ON_A_BENCH(test_a_choice_is_resumed),
        ON_A_BENCH(test_another_driver_chooses_anew),
        ON_A_BENCH(test_another_toolkit_chooses_anew),
        ON_A_BENCH(test_a_fault_in_the_race_is_stored),
        ON_A_BENCH(test_a_pipeline_without_room_is_left_out),
        ON_A_BENCH(test_a_template_that_throws_is_heard_of),
    };
    return cmocka_run_group_tests(tests, open_shop, close_shop);
}
