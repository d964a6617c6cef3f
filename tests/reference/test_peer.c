/* label: unit */
/* test_peer.c - product keys: a case worked by hand, the search by halves against all sums, the
 * products of queries and keys, and the judge. */
#include "check.h"
#include "peer.h"
#include "random.h"
#include "workload.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static moe_layer layer_of(const char *text) {
    moe_layer layer;
    if (moe_layer_parse(text, &layer)) fail_msg("%s", moe_error_text());
    return layer;
}

/* One head of 8 and 8 keys, of which it keeps 3. Powers of the first half are 4 for key 1, 2 for
 * key 5 and 1 for the others; of the second half 3 for key 3 and 1 for the others. The largest
 * products are 4*3 of expert 1*8+3, 2*3 of 5*8+3, and 4*1 of many, of which 1*8+0 is the lowest. */
static const int experts[3] = {11, 43, 8};
static const double shares[3] = {12.0 / 22, 6.0 / 22, 4.0 / 22};

static void make_hand_logits(double *logits) {
    memset(logits, 0, 16 * sizeof *logits);
    logits[1] = log(4.0), logits[5] = log(2.0), logits[8 + 3] = log(3.0);
}

static void by_hand(void **state) {
    const moe_layer layer = layer_of("d=8 f=1 e=64 k=3 act=relu x=f32 router=peer(1,8,128)");
    double logits[16], weights[3];
    int ids[3];
    (void)state;
    make_hand_logits(logits);
    assert_int_equal(moe_ref_rule(&layer, 1, logits, NULL, ids, weights), MOE_OK);
    assert_memory_equal(ids, experts, sizeof ids);
    for (int j = 0; j < 3; j++) assert_true(fabs(weights[j] - shares[j]) < 1e-15);
}

/* x = (1,2,0,...). Products with the chosen rows of up are 2, -1 and 1, so relu leaves 2, 0 and 1;
 * rows of down are 1, 10 and 100 in all columns. */
static double y_by_hand(const char *act) {
    static float up[64 * 8], down[64 * 8];
    static const double products[3] = {2, -1, 1};
    const float x[8] = {1, 2};
    char text[96];
    double y[8];
    snprintf(text, sizeof text, "d=8 f=1 e=64 k=3 act=%s x=f32 router=peer(1,8,128)", act);
    const moe_layer layer = layer_of(text);
    const moe_host_layer in = {.x = x, .up = up, .down = down};
    for (int j = 0; j < 3; j++) {
        up[experts[j] * 8 + 1] = (float)products[j] / 2;
        for (int c = 0; c < 8; c++) down[experts[j] * 8 + c] = powf(10, (float)j);
    }
    assert_int_equal(moe_ref_layer(&layer, 1, &in, experts, shares, NULL, NULL, 1, y), MOE_OK);
    for (int c = 1; c < 8; c++) assert_true(y[c] == y[0]);
    return y[0];
}

static void neurons_by_hand(void **state) {
    (void)state;
    assert_true(fabs(y_by_hand("relu") - (12 * 2 + 4 * 1 * 100) / 22.0) < 1e-12);
    assert_true(fabs(y_by_hand("none") - (12 + 6 * 10 + 4 * 100) / 22.0) < 1e-12);
}

/* The best of all sums, one after the other: of equal ones the lower expert. */
static void choose_of_all(const moe_layer *layer, const double *sides, int *ids) {
    for (int64_t j = 0; j < moe_layer_picks(layer); j++) {
        ids[j] = -1;
        for (int i = 0; i < (int)layer->e; i++) {
            bool taken = false;
            for (int64_t before = 0; before < j; before++) taken |= ids[before] == i;
            if (!taken && (ids[j] < 0 || moe_peer_logit(layer, sides, i) >
                                             moe_peer_logit(layer, sides, ids[j])))
                ids[j] = i;
        }
    }
}

/* Whole numbers, so that sums are exact and equal ones many. */
static void halves_find_the_best_of_all(void **state) {
    const moe_layer layer = layer_of("d=8 f=1 e=576 k=36 act=relu router=peer(3,24,128)");
    double logits[3 * 2 * 24];
    int got[36], want[12];
    (void)state;
    for (int range = 2; range < 2000; range = range * 3 / 2 + 1) {
        const moe_random random = moe_random_stream((uint64_t)range, 7);
        for (int i = 0; i < 3 * 2 * 24; i++)
            logits[i] =
                (double)(moe_random_bits(random, (uint64_t)i) % (unsigned)range) - range / 2;
        moe_peer_choose(&layer, logits, got);
        for (int head = 0; head < 3; head++) {
            choose_of_all(&layer, logits + head * 48, want);
            assert_memory_equal(got + head * 12, want, sizeof want);
        }
    }
}

