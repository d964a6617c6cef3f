/* label: unit */
/* test_router.c - selection, weights, statistics and capacity against examples worked by hand. */
#include "reference.h"

#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static moe_layer layer_of(const char *text) {
    moe_layer layer;
    assert_int_equal(moe_layer_parse(text, &layer), MOE_OK);
    return layer;
}

static void assert_close(double got, double want, double tolerance) {
    if (!(fabs(got - want) <= tolerance)) fail_msg("%.17g should be %.17g", got, want);
}

#define LN(x) log(x)

/* exp of the logits: 1 2 4 1 8 = 16, so p = 1/16 2/16 4/16 1/16 8/16 */
static void weights_of_every_rule(void **state) {
    (void)state;
    const double logits[5] = {0, LN(2.0), LN(4.0), 0, LN(8.0)};
    static const struct {
        const char *router;
        double weights[3];
    } rules[] = {
        {"softmax>topk", {8. / 16, 4. / 16, 2. / 16}},
        {"softmax>topk>renorm", {8. / 14, 4. / 14, 2. / 14}},
        {"topk>softmax", {8. / 14, 4. / 14, 2. / 14}},
    };
    for (int r = 0; r < 3; r++) {
        char text[128];
        snprintf(text, sizeof text, "d=8 f=8 e=5 k=3 router=%s", rules[r].router);
        moe_layer layer = layer_of(text);
        int ids[3], counts[5];
        double weights[3], probs[5];
        moe_ref_route(&layer, 1, logits, NULL, ids, weights, counts, probs);
        const int want_ids[3] = {4, 2, 1}, want_counts[5] = {0, 1, 1, 0, 1};
        const double want_probs[5] = {1. / 16, 2. / 16, 4. / 16, 1. / 16, 8. / 16};
        assert_memory_equal(ids, want_ids, sizeof ids);
        assert_memory_equal(counts, want_counts, sizeof counts);
        for (int j = 0; j < 3; j++) assert_close(weights[j], rules[r].weights[j], 1e-15);
        for (int e = 0; e < 5; e++) assert_close(probs[e], want_probs[e], 1e-15);
    }
}

static void statistics_over_tokens(void **state) {
    (void)state;
    moe_layer layer = layer_of("d=8 f=8 e=2 k=1 router=softmax>topk");
    const double logits[6] = {0, LN(3.0), LN(3.0),
                              0, 0,       LN(3.0)}; /* p: 1/4 3/4, 3/4 1/4, 1/4 3/4 */
    int ids[3], counts[2];
    double weights[3], probs[2];
    moe_ref_route(&layer, 3, logits, NULL, ids, weights, counts, probs);
    assert_int_equal(counts[0], 1);
    assert_int_equal(counts[1], 2);
    assert_close(probs[0], (0.25 + 0.75 + 0.25) / 3, 1e-15);
    assert_close(probs[1], (0.75 + 0.25 + 0.75) / 3, 1e-15);
}

/* Equal logits go to the lower id; all-negative logits are no special case. */
static void ties_and_signs(void **state) {
    (void)state;
    moe_layer layer = layer_of("d=8 f=8 e=6 k=4");
    static const struct {
        double logits[6];
        int ids[4];
    } cases[] = {
        {{1, 1, 1, 1, 1, 1}, {0, 1, 2, 3}},
        {{0, 1, 0, 1, 0, 1}, {1, 3, 5, 0}},
        {{-5, -4, -3, -2, -1, -6}, {4, 3, 2, 1}},
        {{-1e30, -1e30, -2e30, -1e30, -3e30, -1e30}, {0, 1, 3, 5}},
        {{2, 3, 2, 3, 2, 4}, {5, 1, 3, 0}},
    };
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        int ids[4];
        double weights[4], sum = 0;
        moe_ref_route(&layer, 1, cases[c].logits, NULL, ids, weights, NULL, NULL);
        assert_memory_equal(ids, cases[c].ids, sizeof ids);
        for (int j = 0; j < 4; j++) sum += weights[j];
        assert_close(sum, 1, 1e-14);
    }
}

static void logits_that_are_no_numbers(void **state) {
    (void)state;
    static const double cases[][5] = {
        {NAN, 1, NAN, 2, NAN},
        {NAN, NAN, NAN, NAN, NAN},
        {-INFINITY, -INFINITY, -INFINITY, -INFINITY, -INFINITY},
        {INFINITY, 0, INFINITY, 0, NAN},
        {DBL_MAX, -DBL_MAX, 0, NAN, INFINITY},
    };
    static const int want[][3] = {{3, 1, 0}, {0, 1, 2}, {0, 1, 2}, {0, 2, 1}, {0, 4, 2}};
    static const char *const routers[] = {"softmax>topk>renorm", "softmax>topk", "topk>softmax",
                                          "sigmoid>topk>renorm", "topk>sigmoid",
                                          "topk>sparsemixer(0.01)"};
    for (size_t r = 0; r < sizeof routers / sizeof *routers; r++) {
        char text[128];
        snprintf(text, sizeof text, "d=8 f=8 e=5 k=3 router=%s", routers[r]);
        moe_layer layer = layer_of(text);
        for (int c = 0; c < 5; c++) {
            int ids[3];
            double weights[3], probs[5], total = 0;
            moe_ref_route(&layer, 1, cases[c], NULL, ids, weights, NULL, probs);
            assert_memory_equal(ids, want[c], sizeof ids);
            for (int j = 0; j < 3; j++) assert_true(weights[j] >= 0 && weights[j] <= 1);
            for (int e = 0; e < 5; e++) total += probs[e];
            assert_close(total, 1, 1e-14);
        }
    }
}

