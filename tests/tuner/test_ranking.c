/* label: unit
 * Rank correlation of predictions, against values worked by hand. */
#include "ranking.h"

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

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(correlations_are_right)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
