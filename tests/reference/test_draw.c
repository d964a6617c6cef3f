/* label: unit */
/* test_draw.c - what a router draws, and what it picks by a table: the generator by its authors'
 * answers, the rest by numbers that were worked out on paper from what seed 7 draws. */
#include "check.h"
#include "draw.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static const uint64_t seed = 7;

static moe_layer layer_of(const char *text) {
    moe_layer layer;
    if (moe_layer_parse(text, &layer)) fail_msg("%s: %s", text, moe_error_text());
    return layer;
}

/* kat_vectors of Random123. */
static void philox_gives_its_authors_answers(void **state) {
    static const struct {
        uint32_t counter[4];
        uint64_t key;
        uint32_t words[4];
    } answers[] = {
        {{0, 0, 0, 0}, 0, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
        {{~0u, ~0u, ~0u, ~0u}, UINT64_MAX, {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
        {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, UINT64_C(0x299f31d0a4093822),
         {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
    };
    (void)state;
    for (size_t i = 0; i < sizeof answers / sizeof *answers; i++) {
        uint32_t words[4];
        moe_philox(answers[i].counter, answers[i].key, words);
        assert_memory_equal(words, answers[i].words, sizeof words);
    }
}

static void numbers_have_their_distributions(void **state) {
    enum { N = 100000 };
    double sum = 0, squares = 0, uniforms = 0, largest = 0;
    (void)state;
    for (uint32_t i = 0; i < N; i++) {
        uint32_t words[4];
        moe_draw_words(seed, i, 3, MOE_DRAW_NOISE, words);
        double n = moe_draw_normal(words), u = (double)moe_draw_uniform(words[2]);
        sum += n, squares += n * n, uniforms += u;
        largest = fmax(largest, fabs(n));
        assert_true(u >= 0 && u < 1);
    }
    assert_true(fabs(sum / N) < 0.015 && fabs(squares / N - 1) < 0.02);
    assert_true(fabs(uniforms / N - 0.5) < 0.005 && largest > 4 && largest < 5.8);
}

/* 0.9 + 0.2 u for u = 0.942 0.851 0.396 0.226, then rounded to bf16, whose steps are 2^-7 above 1
 * and 2^-8 below: 1.08839 1.07019 0.97916 0.94529. */
static void jitter_is_rounded_to_the_dtype_of_x(void **state) {
    static const double want[4] = {139. / 128, 137. / 128, 251. / 256, 242. / 256};
    const moe_layer layer = layer_of("d=8 f=8 e=4 k=2 router=jitter(0.1)>topk>softmax");
    uint16_t x[16];
    float row[8];
    (void)state;
    for (int i = 0; i < 16; i++) moe_store(MOE_BF16, x, i, 1);
    moe_host_layer in = {.x = x, .seed = &seed};
    moe_ref_router_x(&layer, &in, 0, row);
    for (int i = 0; i < 4; i++) assert_true((double)row[i] == want[i]);
    in.seed = NULL;
    moe_ref_router_x(&layer, &in, 0, row);
    for (int i = 0; i < 8; i++) assert_true(row[i] == 1);
}

/* A call's token 1 draws the same when it is looked at alone. */
static void draws_follow_the_number_of_a_token(void **state) {
    static const int64_t numbers[1] = {1};
    const moe_layer layer = layer_of("d=8 f=8 e=4 k=2 x=f32 router=jitter(0.1)>topk>softmax");
    const float x[16] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1};
    float both[8], alone[8];
    (void)state;
    moe_ref_router_x(&layer, &(moe_host_layer){.x = x, .seed = &seed}, 1, both);
    moe_ref_router_x(&layer, &(moe_host_layer){.x = x, .seed = &seed, .numbers = numbers}, 0,
                     alone);
    assert_memory_equal(both, alone, sizeof both);
    assert_true(fabs((double)both[0] - (0.9 + 0.2 * 0.9298858642578125)) < 1e-6);
}

/* x is (1,0,...): clean logits are 1 2 3 4, the second product 0 ln(e-1) 0 0, whose softplus is ln
 * 2 and 1. Normal numbers are 0.560 -3.257 0.770 0.096. */
static void noise_is_as_large_as_the_second_product_says(void **state) {
    const moe_layer layer = layer_of("d=8 f=8 e=4 k=2 x=f32 router=noisy(0.5)>topk>softmax");
    const float x[8] = {1}, weight[32] = {[0] = 1, [8] = 2, [16] = 3, [24] = 4};
    const float noise[32] = {[8] = 0.5413248546129181f};
    const double size = log(2) + 0.5;
    const double want[4] = {1 + size * 0.5599220768351993, 2 - 1.5 * 3.257253934552596,
                            3 + size * 0.7697451053766975, 4 + size * 0.09644767096542574};
    moe_host_layer in = {.x = x, .router_weight = weight, .router_noise = noise, .seed = &seed};
    double logits[4];
    (void)state;
    assert_int_equal(moe_ref_logits(&layer, 1, &in, logits), MOE_OK);
    for (int e = 0; e < 4; e++) assert_true(fabs(logits[e] - want[e]) < 1e-6);
    in.seed = NULL;
    assert_int_equal(moe_ref_logits(&layer, 1, &in, logits), MOE_OK);
    for (int e = 0; e < 4; e++) assert_true(logits[e] == e + 1);
}

enum { TOKENS = 8 };

/* Eight tokens of powers 9:1:1:1, so that p2 = 1/12 and w2 = 1/10. */
static void fill_logits(double *logits) {
    for (int i = 0; i < TOKENS * 4; i++) logits[i] = i % 4 ? 0 : log(9);
}

/* u = .183 .237 .554 .156 .570 .170 .903 .052. Mesh TensorFlow's law is 1/2, NLLB's 1/6, the
 * paper's 1/5. The first expert keeps 9/10 whatever becomes of the second. */
static void three_laws_keep_three_sets_of_second_experts(void **state) {
    static const struct {
        const char *router;
        int stays[TOKENS];
    } laws[] = {{"second(mesh)", {1, 1, 0, 1, 0, 1, 0, 1}},
                {"second(nllb)", {0, 0, 0, 1, 0, 0, 0, 1}},
                {"second(paper)", {1, 0, 0, 1, 0, 1, 0, 1}}};
    double logits[TOKENS * 4], weights[TOKENS * 2];
    const moe_host_layer draws = {.seed = &seed}, quiet = {0};
    int ids[TOKENS * 2];
    (void)state;
    fill_logits(logits);
    for (size_t l = 0; l < sizeof laws / sizeof *laws; l++) {
        char text[96];
        snprintf(text, sizeof text, "d=8 f=8 e=4 k=2 router=softmax>topk>renorm>%s",
                 laws[l].router);
        const moe_layer layer = layer_of(text);
        moe_ref_route(&layer, TOKENS, logits, NULL, ids, weights, NULL, NULL);
        moe_ref_second(&layer, TOKENS, logits, &quiet, ids, weights);
        for (int t = 0; t < TOKENS; t++) assert_int_equal(ids[2 * t + 1], 1);
        moe_ref_second(&layer, TOKENS, logits, &draws, ids, weights);
        for (int t = 0; t < TOKENS; t++) {
            assert_int_equal(ids[2 * t + 1], laws[l].stays[t] ? 1 : -1);
            assert_true(fabs(weights[2 * t] - 0.9) < 1e-12);
            assert_true(fabs(weights[2 * t + 1] - (laws[l].stays[t] ? 0.1 : 0)) < 1e-12);
        }
        moe_ref_weights(&layer, TOKENS, logits, ids, weights); /* the same, from the ids alone */
        assert_true(fabs(weights[4] - 0.9) < 1e-12 && weights[5] == 0);
    }
}

static moe_verdict judge(const moe_layer *layer, const moe_host_layer *in, const int *ids) {
    double logits[TOKENS * 4], exact[TOKENS * 2];
    float weights[TOKENS * 2];
    moe_verdict verdict;
    fill_logits(logits);
    moe_ref_weights(layer, TOKENS, logits, ids, exact);
    for (int s = 0; s < TOKENS * 2; s++) weights[s] = (float)exact[s];
    const moe_route_result got = {.ids = ids, .weights = weights};
    assert_int_equal(moe_check_route(layer, TOKENS, logits, in, 0, 1e-5, &got, &verdict), MOE_OK);
    return verdict;
}

static void second_experts_are_judged(void **state) {
    const moe_layer layer = layer_of("d=8 f=8 e=4 k=2 router=softmax>topk>renorm>second(mesh)");
    const moe_host_layer draws = {.seed = &seed}, other = {.seed = &(uint64_t){8}};
    int ids[TOKENS * 2] = {0, 1, 0, 1, 0, -1, 0, 1, 0, -1, 0, 1, 0, -1, 0, 1};
    (void)state;
    moe_verdict good = judge(&layer, &draws, ids);
    if (!good.ok) fail_msg("%s", good.text);
    assert_false(judge(&layer, &other, ids).ok);
    assert_non_null(strstr(judge(&layer, NULL, ids).text, "ids[2,1] is -1"));
    ids[1] = -1;
    assert_non_null(strstr(judge(&layer, &draws, ids).text, "was drawn where less than 0.5 stays"));
}

/* Row 1 names one expert twice, row 2 has numbers that are no expert's, and there is no row 3.
 * Powers are 9:1:1:1, so that scores are 9/12 and 1/12; what is left out has no share in the
 * sum. */
static void a_table_picks_by_token_id(void **state) {
    static const int table[9] = {0, 1, 2, 3, 3, 0, -1, 4, 1}, tokens[5] = {0, 1, 2, 3, -1};
    static const int want[15] = {0, 1, 2, 3, 3, 0, -1, -1, 1, -1, -1, -1, -1, -1, -1};
    static const double weights[9] = {9. / 11, 1. / 11, 1. / 11, 1. / 11, 1. / 11,
                                      9. / 11, 0,       0,       1};
    const moe_layer layer = layer_of("d=8 f=8 e=4 k=3 router=softmax>hash>renorm");
    const moe_host_layer in = {.token_ids = tokens, .expert_table = table, .vocab = 3};
    double logits[TOKENS * 4], got[15];
    float rounded[15];
    int ids[15];
    moe_verdict verdict;
    (void)state;
    fill_logits(logits);
    moe_ref_hash(&layer, 5, &in, ids);
    assert_memory_equal(ids, want, sizeof ids);
    moe_ref_weights(&layer, 5, logits, ids, got);
    for (int s = 0; s < 15; s++) {
        assert_true(fabs(got[s] - (s < 9 ? weights[s] : 0)) < 1e-12);
        rounded[s] = (float)got[s];
    }
    const moe_route_result result = {.ids = ids, .weights = rounded};
    assert_int_equal(moe_check_route(&layer, 5, logits, &in, 0, 1e-5, &result, &verdict), MOE_OK);
    assert_true(verdict.ok);
    ids[4] = 2;
    assert_int_equal(moe_check_route(&layer, 5, logits, &in, 0, 1e-5, &result, &verdict), MOE_OK);
    assert_non_null(strstr(verdict.text, "ids[1,1] is 2, and the table has 3 for token id 1"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(philox_gives_its_authors_answers),
        cmocka_unit_test(numbers_have_their_distributions),
        cmocka_unit_test(jitter_is_rounded_to_the_dtype_of_x),
        cmocka_unit_test(draws_follow_the_number_of_a_token),
        cmocka_unit_test(noise_is_as_large_as_the_second_product_says),
        cmocka_unit_test(three_laws_keep_three_sets_of_second_experts),
        cmocka_unit_test(second_experts_are_judged),
        cmocka_unit_test(a_table_picks_by_token_id),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
