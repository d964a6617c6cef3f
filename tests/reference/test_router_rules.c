/* label: unit */
/* test_router_rules.c - every choice of a router's rule by numbers that were worked out on paper.
 *
 * Logits are logarithms, so that scores are fractions: sigmoid(ln a) = a / (1 + a), and the square
 * root of the softplus of ln(exp(s^2) - 1) is s. */
#include "reference.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

typedef struct example {
    const char *router;
    int e, k;
    double logits[8];
    float bias[8]; /* of the keys */
    int ids[4];
    double weights[4];
} example;

static void check(const example *x) {
    char text[160];
    moe_layer layer;
    int ids[4];
    double weights[4];
    snprintf(text, sizeof text, "d=8 f=8 e=%d k=%d router=%s", x->e, x->k, x->router);
    if (moe_layer_parse(text, &layer)) fail_msg("%s: %s", text, moe_error_text());
    moe_ref_route(&layer, 1, x->logits, x->bias, ids, weights, NULL, NULL);
    for (int j = 0; j < x->k; j++)
        if (ids[j] != x->ids[j] || !(fabs(weights[j] - x->weights[j]) <= 1e-12))
            fail_msg("%s: choice %d is %d of weight %.17g, should be %d of %.17g", text, j, ids[j],
                     weights[j], x->ids[j], x->weights[j]);
}

#define LN(x) log(x)

/* Scores 1/2 3/4 9/10, the sum of the best two 33/20. */
static void sigmoid_scores(void **state) {
    (void)state;
#define LOGITS {LN(1.0), LN(3.0), LN(9.0)}
    const example examples[] = {
        {"sigmoid>topk", 3, 2, LOGITS, {0}, {2, 1}, {0.9, 0.75}},
        {"sigmoid>topk>renorm", 3, 2, LOGITS, {0}, {2, 1}, {18. / 33, 15. / 33}},
        {"sigmoid>topk>renorm(0.35)", 3, 2, LOGITS, {0}, {2, 1}, {0.45, 0.375}}, /* over 2 */
        {"sigmoid>topk>scale(4)", 3, 2, LOGITS, {0}, {2, 1}, {3.6, 3}},
        {"topk>sigmoid", 3, 2, LOGITS, {0}, {2, 1}, {0.9, 0.75}},
        {"topk>sigmoid>renorm>scale(3.3)", 3, 2, LOGITS, {0}, {2, 1}, {1.8, 1.5}},
    };
#undef LOGITS
    for (size_t i = 0; i < sizeof examples / sizeof *examples; i++) check(&examples[i]);
}

/* Scores 2 1 1/2: the best two add up to 3. A bias of 5/4 makes keys of 2 9/4 1/2. */
static void sqrtsoftplus_scores(void **state) {
    (void)state;
#define LOGITS {LN(exp(4) - 1), LN(exp(1) - 1), LN(exp(0.25) - 1)}
    const example examples[] = {
        {"sqrtsoftplus>topk", 3, 2, LOGITS, {0}, {0, 1}, {2, 1}},
        {"sqrtsoftplus>topk>renorm", 3, 2, LOGITS, {0}, {0, 1}, {2. / 3, 1. / 3}},
        {"sqrtsoftplus+bias>topk>renorm>scale(1.5)", 3, 2, LOGITS, {0, 1.25f}, {1, 0}, {0.5, 1}},
    };
#undef LOGITS
    for (size_t i = 0; i < sizeof examples / sizeof *examples; i++) check(&examples[i]);
}

/* Logits as they are: choices 3 and -1 of {-1, 3, -2}. */
static void logits_as_weights(void **state) {
    (void)state;
    check(&(example){"topk>scale(0.5)", 3, 2, {-1, 3, -2}, {0}, {1, 0}, {1.5, -0.5}});
}

/* Probabilities 1 2 4 1 of 8. */
static void softmax_scores_with_a_bias(void **state) {
    (void)state;
#define LOGITS {LN(1.0), LN(2.0), LN(4.0), LN(1.0)}
    const example examples[] = {
        {"softmax>topk>scale(16)", 4, 2, LOGITS, {0}, {2, 1}, {8, 4}},
        /* keys 9/8 2/8 4/8 1/8 */
        {"softmax+bias>topk", 4, 2, LOGITS, {1}, {0, 2}, {1. / 8, 4. / 8}},
        {"softmax+bias>topk>renorm", 4, 2, LOGITS, {1}, {0, 2}, {1. / 5, 4. / 5}},
        {"softmax>topk>renorm(0.25)", 4, 2, LOGITS, {0}, {2, 1}, {0.5, 0.25}}, /* 4/8 and 2/8 */
    };
#undef LOGITS
    for (size_t i = 0; i < sizeof examples / sizeof *examples; i++) check(&examples[i]);
}

/* Keys -3/2 -5/4 -27/20 of scores 1/2 3/4 9/10. */
static void keys_below_zero(void **state) {
    (void)state;
    check(&(example){"sigmoid+bias>topk", 3, 2, {LN(1.0), LN(3.0), LN(9.0)}, {-2, -2, -2.25f},
                     {1, 2}, {0.75, 0.9}});
}

/* Probabilities {1 2} {4 1} of 8: the second group has the largest, so that expert 3 is chosen
 * though expert 1 is better. */
static void groups_by_their_largest(void **state) {
    (void)state;
    check(&(example){"softmax>groups(2,1,max)>topk>scale(16)", 4, 2,
                     {LN(1.0), LN(2.0), LN(4.0), LN(1.0)}, {0}, {2, 3}, {8, 2}});
}

