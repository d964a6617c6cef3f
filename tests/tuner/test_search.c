/* label: unit
 * Strategies on recorded landscapes, and the rule that names a winner. */
#include "measure/winner.h"
#include "search/search.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* A space of the size and shape of a GEMM's: six parameters of a few values each. */
enum { PARAMS = 6, COUNT = 5 * 4 * 3 * 4 * 3 * 2, VALUES = 5 + 4 + 3 + 4 + 3 + 2 };
static const int sizes[PARAMS] = {5, 4, 3, 4, 3, 2};

static void digits_of(int64_t index, int *digit) {
    for (int p = PARAMS - 1; p >= 0; index /= sizes[p--]) digit[p] = (int)(index % sizes[p]);
}

/* The true time: an optimum off the middle, two parameters that depend on each other, noise that
 * is always the same. */
static double truth(int64_t index) {
    int v[PARAMS];
    digits_of(index, v);
    double time = 1000 * (1 + 0.25 * (v[0] - 3) * (v[0] - 3)) * (1 + 0.15 * abs(v[1] - 2));
    time *= 1 + 0.2 * abs(v[2] - (v[0] > 2)) + 0.05 * abs(v[3] - 2) * (v[4] + 1);
    return time * (1 + 0.1 * v[5]) * (1 + 0.01 * (double)(index * 7919 % 13) / 13);
}

/* The prediction knows some of this, and is wrong about the first and the fourth parameter. */
static double prediction(int64_t index) {
    int v[PARAMS];
    digits_of(index, v);
    return 700 * (1 + 0.2 * (v[0] - 1) * (v[0] - 1)) * (1 + 0.15 * abs(v[1] - 2)) *
           (1 + 0.2 * abs(v[2] - 1)) * (1 + 0.1 * v[3]);
}

static double cost[COUNT];
static int choice[COUNT * PARAMS];
static const int64_t defaults[] = {5, 17};
static const moe_landscape grid = {COUNT, cost, defaults, 2, PARAMS, choice, VALUES};

static int make_grid(void **state) {
    (void)state;
    for (int64_t i = 0; i < COUNT; i++) {
        cost[i] = prediction(i);
        digits_of(i, choice + i * PARAMS);
        for (int p = 0, first = 0; p < PARAMS; first += sizes[p++]) choice[i * PARAMS + p] += first;
    }
    return 0;
}

/* Runs a search with `ahead` candidates under way; gives the best time and the order asked. */
static double run(const char *strategy, int64_t limit, uint64_t seed, int ahead, int64_t *order,
                  int64_t *asked) {
    moe_search *search;
    int64_t pending[16], best;
    int waiting = 0;
    bool more = true;
    assert_int_equal(
        moe_search_open(moe_strategy_find(strategy), &grid, limit, seed, &search), MOE_OK);
    *asked = 0;
    while (more || waiting) {
        while (more && waiting < ahead) {
            more = moe_search_next(search, &pending[waiting]);
            if (more) order[(*asked)++] = pending[waiting++];
        }
        if (!waiting) break;
        int64_t index = pending[0];
        memmove(pending, pending + 1, (size_t)--waiting * sizeof *pending);
        moe_search_report(search, index, index % 11 == 3 ? INFINITY : truth(index));
    }
    assert_int_equal(moe_search_best(search, &best, 1), 1);
    moe_search_close(search);
    return truth(best);
}

static double best_possible(void) {
    double best = INFINITY;
    for (int64_t i = 0; i < COUNT; i++)
        if (i % 11 != 3 && truth(i) < best) best = truth(i);
    return best;
}

static void test_every_strategy_asks_once_within_its_limit_defaults_first(void **state) {
    (void)state;
    static int64_t order[COUNT];
    for (const moe_strategy *s = moe_strategies; s->name; s++) {
        const int64_t limits[] = {1, 50, COUNT + 9};
        for (int l = 0; l < 3; l++) {
            bool seen[COUNT] = {false};
            int64_t asked, want = limits[l] < 2 ? 2 : limits[l] < COUNT ? limits[l] : COUNT;
            run(s->name, limits[l], 3, 4, order, &asked);
            assert_int_equal(asked, want);
            assert_int_equal(order[0], 5);
            assert_int_equal(order[1], 17);
            for (int64_t i = 0; i < asked; i++) {
                assert_in_range(order[i], 0, COUNT - 1);
                assert_false(seen[order[i]]);
                seen[order[i]] = true;
            }
        }
    }
}

static void test_exhaustive_finds_the_best(void **state) {
    (void)state;
    static int64_t order[COUNT];
    int64_t asked;
    assert_true(run("exhaustive", COUNT, 1, 1, order, &asked) == best_possible());
}

