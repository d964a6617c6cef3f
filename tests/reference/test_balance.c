/* label: unit */
/* test_balance.c - the balanced assignment against a case worked by hand and against the exact
 * optimum, and the judge of one. */
#include "balance.h"

#include "balance_check.h"
#include "check.h"
#include "random.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { MOST = 48, MOST_E = 8 };

static moe_layer layer_of(int64_t experts) {
    char text[64];
    moe_layer layer;
    snprintf(text, sizeof text, "d=8 f=8 e=%d k=1 router=base", (int)experts);
    assert_int_equal(moe_layer_parse(text, &layer), MOE_OK);
    return layer;
}

/* Two experts, four tokens, which all like expert 0 best: by 5, 4, 3 and 1. So it gets the first
 * two, and the sum is 5 + 4 + 0 + 0; any other pair has less by 1 at least. Epsilon is 5/50, of
 * which four tokens can lose 0.4: the best is the only one within the bound. */
static void by_hand(void **state) {
    static const double logits[] = {5, 0, 4, 0, 3, 0, 1, 0};
    static const int want[] = {0, 0, 1, 1};
    const moe_layer layer = layer_of(2);
    moe_balance got;
    int ids[4];
    (void)state;
    assert_true(fabs(moe_balance_epsilon(&layer, 4, logits) - 0.1) < 1e-15);
    assert_int_equal(moe_balance_assign(&layer, 4, logits, 0.1, 100, ids, &got), MOE_OK);
    assert_memory_equal(ids, want, sizeof ids);
    assert_true(got.finished);
    assert_true(fabs(got.total - 9) < 1e-12);
}

static void shares(void **state) {
    (void)state;
    assert_int_equal(moe_balance_share(12, 4, 3), 3);
    for (int e = 0; e < 4; e++) assert_int_equal(moe_balance_share(10, 4, e), e < 2 ? 3 : 2);
    assert_int_equal(moe_balance_share(1, 4, 0), 1);
    assert_int_equal(moe_balance_share(1, 4, 3), 0);
}

/* --------------------------------------------------------------------- the exact optimum */

/* The largest sum of an assignment of T tokens to T places, each of the expert place_of: Kuhn's
 * method with potentials, which adds one token at a time by a shortest path (Jonker and Volgenant
 * 1987). Rows and columns count from 1. */
static double optimum(int tokens, int experts, const double *logits, const int *place_of) {
    double u[MOST + 1] = {0}, v[MOST + 1] = {0}, sum = 0;
    int match[MOST + 1] = {0}, way[MOST + 1] = {0};
    for (int i = 1; i <= tokens; i++) {
        double least[MOST + 1];
        bool used[MOST + 1] = {false};
        int at = 0;
        match[0] = i;
        for (int j = 0; j <= tokens; j++) least[j] = INFINITY;
        do {
            int row = match[at], next = 0;
            double delta = INFINITY;
            used[at] = true;
            for (int j = 1; j <= tokens; j++) {
                if (used[j]) continue;
                double cost = -logits[(row - 1) * experts + place_of[j - 1]] - u[row] - v[j];
                if (cost < least[j]) least[j] = cost, way[j] = at;
                if (least[j] < delta) delta = least[j], next = j;
            }
            for (int j = 0; j <= tokens; j++) {
                if (used[j])
                    u[match[j]] += delta, v[j] -= delta;
                else
                    least[j] -= delta;
            }
            at = next;
        } while (match[at]);
        for (; at; at = way[at]) match[at] = match[way[at]];
    }
    for (int j = 1; j <= tokens; j++) sum += logits[(match[j] - 1) * experts + place_of[j - 1]];
    return sum;
}

static double best_total(const moe_layer *layer, int tokens, const double *logits) {
    int place_of[MOST], places = 0;
    for (int e = 0; e < layer->e; e++)
        for (int64_t i = 0; i < moe_balance_share(tokens, layer->e, e); i++) place_of[places++] = e;
    assert_int_equal(places, tokens);
    return optimum(tokens, (int)layer->e, logits, place_of);
}

/* Random logits, some with favourites, some with many ties. */
static void make_logits(uint64_t seed, int n, int experts, double *logits) {
    const moe_random random = moe_random_stream(seed, 7);
    for (int i = 0; i < n; i++) {
        double value = 8 * moe_random_uniform(random, (uint64_t)i) - 4;
        if (seed % 3 == 1) value -= 3 * log(i % experts + 1);
        if (seed % 3 == 2) value = floor(value);
        logits[i] = value;
    }
}