static void large_logits_do_not_overflow(void **state) {
    (void)state;
    moe_layer layer = layer_of("d=8 f=8 e=3 k=2 router=softmax>topk");
    const double logits[3] = {5000, 5000 + LN(2.0), -5000};
    int ids[2];
    double weights[2];
    moe_ref_route(&layer, 1, logits, NULL, ids, weights, NULL, NULL);
    assert_close(weights[0], 2. / 3, 1e-12);
    assert_close(weights[1], 1. / 3, 1e-12);
}

static void weights_of_a_given_choice(void **state) {
    (void)state;
    const double logits[4] = {0, LN(2.0), LN(4.0), LN(9.0)};
    const int ids[2] = {0, 2}; /* not the best two */
    double weights[2];
    moe_layer layer = layer_of("d=8 f=8 e=4 k=2 router=topk>softmax");
    moe_ref_weights(&layer, 1, logits, ids, weights);
    assert_close(weights[0], 1. / 5, 1e-15);
    assert_close(weights[1], 4. / 5, 1e-15);
    layer = layer_of("d=8 f=8 e=4 k=2 router=softmax>topk");
    moe_ref_weights(&layer, 1, logits, ids, weights);
    assert_close(weights[0], 1. / 16, 1e-15);
    assert_close(weights[1], 4. / 16, 1e-15);
}

static void every_size_selects_the_k_best(void **state) {
    (void)state;
    static const int experts[] = {1, 2, 4, 40, 60, 257, 1024, 2048};
    static const int choices[] = {1, 2, 4, 6, 8, 10, 16, 22, 32};
    static double logits[2048];
    for (int a = 0; a < 8; a++) {
        for (int b = 0; b < 9 && choices[b] <= experts[a]; b++) {
            char text[128];
            snprintf(text, sizeof text, "d=8 f=8 e=%d k=%d", experts[a], choices[b]);
            moe_layer layer = layer_of(text);
            for (int e = 0; e < experts[a]; e++) logits[e] = (e * 7919 % 2053) % 97;
            int ids[32];
            double weights[32];
            moe_ref_route(&layer, 1, logits, NULL, ids, weights, NULL, NULL);
            for (int j = 0; j < choices[b]; j++) { /* rank of ids[j] is j, by counting */
                int before = 0;
                for (int e = 0; e < experts[a]; e++)
                    before +=
                        logits[e] > logits[ids[j]] || (logits[e] == logits[ids[j]] && e < ids[j]);
                assert_int_equal(before, j);
            }
        }
    }
}

/* C = ceil(4*2*0.75/3) = 2. First choices 0 0 0 1 fill expert 0; second choices 1 2 1 0 follow. */
static void capacity_fills_by_choice_then_token(void **state) {
    (void)state;
    moe_layer layer = layer_of("d=8 f=8 e=3 k=2 capacity=0.75");
    assert_int_equal(moe_layer_capacity(&layer, 4), 2);
    const int ids[8] = {0, 1, 0, 2, 0, 1, 1, 0};
    const unsigned char want[8] = {1, 1, 1, 1, 0, 0, 1, 0};
    unsigned char kept[8];
    moe_ref_capacity(&layer, 4, ids, NULL, kept);
    assert_memory_equal(kept, want, sizeof want);
}

/* The formulas at T = 10, k = 2, e = 4: T*k = 20, T/e = 2.5, ceil(T/e) = 3. */
static void capacity_formulas(void **state) {
    (void)state;
    static const struct {
        const char *capacity;
        int64_t rows;
    } cases[] = {
        {"1.25", 7},          /* ceil(20*1.25/4) = ceil(6.25) */
        {"1.4,switch", 4},    /* round(3.5), half to even */
        {"1.8,switch", 4},    /* round(4.5), half to even */
        {"0.1,switch,min(4)", 4},
        {"1.25,gshard", 3},   /* floor(3.125) */
        {"0.3,gshard", 0},    /* floor(0.75) */
        {"1.25,tutel", 6},    /* 2*floor(1.25*3) = 2*3 */
        {"2,nllb", 6},        /* 2*ceil(10/4) */
        {"0.25,tokens", 3},   /* ceil(2.5) */
        {"9", 20},            /* never more than T*k */
        {"none", 20},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[128];
        snprintf(text, sizeof text, "d=8 f=8 e=4 k=2 capacity=%s", cases[i].capacity);
        moe_layer layer = layer_of(text);
        if (moe_layer_capacity(&layer, 10) != cases[i].rows)
            fail_msg("capacity=%s keeps %lld rows, should be %lld", cases[i].capacity,
                     (long long)moe_layer_capacity(&layer, 10), (long long)cases[i].rows);
    }
}

