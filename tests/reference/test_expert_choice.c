/* label: unit */
/* test_expert_choice.c - experts that choose their tokens: a case worked by hand, and its judge. */
#include "check.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define LN(x) log(x)

/* Four tokens, two experts, CF = 1.5: C = round(1.5 * 4 / 2) = 3. Powers are 1:1, 3:1, 1:3 and 1:1,
 * so expert 0 has 1/2, 3/4, 1/4, 1/2 and takes tokens 1, 0 and 3; expert 1 has 1/2, 1/4, 3/4, 1/2
 * and takes 2, 0 and 3. Tokens 0 and 3 have two experts, 1 and 2 have one. */
static const double logits[8] = {0, 0, LN(3.0), 0, 0, LN(3.0), 0, 0};
static const int takings[8] = {0, 1, 0, -1, -1, 1, 0, 1};
static const double shares[8] = {0.5, 0.5, 0.75, 0, 0, 0.75, 0.5, 0.5};

static moe_layer layer_of(const char *capacity) {
    char text[96];
    moe_layer layer;
    snprintf(text, sizeof text, "d=8 f=8 e=2 k=2 router=expert_choice capacity=%s", capacity);
    if (moe_layer_parse(text, &layer)) fail_msg("%s", moe_error_text());
    return layer;
}

static void by_hand(void **state) {
    const moe_layer layer = layer_of("1.5,switch");
    int ids[8];
    double weights[8];
    (void)state;
    assert_int_equal(moe_ref_rule(&layer, 4, logits, NULL, ids, weights), MOE_OK);
    assert_memory_equal(ids, takings, sizeof ids);
    for (int s = 0; s < 8; s++) assert_true(fabs(weights[s] - shares[s]) < 1e-15);
}

/* Equal tokens: the earlier ones are taken; some get nothing. C = round(0.5 * 4 / 2) = 1, and
 * round(0.25 * 4 / 2) = round(0.5) = 0, as Python rounds. */
static void ties_and_few(void **state) {
    static const double same[8] = {0};
    static const int first[8] = {0, 1, -1, -1, -1, -1, -1, -1};
    moe_layer layer = layer_of("0.5,switch");
    int ids[8];
    double weights[8];
    (void)state;
    assert_int_equal(moe_ref_rule(&layer, 4, same, NULL, ids, weights), MOE_OK);
    assert_memory_equal(ids, first, sizeof ids);
    layer = layer_of("0.25,switch");
    assert_int_equal(moe_ref_rule(&layer, 4, same, NULL, ids, weights), MOE_OK);
    for (int s = 0; s < 8; s++) assert_int_equal(ids[s], -1);
    layer = layer_of("9,switch"); /* more than there are */
    assert_int_equal(moe_ref_rule(&layer, 4, same, NULL, ids, weights), MOE_OK);
    for (int s = 0; s < 8; s++) assert_int_equal(ids[s], s % 2);
}

static moe_verdict judge(const int *ids, const float *weights) {
    const moe_layer layer = layer_of("1.5,switch");
    int counts[2] = {0};
    moe_verdict verdict;
    for (int s = 0; s < 8; s++)
        if (ids[s] >= 0) counts[s % 2]++;
    const moe_route_result got = {.ids = ids, .weights = weights, .counts = counts};
    assert_int_equal(moe_check_route(&layer, 4, logits, NULL, 0, 1e-5, &got, &verdict), MOE_OK);
    return verdict;
}

static void judged(void **state) {
    static const int fewer[8] = {0, 1, 0, -1, -1, 1, -1, 1}, worse[8] = {0, 1, -1, -1, 0, 1, 0, 1};
    static const int strange[8] = {1, 1, 0, -1, -1, 1, 0, 1};
    float weights[8];
    (void)state;
    for (int s = 0; s < 8; s++) weights[s] = (float)shares[s];
    moe_verdict good = judge(takings, weights);
    if (!good.ok) fail_msg("%s", good.text);
    assert_non_null(
        strstr(judge(fewer, weights).text, "expert 0 has taken 2 tokens, should have 3"));
    assert_non_null(strstr(judge(worse, weights).text, "left one of 0.75"));
    assert_non_null(strstr(judge(strange, weights).text, "ids[0,0] is 1, should be 0 or -1"));
    weights[3] = 0.25F; /* of a token that was not taken */
    assert_non_null(strstr(judge(takings, weights).text, "weights[1,1]"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(by_hand), cmocka_unit_test(ties_and_few), cmocka_unit_test(judged),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