static void within_the_bound(void **state) {
    double logits[MOST * MOST_E];
    int ids[MOST], finished = 0;
    (void)state;
    for (uint64_t seed = 0; seed < 60; seed++) {
        int experts = 2 + (int)(seed % (MOST_E - 1)), tokens = 1 + (int)(seed * 7 % MOST);
        const moe_layer layer = layer_of(experts);
        moe_balance got;
        moe_verdict verdict = {.ok = true};
        make_logits(seed, tokens * experts, experts, logits);
        double epsilon = moe_balance_epsilon(&layer, tokens, logits);
        assert_int_equal(moe_balance_assign(&layer, tokens, logits, epsilon, MOE_BALANCE_ROUNDS,
                                            ids, &got), MOE_OK);
        assert_true(moe_check_shares(&layer, tokens, ids, &verdict));
        double best = best_total(&layer, tokens, logits);
        assert_true(got.total <= best + 1e-9);
        if (got.total < best - tokens * epsilon - 1e-9)
            fail_msg("seed %d: %g is below %g by more than %d * %g", (int)seed, got.total, best,
                     tokens, epsilon);
        assert_true(fabs(got.total - moe_balance_total(&layer, tokens, logits, ids)) < 1e-9);
        finished += got.finished;
    }
    assert_true(finished > 30);
}

/* Stopped at once, the quick end alone shares everything out. */
static void quick_end(void **state) {
    double logits[MOST * MOST_E];
    int ids[MOST];
    moe_balance got;
    moe_verdict verdict = {.ok = true};
    const moe_layer layer = layer_of(5);
    (void)state;
    make_logits(3, 43 * 5, 5, logits);
    assert_int_equal(moe_balance_assign(&layer, 43, logits, 0.1, 0, ids, &got), MOE_OK);
    assert_false(got.finished);
    assert_true(moe_check_shares(&layer, 43, ids, &verdict));
}

static void not_numbers(void **state) {
    const double logits[] = {NAN, 1, INFINITY, 2, -INFINITY, 3, 0.5, -1};
    const moe_layer layer = layer_of(2);
    int ids[4];
    moe_balance got;
    moe_verdict verdict = {.ok = true};
    (void)state;
    assert_true(fabs(moe_balance_epsilon(&layer, 4, logits) - 4. / 50) < 1e-15);
    assert_int_equal(moe_balance_assign(&layer, 4, logits, 0.08, 100, ids, &got), MOE_OK);
    assert_true(moe_check_shares(&layer, 4, ids, &verdict));
    assert_int_equal(ids[3], 0); /* 0.5 against -1; the others' are -1 against 1, 2 and 3 */
}

/* --------------------------------------------------------------------------------- the judge */

static moe_verdict judge(const moe_layer *layer, int tokens, const double *logits, const int *ids) {
    float weights[MOST];
    int counts[MOST_E] = {0};
    moe_verdict verdict;
    for (int t = 0; t < tokens; t++) {
        weights[t] = (float)(1 / (1 + exp(-logits[t * layer->e + ids[t]])));
        counts[ids[t]]++;
    }
    const moe_route_result got = {.ids = ids, .weights = weights, .counts = counts};
    assert_int_equal(moe_check_route(layer, tokens, logits, NULL, 0, 1e-5, &got, &verdict), MOE_OK);
    return verdict;
}

static void judged(void **state) {
    static const double logits[] = {5, 0, 4, 0, 3, 0, 1, 0};
    static const int good[] = {0, 0, 1, 1}, bad[] = {1, 0, 0, 1}, uneven[] = {0, 0, 0, 1};
    const moe_layer layer = layer_of(2);
    (void)state;
    assert_true(judge(&layer, 4, logits, good).ok);
    assert_non_null(strstr(judge(&layer, 4, logits, bad).text, "add up to 7"));
    assert_non_null(strstr(judge(&layer, 4, logits, uneven).text, "expert 0 has 3 tokens"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(by_hand),     cmocka_unit_test(shares),
        cmocka_unit_test(within_the_bound), cmocka_unit_test(quick_end),
        cmocka_unit_test(not_numbers), cmocka_unit_test(judged),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