/* logit[head][half][key] = sum of (x . row of the query's element + its bias) * the key's
 * element. */
static void products_of_queries(void **state) {
    enum { T = 2, D = 16, HEADS = 2, KEYS = 8, WIDTH = 128, HALF = WIDTH / 2 };
    const moe_layer layer =
        layer_of("d=16 f=1 e=64 k=4 act=relu x=f32 router=peer(2,8,128) bias=router");
    moe_workload w;
    double logits[T * HEADS * 2 * KEYS];
    (void)state;
    assert_int_equal(moe_workload_init(&w, &layer, T, MOE_ROUTING_UNIFORM, 3,
                                       MOE_MAKE_X | MOE_MAKE_ROUTER),
                     MOE_OK);
    const moe_host_layer in = moe_workload_host(&w);
    const float *x = w.x, *weight = w.router_weight, *keys = w.router_keys;
    assert_int_equal(moe_ref_logits(&layer, T, &in, logits), MOE_OK);
    for (int i = 0; i < T * HEADS * 2 * KEYS; i++) {
        const int t = i / (HEADS * 2 * KEYS), side = i / KEYS % (HEADS * 2);
        double want = 0;
        for (int c = 0; c < HALF; c++) {
            double query = (double)w.router_bias[side * HALF + c];
            for (int d = 0; d < D; d++)
                query += (double)x[t * D + d] * (double)weight[(side * HALF + c) * D + d];
            want += query * (double)keys[i % (HEADS * 2 * KEYS) * HALF + c];
        }
        assert_true(fabs(logits[i] - want) < 1e-12);
    }
    moe_workload_free(&w);
}

/* Logits as they are, but for those below 0. */
static void positive_parts(void **state) {
    const moe_layer layer = layer_of("d=8 f=1 e=64 k=3 act=relu x=f32 router=peer(1,8,128)>relu");
    double logits[16], weights[3];
    int ids[3];
    (void)state;
    make_hand_logits(logits);
    for (int i = 0; i < 8; i++) logits[i] -= log(5.0);
    assert_int_equal(moe_ref_rule(&layer, 1, logits, NULL, ids, weights), MOE_OK);
    assert_memory_equal(ids, experts, sizeof ids);
    assert_true(fabs(weights[0] - log(12.0 / 5)) < 1e-15 &&
                fabs(weights[1] - log(6.0 / 5)) < 1e-15);
    assert_true(weights[2] == 0); /* of log(4/5) */
}

static moe_verdict judge(const int *ids, const float *weights) {
    const moe_layer layer = layer_of("d=8 f=1 e=64 k=3 act=relu x=f32 router=peer(1,8,128)");
    double logits[16];
    int counts[64] = {0};
    moe_verdict verdict;
    make_hand_logits(logits);
    for (int j = 0; j < 3; j++)
        if (ids[j] < 64) counts[ids[j]]++;
    const moe_route_result got = {.ids = ids, .weights = weights, .counts = counts};
    assert_int_equal(moe_check_route(&layer, 1, logits, NULL, 0, 1e-5, &got, &verdict), MOE_OK);
    return verdict;
}

static void judged(void **state) {
    static const int alike[3] = {11, 43, 15}, worse[3] = {11, 43, 40}, twice[3] = {11, 43, 11};
    static const int turned[3] = {43, 11, 8}, none[3] = {11, 43, 64};
    float weights[3];
    (void)state;
    for (int j = 0; j < 3; j++) weights[j] = (float)shares[j];
    assert_true(judge(experts, weights).ok);
    assert_true(judge(alike, weights).ok); /* as good, to fp32's accuracy */
    assert_non_null(strstr(judge(worse, weights).text, "ids[0,2] is 40 with logit 0.69"));
    assert_non_null(strstr(judge(twice, weights).text, "ids[0,2] is 11, as ids[0,0] is already"));
    assert_non_null(strstr(judge(turned, weights).text, "ids[0,1] is 11 with logit 2.48"));
    assert_non_null(strstr(judge(none, weights).text, "ids[0,2] is 64, not in 0..63"));
    weights[1] = 0.25F;
    assert_non_null(strstr(judge(experts, weights).text, "weights[0,1]"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(by_hand),
        cmocka_unit_test(neurons_by_hand),
        cmocka_unit_test(positive_parts),
        cmocka_unit_test(halves_find_the_best_of_all),
        cmocka_unit_test(products_of_queries),
        cmocka_unit_test(judged),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
