/* label: sim
 * test_layer_differences.c - where implementations of the same layer differ: what this one does, by
 * whole plans. Each test is named after what it decides; routers' own are in test_differences.c,
 * and the order of gate and up (19) in test_layer_layout.c. */
#include "core/capacity.h"
#include "layer_forms.h"
#include "random.h"
#include "reference.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum { TOKENS = 7 };

/* The kernels of `ours` are right for it and, being right, wrong for a layer that means `other`. */
static void assert_differs(const char *ours, const char *other) {
    assert_true(layer_forms_differ("sim:a100", ours, other, TOKENS));
}

#define SMALL "d=72 f=40 e=8 k=2 "

/* 9. Llama-4's weight is on the input, and a gate is not linear in it; relu without biases is. */
static void a_weight_on_the_input_is_not_one_on_the_output(void **state) {
    (void)state;
    assert_differs(SMALL "act=swiglu router=topk>sigmoid>input",
                   SMALL "act=swiglu router=topk>sigmoid");
    assert_true(layer_forms_agree("sim:a100", SMALL "act=relu router=topk>sigmoid>input",
                                  SMALL "act=relu router=topk>sigmoid", TOKENS));
}

#define GPT_OSS SMALL "router=topk>softmax bias=router,up,down "

/* 10. gpt-oss: (up + 1) * gate * sigmoid(1.702 gate), of columns in turn, which read as halves give
 * plausible garbage. */
static void gpt_oss_columns_stand_in_turn_and_are_clamped(void **state) {
    (void)state;
    assert_differs(GPT_OSS "act=swiglu_clamp(7,1.702) layout=interleaved",
                   GPT_OSS "act=swiglu_clamp(7,1.702)");
    assert_differs(GPT_OSS "act=swiglu_clamp(7,1.702)", GPT_OSS "act=swiglu");
}

#define F32 SMALL "act=swiglu x=f32 "

static void assert_close(const double *got, const double *want, double factor, int n) {
    for (int i = 0; i < n; i++)
        if (!(fabs(got[i] - factor * want[i]) <= 1e-5))
            fail_msg("y[%d] is %.9g, should be %.9g", i, got[i], factor * want[i]);
}

/* 10. The bias of down is a part of what the weight multiplies: half the weight is half of y, and
 * none is nothing. */
static void the_bias_of_down_is_inside_the_weight(void **state) {
    (void)state;
    const int ids[] = {3, 5, 3, 5, 3, 5};
    const float weights[] = {0.5f, 0.25f, 0.25f, 0.125f, 0, 0};
    double y[3][72];
    layer_forms_routed("sim:a100", F32 "bias=up,down", 1, 3, ids, weights, *y);
    assert_close(y[1], y[0], 0.5, 72);
    assert_close(y[2], y[0], 0, 72);
}

/* 11. Qwen2-MoE's shared expert has a gate of its own; DeepSeek's is added plain. */
static void a_gated_shared_expert_is_not_a_plain_one(void **state) {
    (void)state;
    assert_differs(SMALL "shared=80", SMALL "shared=80,gated");
}

enum { MANY = 100, EXPERTS = 8, CHOICES = 3 };

/* Keeps first choices in order of tokens, then second ones, which start behind the count of the
 * choices before them: of all of them, or of those that fitted. */
static void keep(const int *ids, int64_t room, bool capped, unsigned char *kept) {
    int64_t before[EXPERTS] = {0};
    for (int j = 0; j < CHOICES; j++) {
        int64_t at[EXPERTS];
        for (int e = 0; e < EXPERTS; e++) at[e] = capped && before[e] > room ? room : before[e];
        for (int t = 0; t < MANY; t++) {
            int e = ids[t * CHOICES + j];
            kept[t * CHOICES + j] = at[e]++ < room;
        }
        for (int e = 0; e < EXPERTS; e++) before[e] = at[e];
    }
}

/* 14. Mesh TensorFlow starts second choices at the capped count of first ones, fairseq and Tutel at
 * the whole count. Where that is above the room nothing fits either way, so the set is the same. */