static void test_the_same_seed_asks_the_same(void **state) {
    (void)state;
    static int64_t a[COUNT], b[COUNT];
    int64_t asked_a, asked_b;
    for (const moe_strategy *s = moe_strategies; s->name; s++) {
        run(s->name, 100, 42, 3, a, &asked_a);
        run(s->name, 100, 42, 3, b, &asked_b);
        assert_int_equal(asked_a, asked_b);
        assert_memory_equal(a, b, (size_t)asked_a * sizeof *a);
    }
    run("random", 100, 43, 3, b, &asked_b);
    assert_memory_not_equal(a, b, 100 * sizeof *a);
}

/* With a prediction that is off, sixty trials of 1440 must come within 6 % on average, and beat
 * chance and the prediction alone; the figures are of twenty fixed seeds. */
static void test_halving_beats_chance_and_the_prediction(void **state) {
    (void)state;
    static int64_t order[COUNT];
    int64_t asked;
    double halving = 0, chance = 0, trust = 0, best = best_possible();
    for (uint64_t seed = 0; seed < 20; seed++) {
        halving += run("halving", 60, seed, 2, order, &asked) / best / 20;
        chance += run("random", 60, seed, 2, order, &asked) / best / 20;
        trust += run("exhaustive", 60, seed, 2, order, &asked) / best / 20;
    }
    assert_true(halving < 1.06);
    assert_true(halving < chance && halving < trust);
}

static void test_the_best_are_sorted_and_failures_left_out(void **state) {
    (void)state;
    moe_search *search;
    int64_t best[3];
    const double times[] = {5, INFINITY, 3, 3, 9};
    assert_int_equal(moe_search_open(moe_strategies, &grid, COUNT, 0, &search), MOE_OK);
    for (int i = 0; i < 5; i++) moe_search_report(search, 10 + i, times[i]);
    assert_int_equal(moe_search_best(search, best, 3), 3);
    assert_int_equal(best[0], 12);
    assert_int_equal(best[1], 13);
    assert_int_equal(best[2], 10);
    moe_search_report(search, 10, 1); /* measured again */
    assert_int_equal(moe_search_best(search, best, 3), 3);
    assert_int_equal(best[0], 10);
    moe_search_close(search);
}

static void test_what_was_tried_before_counts(void **state) {
    (void)state;
    moe_search *search;
    int64_t index, asked = 0;
    assert_int_equal(moe_search_open(moe_strategies, &grid, 10, 0, &search), MOE_OK);
    for (int64_t i = 0; i < 6; i++) moe_search_resume(search, defaults[0] + 100 * i, 5);
    while (moe_search_next(search, &index)) {
        assert_true(index < 5 || (index - 5) % 100 || index > 505);
        asked++;
    }
    assert_int_equal(asked, 4);
    moe_search_close(search);
}

/* Six candidates without choices; the first is the default. */
static const double few_costs[] = {10, 11, 12, 13, 14, 15};
static const int64_t first_is_default[] = {0};
static const moe_landscape few = {6, few_costs, first_is_default, 1, 0, NULL, 0};

static int64_t ask(moe_search *search) {
    int64_t index = -1;
    return moe_search_next(search, &index) ? index : -1;
}

/* The compiled code of candidate 1 promises less than 2 and 3, which fill the limit; that of 2 is
 * worse as well, but not by so much. */
static void test_a_worse_prediction_puts_a_candidate_back(void **state) {
    (void)state;
    moe_search *search;
    assert_int_equal(moe_search_open(moe_strategy_find("exhaustive"), &few, 3, 0, &search), MOE_OK);
    assert_int_equal(ask(search), 0);
    assert_int_equal(ask(search), 1);
    assert_false(moe_search_revise(search, 1, 13.5));
    assert_int_equal(ask(search), 2);
    assert_true(moe_search_revise(search, 2, 12.5));
    assert_int_equal(ask(search), 3);
    assert_int_equal(ask(search), -1);
    assert_true(moe_search_ranks(search)[1] == 13.5);
    moe_search_close(search);
}

/* Where the limit has room for all that are better, it is asked for again in its new place. */
static void test_what_was_put_back_comes_again_in_its_place(void **state) {
    (void)state;
    moe_search *search;
    assert_int_equal(moe_search_open(moe_strategy_find("exhaustive"), &few, 4, 0, &search), MOE_OK);
    assert_int_equal(ask(search), 0);
    assert_int_equal(ask(search), 1);
    assert_false(moe_search_revise(search, 1, 14.5)); /* 2, 3 and 4 fill it */
    assert_int_equal(ask(search), 2);
    assert_false(moe_search_revise(search, 2, 14.8)); /* 3, 4 and 1 do */
    assert_int_equal(ask(search), 3);
    assert_int_equal(ask(search), 4);
    assert_int_equal(ask(search), 1);
    assert_int_equal(ask(search), -1);
    moe_search_close(search);
}

