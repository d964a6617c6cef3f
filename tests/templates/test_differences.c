/* label: sim */
/* test_differences.c - where implementations of the same router differ: what this one does, by the
 * reference and by the kernel alike. Each test is named after what it decides. */
#include "reference.h"
#include "route_case.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

/* One token whose logits are `rest` but for the first few. */
typedef struct question {
    const char *layer;
    float rest;
    int given; /* logits in `logits` */
    float logits[8];
    float bias[8];
    uint64_t seed; /* 0: nothing is drawn */
    int ids[4]; /* the choices that are told */
    float weights[4];
    int told;
} question;

static float *logits_of(const question *q, const moe_layer *layer) {
    float *logits = route_room((size_t)layer->e, sizeof *logits);
    for (int64_t e = 0; e < layer->e; e++) logits[e] = e < q->given ? q->logits[e] : q->rest;
    return logits;
}

static void compare(const question *q, const char *who, const int *ids, const double *weights) {
    for (int j = 0; j < q->told; j++) {
        double want = (double)q->weights[j];
        if (ids[j] != q->ids[j] || !(fabs(weights[j] - want) <= 1e-6 * fabs(want) + 1e-30))
            fail_msg("%s of '%s': choice %d is %d of weight %.9g, should be %d of %.9g", who,
                     q->layer, j, ids[j], weights[j], q->ids[j], want);
    }
}

static void ask_reference(const question *q, const moe_layer *layer, const float *logits,
                          const float *bias) {
    double *exact = route_room((size_t)layer->e, sizeof *exact), weights[32];
    int ids[32];
    for (int64_t e = 0; e < layer->e; e++) exact[e] = (double)logits[e];
    const moe_host_layer draws = {.seed = q->seed ? &q->seed : NULL};
    moe_ref_route(layer, 1, exact, bias, ids, weights, NULL, NULL);
    moe_ref_second(layer, 1, exact, &draws, ids, weights);
    compare(q, "reference", ids, weights);
    free(exact);
}

static void ask_kernel(const question *q, const moe_layer *layer, fixture *f,
                       fixture_kernel *kernel, const float *logits, const float *bias) {
    route_case r;
    double weights[32];
    route_case_make(&r, kernel, layer, 1);
    r.logits = logits;
    if (layer->router.key_bias) r.router_bias = bias;
    if (q->seed) r.seed = &q->seed;
    route_case_run(f, &r);
    for (int64_t j = 0; j < layer->k; j++) weights[j] = (double)r.weights[j];
    compare(q, "kernel", r.ids, weights);
    route_case_free(&r);
}

static void ask(const question *questions, int count) {
    fixture f;
    fixture_open(&f, "sim:h100");
    for (int i = 0; i < count; i++) {
        moe_layer layer;
        fixture_kernel kernel;
        const question *q = &questions[i];
        route_build(&f, q->layer, 1, "", &layer, &kernel);
        float *logits = logits_of(q, &layer);
        float *bias = route_room((size_t)layer.e, sizeof *bias);
        for (int64_t e = 0; e < layer.e && e < 8; e++) bias[e] = q->bias[e];
        ask_reference(q, &layer, logits, bias);
        ask_kernel(q, &layer, &f, &kernel, logits, bias);
        free(logits);
        free(bias);
        fixture_kernel_free(&f, &kernel);
    }
    fixture_close(&f);
}

#define ASK(...)                                                                                   \
    do {                                                                                           \
        const question questions[] = {__VA_ARGS__};                                                \
        ask(questions, sizeof questions / sizeof *questions);                                      \
    } while (0)

/* 1. HF's DeepSeek fills keys outside of the kept groups with 0, which a negative key loses to;
 * vLLM with -inf. The scores are 1/2 each, the keys {1/2 1/2} {3/2 -1}. */
static void outside_of_groups_is_minus_infinity_unless_zero_is_asked(void **state) {
    (void)state;
#define REST .given = 4, .bias = {-0.5f, -0.5f, 1, -1}, .told = 2
    ASK({"d=8 f=8 e=4 k=2 router=sigmoid+bias>groups(2,1,sum2)>topk", REST, .ids = {2, 3},
         .weights = {0.5f, 0.5f}},
        {"d=8 f=8 e=4 k=2 router=sigmoid+bias>groups(2,1,sum2,zero)>topk", REST, .ids = {2, 0},
         .weights = {0.5f, 0.5f}});
#undef REST
}

/* 2. Behind a logit of 200 all others' softmax is 0 in fp32, and ties would take the lowest id. */
static void flat_tails_are_selected_by_logits(void **state) {
    (void)state;
    ASK({"d=8 f=8 e=40 k=3 router=softmax>topk>renorm", .rest = -1, .given = 6,
         .logits = {200, 1, 0, 2, 3, 1}, .ids = {0, 4, 3}, .weights = {1, 0, 0}, .told = 3},
        {"d=8 f=8 e=40 k=2 router=sigmoid>topk", .rest = 30, .given = 3,
         .logits = {31, 33, 32}, .ids = {1, 2}, .weights = {1, 1}, .told = 2});
}