static void capped_and_whole_counts_keep_the_same_slots(void **state) {
    (void)state;
    int ids[MANY * CHOICES];
    float weights[MANY * CHOICES];
    unsigned char capped[sizeof ids / sizeof *ids], whole[sizeof capped], ours[sizeof capped];
    moe_layer layer;
    const char *text = "d=8 f=8 e=8 k=3 capacity=0.7";
    assert_int_equal(moe_layer_parse(text, &layer), MOE_OK);
    for (int s = 0; s < MANY * CHOICES; s++) { /* low ids are popular; a token may repeat one */
        uint64_t bits = moe_random_bits(moe_random_stream(14, 0), (uint64_t)s);
        ids[s] = (int)(bits % EXPERTS * (bits / EXPERTS % EXPERTS) / EXPERTS);
        weights[s] = 0.5f;
    }
    keep(ids, moe_layer_capacity(&layer, MANY), true, capped);
    keep(ids, moe_layer_capacity(&layer, MANY), false, whole);
    moe_ref_capacity(&layer, MANY, ids, NULL, ours);
    assert_memory_equal(capped, whole, sizeof capped);
    assert_memory_equal(capped, ours, sizeof capped);
    layer_forms_routed("sim:a100", text, MANY, 1, ids, weights, NULL);
}

/* 15. Tutel's room has k as a factor, which Switch's has not: 2*floor(0.5*ceil(7/2)) = 4 rows, not
 * round(0.5*7/2) = 2. */
static void tutel_multiplies_room_by_the_choices(void **state) {
    (void)state;
    moe_layer layer;
#define ROOM "d=72 f=40 e=2 k=2 capacity=0.5,"
    assert_int_equal(moe_layer_parse(ROOM "tutel", &layer), MOE_OK);
    assert_int_equal(moe_layer_capacity(&layer, TOKENS), 4);
    assert_int_equal(moe_layer_parse(ROOM "switch", &layer), MOE_OK);
    assert_int_equal(moe_layer_capacity(&layer, TOKENS), 2);
    assert_differs(ROOM "tutel", ROOM "switch");
#undef ROOM
}

/* 17. A token may name an expert twice: each slot has a row of its own, and both count. */
static void an_id_that_comes_twice_counts_twice(void **state) {
    (void)state;
    const int ids[] = {3, 3, 3, 5};
    const float weights[] = {0.25f, 0.5f, 0.75f, 0};
    double y[2][72];
    layer_forms_routed("sim:a100", F32, 1, 2, ids, weights, *y);
    assert_close(y[0], y[1], 1, 72);
}

/* 18. vLLM marks experts of other devices by -1, transformers by e: both, and anything else outside
 * of 0..e-1, are no slots. */
static void ids_outside_are_skipped(void **state) {
    (void)state;
    const int ids[] = {5, 3, -1, 3, 8, 3, INT32_MIN, 3, INT32_MAX, 3};
    const float weights[] = {0, 0.25f, 0.5f, 0.25f, 0.5f, 0.25f, 0.5f, 0.25f, 0.5f, 0.25f};
    double y[5][72];
    layer_forms_routed("sim:a100", F32, 1, 5, ids, weights, *y);
    for (int i = 1; i < 5; i++) assert_close(y[i], y[0], 1, 72);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_weight_on_the_input_is_not_one_on_the_output),
        cmocka_unit_test(gpt_oss_columns_stand_in_turn_and_are_clamped),
        cmocka_unit_test(the_bias_of_down_is_inside_the_weight),
        cmocka_unit_test(a_gated_shared_expert_is_not_a_plain_one),
        cmocka_unit_test(capped_and_whole_counts_keep_the_same_slots),
        cmocka_unit_test(tutel_multiplies_room_by_the_choices),
        cmocka_unit_test(an_id_that_comes_twice_counts_twice),
        cmocka_unit_test(ids_outside_are_skipped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
