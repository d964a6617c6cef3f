/* label: unit
 * What predictions are worth, against values worked by hand. */
#include "search/ranking.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum { MOST = 6 };

static const struct {
    int64_t n;
    double predicted[MOST], known[MOST];
    int64_t count;
    double correlation;
    int64_t best;
} cases[] = {
    {0, {0}, {0}, 0, 0, 0},
    {2, {1, 2}, {1, 2}, 2, 0, 1},                             /* too few to say */
    {4, {1, 2, 3, 4}, {10, 20, 30, 40}, 4, 1, 1},
    {4, {1, 2, 3, 4}, {40, 30, 20, 10}, 4, -1, 4},
    {4, {5, 5, 5, 5}, {4, 3, 2, 1}, 4, 0, 3},                 /* all equal; best of places 1..4 */
    /* d = {0,-1,1,0,0}: 1 - 6*2 / (5*24) */
    {5, {1, 2, 3, 4, 5}, {1, 3, 2, 4, 5}, 5, 0.9, 1},
    /* places {1.5,1.5,3} and {1,2,3}: 1.5 / sqrt(1.5 * 2) */
    {3, {7, 7, 9}, {1, 2, 3}, 3, 0.8660254037844386, 2},
    /* what has no time is left out */
    {6, {1, 0, 2, 3, INFINITY, 4}, {10, 20, INFINITY, 30, 5, 40}, 3, 1, 1},
};

static void correlations_are_right(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        moe_ranking got;
        assert_int_equal(moe_ranking_of(cases[i].predicted, cases[i].known, cases[i].n, &got),
                         MOE_OK);
        if (got.count != cases[i].count || got.best != cases[i].best ||
            fabs(got.correlation - cases[i].correlation) > 1e-12)
            fail_msg("case %zu: %lld ranked, correlation %.6f, best %lld", i,
                     (long long)got.count, got.correlation, (long long)got.best);
    }
}

/* Of twenty, the fastest by far is the last by prediction; the twelfth is the next. */
static void regret_is_what_the_first_twelve_miss(void **state) {
    (void)state;
    double predicted[20], known[20];
    moe_ranking got;
    for (int i = 0; i < 20; i++) predicted[i] = i + 1, known[i] = 100 + i;
    known[MOE_RANKING_FIRST - 1] = 60;
    known[19] = 40;
    assert_int_equal(moe_ranking_of(predicted, known, 20, &got), MOE_OK);
    assert_int_equal(got.best, 20);
    assert_true(got.regret == 1.5);
    known[MOE_RANKING_FIRST] = 50; /* the thirteenth is one too late */
    assert_int_equal(moe_ranking_of(predicted, known, 20, &got), MOE_OK);
    assert_true(got.regret == 1.5);
    known[3] = 40;
    assert_int_equal(moe_ranking_of(predicted, known, 20, &got), MOE_OK);
    assert_true(got.regret == 1);
    assert_int_equal(moe_ranking_of(predicted, known, 0, &got), MOE_OK);
    assert_true(got.regret == 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(correlations_are_right),
                                       cmocka_unit_test(regret_is_what_the_first_twelve_miss)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