/* 3. 1 and 1 + 2^-10 are the same bf16. */
static void near_ties_of_bf16_keep_their_order(void **state) {
    (void)state;
    ASK({"d=8 f=8 e=8 k=2 router=topk>sigmoid", .rest = 0, .given = 3,
         .logits = {1, 1, 1 + 0x1p-10f}, .ids = {2, 0}, .weights = {0.731250704f, 0.731058579f},
         .told = 2});
}

/* 4. torch.topk leaves the order of ties open. */
static void ties_go_to_the_lower_id(void **state) {
    (void)state;
    ASK({"d=8 f=8 e=257 k=4 router=softmax>topk>renorm", .rest = 0.5f, .ids = {0, 1, 2, 3},
         .weights = {0.25f, 0.25f, 0.25f, 0.25f}, .told = 4},
        {"d=8 f=8 e=64 k=4 router=topk>sigmoid", .rest = 0, .given = 3, .logits = {-1, 0, -1},
         .ids = {1, 3, 4, 5}, .weights = {0.5f, 0.5f, 0.5f, 0.5f}, .told = 4},
        {"d=8 f=8 e=64 k=2 router=sigmoid+bias>groups(8,2,sum2)>topk", .rest = 0, .ids = {0, 1},
         .weights = {0.5f, 0.5f}, .told = 2});
}

/* 5. Padding of 0 would beat logits that are all negative: of 5 experts in 32 lanes. */
static void padding_never_beats_negative_logits(void **state) {
    (void)state;
    ASK({"d=8 f=8 e=5 k=2 router=softmax>topk>renorm", .rest = -50, .given = 5,
         .logits = {-52, -51, -53, -50, -54}, .ids = {3, 1},
         .weights = {0.731058579f, 0.268941421f}, .told = 2},
        {"d=8 f=8 e=5 k=2 router=sigmoid+bias>topk", .rest = 0, .given = 5,
         .bias = {-5, -4, -3, -7, -6}, .ids = {2, 1}, .weights = {0.5f, 0.5f}, .told = 2});
}

/* 6. Kernels with a thread an expert lose those from 256 on. Here the last experts are the best. */
static void no_number_of_experts_or_choices_is_too_large(void **state) {
    (void)state;
    static const int sizes[][2] = {{257, 1}, {288, 2},  {384, 6},   {512, 10},
                                   {576, 8}, {896, 16}, {1024, 22}, {2048, 32}};
    fixture f;
    fixture_open(&f, "sim:h100");
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        int e = sizes[i][0], k = sizes[i][1];
        char text[128];
        moe_layer layer;
        fixture_kernel kernel;
        route_case r;
        snprintf(text, sizeof text, "d=8 f=8 e=%d k=%d router=topk>softmax", e, k);
        route_build(&f, text, 1, "", &layer, &kernel);
        float *logits = route_room((size_t)e, sizeof *logits);
        for (int n = 0; n < e; n++) logits[n] = (float)n / 64;
        route_case_make(&r, &kernel, &layer, 1);
        r.logits = logits;
        route_case_run(&f, &r);
        for (int j = 0; j < k; j++) assert_int_equal(r.ids[j], e - 1 - j);
        route_case_free(&r);
        free(logits);
        fixture_kernel_free(&f, &kernel);
    }
    fixture_close(&f);
}

/* 7. SonicMoE keeps the id in a value's lowest bits: neighbours in fp32 tie, and weights lose
 * them. */
static void the_last_bit_of_a_logit_counts(void **state) {
    (void)state;
    ASK({"d=8 f=8 e=256 k=3 router=topk", .rest = 0, .given = 4,
         .logits = {1, 1 + 0x1p-23f, 1 - 0x1p-24f, 1 + 0x1p-22f}, .ids = {3, 1, 0},
         .weights = {1 + 0x1p-22f, 1 + 0x1p-23f, 1}, .told = 3});
}

/* 8. TRT-LLM packs a value above 65535 - id: the order is that of values, then of ids, at any
 * number of experts and for either sign. */
static void order_is_by_value_then_by_lower_id(void **state) {
    (void)state;
    ASK({"d=8 f=8 e=2048 k=4 router=topk", .rest = -2, .given = 5,
         .logits = {-2 - 0x1p-21f, -2, -0.0f, -2, 0}, .ids = {2, 4, 1, 3},
         .weights = {0, 0, -2, -2}, .told = 4});
}

/* 12. Weights are the scores without the bias, divided by their sum + 1e-20, then scaled: scores
 * 1/2 and 3/4 of keys 3/2 and 3/4; scores that are all 0 make weights of 0. */