/* Scores {.9 .1} {.5 .75}: the first group has the largest, the second the larger sum. */
static void groups_by_the_sum_of_two(void **state) {
    (void)state;
#define LOGITS {LN(9.0), LN(1. / 9), LN(1.0), LN(3.0)}
    check(&(example){"sigmoid>groups(2,1,sum2)>topk", 4, 2, LOGITS, {0}, {3, 2}, {0.75, 0.5}});
    check(&(example){"sigmoid>groups(2,1,max)>topk", 4, 2, LOGITS, {0}, {0, 1}, {0.9, 0.1}});
#undef LOGITS
    /* of logits: 5 + -9 and 1 + 2 */
    check(&(example){"groups(2,1,sum2)>topk", 4, 2, {5, -9, 1, 2}, {0}, {3, 2}, {2, 1}});
}

/* Scores  1/2 3/4  9/10 1/4  4/5 4/5   1/5 1/2
 * bias      0   0   1/8   0 -1/2 -3/10 3/5 1/2
 * keys    1/2 3/4 41/40 1/4 3/10 1/2   4/5   1
 * groups     5/4    51/40     4/5       9/5     keeps the second and the fourth
 * Chosen are 41/40, 1 and 4/5; their scores 9/10 1/2 1/5 add up to 8/5. */
static void deepseek_v3(void **state) {
    (void)state;
    check(&(example){"sigmoid+bias>groups(4,2,sum2)>topk>renorm>scale(2.5)",
                     8,
                     3,
                     {LN(1.0), LN(3.0), LN(9.0), LN(1. / 3), LN(4.0), LN(4.0), LN(0.25), LN(1.0)},
                     {0, 0, 0.125f, 0, -0.5f, -0.3f, 0.6f, 0.5f},
                     {2, 7, 6},
                     {0.9 * 25 / 16, 0.5 * 25 / 16, 0.2 * 25 / 16}});
}

/* Keys {1/2 3/4} {19/10 -1/4}: sums 5/4 and 33/20 keep the second group. Outside of it keys are 0
 * where asked, which beats -1/4, and the lower of them wins. */
static void masked_keys_are_0_where_asked(void **state) {
    (void)state;
#define KEYS {LN(1.0), LN(3.0), LN(9.0), LN(1. / 3)}, {0, 0, 1, -0.5f}
    check(&(example){"sigmoid+bias>groups(2,1,sum2)>topk", 4, 2, KEYS, {2, 3}, {0.9, 0.25}});
    check(&(example){"sigmoid+bias>groups(2,1,sum2,zero)>topk", 4, 2, KEYS, {2, 0}, {0.9, 0.5}});
#undef KEYS
}

/* Who is near 1 within a 50th of it: .99, and not .9 or .5; near .99 nobody else is. Within a
 * fifth: .99 and .9; near .99, .9 is. 1/(1+e^-.01), 1/(1+e^-.01+e^-.1), 1/(1+e^-.09) */
static void sparsemixer_among_the_near(void **state) {
    (void)state;
#define LOGITS {0.9, 1, 0.99, 0.5}
    check(&(example){"topk>sparsemixer(0.01)", 4, 2, LOGITS, {0}, {1, 2}, {0.5024999791668749, 1}});
    check(&(example){"topk>sparsemixer(0.1)", 4, 2, LOGITS, {0}, {1, 2},
                     {0.34543659666999177, 0.5224848247918001}});
#undef LOGITS
    /* Below zero the farther logit is what a 50th is taken of: .01/1.01 is near, .03/1.03 far. */
    check(&(example){"topk>sparsemixer(0.01)", 3, 2, {-1, -1.01, -1.03}, {0}, {0, 1},
                     {0.5024999791668749, 1 / (1 + exp(-0.02))}});
    /* 0 is near 0: a third, then a half. */
    check(&(example){"topk>sparsemixer(0.01)", 3, 2, {0, 0, 0}, {0}, {0, 1}, {1. / 3, 0.5}});
}

/* A bias that is no number makes the lowest key, and no key is lost by it. */
static void keys_that_are_no_numbers(void **state) {
    (void)state;
    check(&(example){"sigmoid+bias>topk", 3, 3, {LN(1.0), LN(3.0), LN(9.0)}, {0, NAN, -INFINITY},
                     {0, 1, 2}, {0.5, 0.75, 0.9}});
}

/* Scores that are all 0 leave weights of 0 by an epsilon, and no 0/0. */
static void weights_without_a_score(void **state) {
    (void)state;
    check(&(example){"sigmoid>topk>renorm", 3, 2, {-1e5, -1e6, -1e7}, {0}, {0, 1}, {0, 0}});
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sigmoid_scores),
        cmocka_unit_test(sqrtsoftplus_scores),
        cmocka_unit_test(logits_as_weights),
        cmocka_unit_test(softmax_scores_with_a_bias),
        cmocka_unit_test(keys_below_zero),
        cmocka_unit_test(groups_by_their_largest),
        cmocka_unit_test(groups_by_the_sum_of_two),
        cmocka_unit_test(deepseek_v3),
        cmocka_unit_test(masked_keys_are_0_where_asked),
        cmocka_unit_test(sparsemixer_among_the_near),
        cmocka_unit_test(keys_that_are_no_numbers),
        cmocka_unit_test(weights_without_a_score),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