/* C = ceil(4*2*0.75/3) = 2. First choices 0 0 0 1 with weights .6 .9 .6 .8: expert 0 keeps the
 * second and, of equal ones, the first. Second choices 1 2 1 0: expert 1 has one place left, which
 * goes to the larger weight of token 2. */
static void capacity_by_gate(void **state) {
    (void)state;
    moe_layer layer = layer_of("d=8 f=8 e=3 k=2 capacity=0.75 priority=gate");
    const int ids[8] = {0, 1, 0, 2, 0, 1, 1, 0};
    const float weights[8] = {.6f, .3f, .9f, .1f, .6f, .4f, .8f, .2f};
    const unsigned char want[8] = {1, 0, 1, 1, 0, 1, 1, 0};
    unsigned char kept[8];
    moe_ref_capacity(&layer, 4, ids, weights, kept);
    assert_memory_equal(kept, want, sizeof want);
}

static void drops_renormalise(void **state) {
    (void)state;
    moe_layer layer = layer_of("d=8 f=8 e=4 k=3 capacity=1 drop=renorm");
    double weights[3] = {0.5, 0, 0.125}, none[3] = {0};
    moe_ref_drop(&layer, 3, weights);
    assert_true(weights[0] == 0.8 && weights[1] == 0 && weights[2] == 0.2);
    moe_ref_drop(&layer, 3, none);
    assert_true(none[0] == 0 && none[1] == 0 && none[2] == 0);
    layer = layer_of("d=8 f=8 e=4 k=3 capacity=1");
    moe_ref_drop(&layer, 3, weights);
    assert_true(weights[0] == 0.8);
}

static void foreign_ids_take_no_room(void **state) {
    (void)state;
    moe_layer layer = layer_of("d=8 f=8 e=2 k=2 capacity=0.5"); /* C = ceil(3*2*0.5/2) = 2 */
    const int ids[6] = {-1, 0, 2, 0, 0, 0};                     /* one id twice in a token */
    const unsigned char want[6] = {0, 1, 0, 0, 1, 0};
    unsigned char kept[6];
    moe_ref_capacity(&layer, 3, ids, NULL, kept);
    assert_memory_equal(kept, want, sizeof want);
    layer.capacity.factor = 0;
    const unsigned char all[6] = {0, 1, 0, 1, 1, 1};
    moe_ref_capacity(&layer, 3, ids, NULL, kept);
    assert_memory_equal(kept, all, sizeof all);
}

/* x = (1, 2, 0..) and rows (1, 1, ..), (3, -1, ..): logits 3 and 1, plus bias. */
static void logits_by_hand(void **state) {
    (void)state;
    moe_layer layer = layer_of("d=8 f=8 e=2 k=1 bias=router");
    uint16_t x[8] = {0}, weight[16] = {0};
    const double entries[4] = {1, 1, 3, -1};
    moe_store(MOE_BF16, x, 0, 1);
    moe_store(MOE_BF16, x, 1, 2);
    for (int i = 0; i < 4; i++) moe_store(MOE_BF16, weight, i / 2 * 8 + i % 2, entries[i]);
    const float bias[2] = {0.5f, 4}, given[2] = {7, 9};
    moe_host_layer in = {.x = x, .router_weight = weight, .router_bias = bias};
    double logits[2];
    assert_int_equal(moe_ref_logits(&layer, 1, &in, logits), MOE_OK);
    assert_true(logits[0] == 3.5 && logits[1] == 5);
    in.logits = given; /* take the place of GEMM and bias */
    assert_int_equal(moe_ref_logits(&layer, 1, &in, logits), MOE_OK);
    assert_true(logits[0] == 7 && logits[1] == 9);
}

static void no_tokens(void **state) {
    (void)state;
    moe_layer layer = layer_of("d=8 f=8 e=2 k=1");
    int counts[2] = {5, 5};
    double probs[2] = {5, 5};
    moe_ref_route(&layer, 0, NULL, NULL, NULL, NULL, counts, probs);
    assert_true(counts[0] == 0 && counts[1] == 0 && probs[0] == 0 && probs[1] == 0);
    assert_int_equal(moe_ref_logits(&layer, 0, &(moe_host_layer){0}, NULL), MOE_OK);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(weights_of_every_rule),
        cmocka_unit_test(statistics_over_tokens),
        cmocka_unit_test(ties_and_signs),
        cmocka_unit_test(logits_that_are_no_numbers),
        cmocka_unit_test(large_logits_do_not_overflow),
        cmocka_unit_test(weights_of_a_given_choice),
        cmocka_unit_test(every_size_selects_the_k_best),
        cmocka_unit_test(capacity_fills_by_choice_then_token),
        cmocka_unit_test(capacity_formulas),
        cmocka_unit_test(capacity_by_gate),
        cmocka_unit_test(drops_renormalise),
        cmocka_unit_test(foreign_ids_take_no_room),
        cmocka_unit_test(logits_by_hand),
        cmocka_unit_test(no_tokens),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