static void deepseek_v3_weights_are_scores_without_bias_scaled_last(void **state) {
    (void)state;
#define V3 "d=8 f=8 e=8 k=2 router=sigmoid+bias>groups(4,2,sum2)>topk>renorm>scale(2.5)"
    ASK({V3, .rest = -9, .given = 2, .logits = {0, 1.0986123f}, .bias = {1}, .ids = {0, 1},
         .weights = {1, 1.5f}, .told = 2},
        {V3, .rest = -1000, .ids = {0, 1}, .weights = {0, 0}, .told = 2});
#undef V3
}

/* 13. Powers 9:1:1:1, so that p2 = 1/12 and w2 = 1/10: the law of Mesh TensorFlow is 1/2, that of
 * NLLB 1/6, that of the paper 1/5. Seeds 3, 7 and 2 draw .419, .183 and .094. */
static void second_experts_stay_by_three_laws(void **state) {
    (void)state;
#define LAW(name) "d=8 f=8 e=4 k=2 router=softmax>topk>renorm(1e-9)>second(" name ")"
#define REST .given = 1, .logits = {2.19722458f}, .told = 2
#define STAYS .ids = {0, 1}, .weights = {0.9f, 0.1f}
#define GOES .ids = {0, -1}, .weights = {0.9f, 0}
    ASK({LAW("mesh"), REST, .seed = 3, STAYS}, {LAW("mesh"), REST, .seed = 1, GOES},
        {LAW("paper"), REST, .seed = 3, GOES}, {LAW("paper"), REST, .seed = 7, STAYS},
        {LAW("nllb"), REST, .seed = 7, GOES}, {LAW("nllb"), REST, .seed = 2, STAYS},
        {LAW("nllb"), REST, .seed = 0, STAYS});
#undef LAW
#undef REST
#undef STAYS
#undef GOES
}

/* y [8] of one token whose rows hold `rows` everywhere and weigh 1. */
static void combine(const char *dtype, const double rows[4], double y[8]) {
    fixture f;
    fixture_kernel kernel;
    moe_layer layer;
    moe_arg_values args = {0};
    float weights[4] = {1, 1, 1, 1}, in[32], out[8];
    int slot_rows[4] = {0, 1, 2, 3};
    char text[64];
    snprintf(text, sizeof text, "d=8 f=8 e=4 k=4 x=%s", dtype);
    CHECK(moe_layer_parse(text, &layer));
    const size_t size = moe_dtype_size(layer.x);
    const moe_op op = moe_op_make(MOE_OP_combine, &layer, 1, MOE_ROUTING_UNIFORM, MOE_CACHE_COLD);
    for (int i = 0; i < 32; i++) moe_store(layer.x, in, i, rows[i / 8]);
    fixture_open(&f, "sim:a100");
    fixture_build(&f, "combine", &op, "", &kernel);
    args.value[MOE_ARG_y_rows] = fixture_put(&f, in, 32 * size);
    args.value[MOE_ARG_weights] = fixture_put(&f, weights, sizeof weights);
    args.value[MOE_ARG_slot_rows] = fixture_put(&f, slot_rows, sizeof slot_rows);
    args.value[MOE_ARG_y] = fixture_room(&f, 8 * size);
    fixture_run(&f, &kernel, &args);
    fixture_get(&f, args.value[MOE_ARG_y], out, 8 * size);
    for (int i = 0; i < 8; i++) y[i] = moe_load(layer.x, out, i);
    fixture_forget(&f);
    fixture_kernel_free(&f, &kernel);
    fixture_close(&f);
}

/* 20. HF adds rows up in bf16, where 256 + 1 is 256 each time; in fp32 it is 259, which is then
 * rounded to 260. The order is that of slots: 2^25 swallows the ones behind it. */
static void rows_are_summed_in_fp32_and_in_slot_order(void **state) {
    (void)state;
    double y[8];
    combine("bf16", (const double[]){256, 1, 1, 1}, y);
    for (int i = 0; i < 8; i++) assert_true(y[i] == 260);
    combine("f32", (const double[]){0x1p25, 1, 1, -0x1p25}, y);
    for (int i = 0; i < 8; i++) assert_true(y[i] == 0);
    combine("f32", (const double[]){0x1p25, -0x1p25, 1, 1}, y);
    for (int i = 0; i < 8; i++) assert_true(y[i] == 2);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(outside_of_groups_is_minus_infinity_unless_zero_is_asked),
        cmocka_unit_test(flat_tails_are_selected_by_logits),
        cmocka_unit_test(near_ties_of_bf16_keep_their_order),
        cmocka_unit_test(ties_go_to_the_lower_id),
        cmocka_unit_test(padding_never_beats_negative_logits),
        cmocka_unit_test(no_number_of_experts_or_choices_is_too_large),
        cmocka_unit_test(the_last_bit_of_a_logit_counts),
        cmocka_unit_test(order_is_by_value_then_by_lower_id),
        cmocka_unit_test(deepseek_v3_weights_are_scores_without_bias_scaled_last),
        cmocka_unit_test(second_experts_stay_by_three_laws),
        cmocka_unit_test(rows_are_summed_in_fp32_and_in_slot_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