/* Defaults run whatever is learned, and a space that is tried whole keeps its candidates. */
static void test_defaults_and_whole_spaces_are_not_put_back(void **state) {
    (void)state;
    moe_search *search;
    assert_int_equal(moe_search_open(moe_strategy_find("exhaustive"), &few, 6, 0, &search), MOE_OK);
    assert_int_equal(ask(search), 0);
    assert_true(moe_search_revise(search, 0, 1000));
    assert_int_equal(ask(search), 1);
    assert_true(moe_search_revise(search, 1, 1000));
    moe_search_close(search);
}

/* Four that the prediction cannot tell apart: others that are nearly as good come in between. */
static void test_equal_predictions_are_spread(void **state) {
    (void)state;
    static const double costs[] = {100, 100, 100.1, 100, 101.5, 102.7};
    static const moe_landscape land = {6, costs, first_is_default, 1, 0, NULL, 0};
    moe_search *search;
    assert_int_equal(moe_search_open(moe_strategy_find("exhaustive"), &land, 6, 0, &search),
                     MOE_OK);
    const int64_t want[] = {0, 1, 4, 3, 5, 2};
    for (int i = 0; i < 6; i++) assert_int_equal(ask(search), want[i]);
    moe_search_close(search);
}

/* A survey asks for the best predicted, and for others at random: 20 of 1440 at random are not the
 * next 20. */
static void test_a_survey_is_the_best_predicted_and_a_sample(void **state) {
    (void)state;
    static int64_t by_cost[COUNT], order[COUNT];
    int64_t asked, same = 0;
    run("exhaustive", 34, 1, 1, by_cost, &asked);
    run("survey", 34, 1, 1, order, &asked);
    assert_int_equal(asked, 34);
    assert_memory_equal(order, by_cost, 14 * sizeof *order); /* two defaults, and twelve */
    for (int i = 14; i < 34; i++) same += order[i] == by_cost[i];
    assert_in_range(same, 0, 3);
}

static moe_racer racer(double med, double mad, bool is_default, const char *text) {
    return (moe_racer){{MOE_OUTCOME_OK, 50, med, mad, 0, MOE_TIMER_CUPTI}, is_default, text};
}

static void test_the_winner(void **state) {
    (void)state;
    moe_racer racers[3] = {racer(1000, 1, true, "t z"), racer(980, 1, false, "t b"),
                           racer(985, 1, false, "t a")};
    assert_int_equal(moe_winner(racers, 3), 2); /* b and a tie, the default is 2 % off */
    racers[0].measurement.med = 988;
    assert_int_equal(moe_winner(racers, 3), 0); /* a tie goes to the default */
    racers[0].measurement.med = 1000;
    racers[2].measurement.med = 995;
    assert_int_equal(moe_winner(racers, 3), 1);
    racers[1].measurement.mad = 40; /* noisy: two hundredths are within three standard errors */
    assert_int_equal(moe_winner(racers, 3), 0);
    racers[0].measurement.outcome = MOE_OUTCOME_WRONG;
    assert_int_equal(moe_winner(racers, 3), 2);
    racers[1].measurement.outcome = racers[2].measurement.outcome = MOE_OUTCOME_FAULTED;
    assert_int_equal(moe_winner(racers, 3), -1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_strategy_asks_once_within_its_limit_defaults_first),
        cmocka_unit_test(test_exhaustive_finds_the_best),
        cmocka_unit_test(test_the_same_seed_asks_the_same),
        cmocka_unit_test(test_halving_beats_chance_and_the_prediction),
        cmocka_unit_test(test_the_best_are_sorted_and_failures_left_out),
        cmocka_unit_test(test_what_was_tried_before_counts),
        cmocka_unit_test(test_a_worse_prediction_puts_a_candidate_back),
        cmocka_unit_test(test_what_was_put_back_comes_again_in_its_place),
        cmocka_unit_test(test_defaults_and_whole_spaces_are_not_put_back),
        cmocka_unit_test(test_equal_predictions_are_spread),
        cmocka_unit_test(test_a_survey_is_the_best_predicted_and_a_sample),
        cmocka_unit_test(test_the_winner),
    };
    return cmocka_run_group_tests(tests, make_grid, NULL);
}
