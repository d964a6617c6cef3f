/* label: unit */
/* test_losses.c - load-balance losses and the bias update against examples worked by hand. */
#include "reference.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static moe_layer layer_of(const char *text) {
    moe_layer layer;
    assert_int_equal(moe_layer_parse(text, &layer), MOE_OK);
    return layer;
}

static void assert_close(double got, double want) {
    if (!(fabs(got - want) <= 1e-12 * (1 + fabs(want))))
        fail_msg("%.17g should be %.17g", got, want);
}

/* Two tokens, p = (1/2, 1/4, 1/4) and (1/4, 1/2, 1/4) of exp(l) = 2 1 1 and 2 4 2; both choose
 * experts 0 and 1, in turn first. Mean p: 3/8 3/8 1/4; first choices 1 1 0; all choices 2 2 0.
 * Switch: 3 * (1/2 * 3/8 + 1/2 * 3/8) = 9/8. Choices: twice that. Weights are p: importance is
 * 3/4 3/4 0, mean 1/2, variance 1/8, CV^2 1/2. Load 2 2 0: mean 4/3, variance 8/9, CV^2 1/2.
 * logsumexp is ln 4 and ln 8; both tokens' entropy is 1.5 ln 2. */
static void two_tokens(void **state) {
    (void)state;
    moe_layer layer = layer_of("d=8 f=8 e=3 k=2 router=softmax>topk");
    const double ln2 = log(2.0), logits[6] = {ln2, 0, 0, ln2, 2 * ln2, ln2};
    const double weights[4] = {0.5, 0.25, 0.5, 0.25};
    const int ids[4] = {0, 1, 1, 0};
    double losses[MOE_LOSS_COUNT];
    assert_int_equal(moe_ref_losses(&layer, 2, logits, ids, weights, losses), MOE_OK);
    assert_close(losses[MOE_LOSS_SWITCH], 9. / 8);
    assert_close(losses[MOE_LOSS_CHOICES], 9. / 4);
    assert_close(losses[MOE_LOSS_IMPORTANCE], 0.125 / (0.25 + 1e-10));
    assert_close(losses[MOE_LOSS_LOAD], 8. / 9 / (16. / 9 + 1e-10));
    assert_close(losses[MOE_LOSS_Z], (4 + 9) * ln2 * ln2 / 2);
    assert_close(losses[MOE_LOSS_ENTROPY], 1.5 * ln2);
}

/* An even load has the least of each: 1, k, 0, 0, and the entropy ln e of equal logits. */
static void even_load(void **state) {
    (void)state;
    moe_layer layer = layer_of("d=8 f=8 e=4 k=2 router=softmax>topk");
    const double logits[8] = {0}, weights[4] = {0.25, 0.25, 0.25, 0.25};
    const int ids[4] = {0, 1, 2, 3};
    double losses[MOE_LOSS_COUNT];
    assert_int_equal(moe_ref_losses(&layer, 2, logits, ids, weights, losses), MOE_OK);
    assert_close(losses[MOE_LOSS_SWITCH], 1);
    assert_close(losses[MOE_LOSS_CHOICES], 2);
    assert_close(losses[MOE_LOSS_IMPORTANCE], 0);
    assert_close(losses[MOE_LOSS_LOAD], 0);
    assert_close(losses[MOE_LOSS_ENTROPY], log(4.0));
}

static void no_tokens(void **state) {
    (void)state;
    moe_layer layer = layer_of("d=8 f=8 e=2 k=1");
    double losses[MOE_LOSS_COUNT] = {1, 1, 1, 1, 1, 1};
    assert_int_equal(moe_ref_losses(&layer, 0, NULL, NULL, NULL, losses), MOE_OK);
    for (int i = 0; i < MOE_LOSS_COUNT; i++) assert_true(losses[i] == 0);
}

/* 3 tokens of 2 choices over 3 experts: 2 each is even. */
static void biases_move_towards_even_loads(void **state) {
    (void)state;
    moe_layer layer = layer_of("d=8 f=8 e=3 k=2 router=sigmoid+bias>topk");
    const int counts[3] = {3, 2, 1};
    float bias[3] = {0.5f, 0.5f, -1};
    moe_ref_next_bias(&layer, 3, counts, 0.25f, bias, bias);
    assert_true(bias[0] == 0.25f && bias[1] == 0.5f && bias[2] == -0.75f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_tokens),
        cmocka_unit_test(even_load),
        cmocka_unit_test(no_tokens),
        cmocka_unit_test(biases_move_towards_even_loads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
