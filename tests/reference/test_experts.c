/* label: unit */
/* test_experts.c - activations against long double, and whole layers against a plain computation.
 */
#include "activation.h"
#include "core/number.h"
#include "reference.h"
#include "tolerance.h"
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
    assert_int_equal(moe_layer_parse(text, &layer), MOE_OK);
    return layer;
}

static long double wide_gelu(long double x) { return x * 0.5L * (1 + erfl(x / sqrtl(2))); }

static long double wide_gelu_tanh(long double x) {
    return x * 0.5L * (1 + tanhl(sqrtl(2 / acosl(-1)) * (x + 0.044715L * x * x * x)));
}

static long double wide_silu(long double x) { return x / (1 + expl(-x)); }

/* Written apart from activation.c, in long double. */
static long double wide_activate(const moe_act *act, long double g, long double u) {
    switch (act->kind) {
    case MOE_ACT_RELU: return g > 0 ? g : 0;
    case MOE_ACT_RELU2: return g > 0 ? g * g : 0;
    case MOE_ACT_GELU: return wide_gelu(g);
    case MOE_ACT_GELU_TANH: return wide_gelu_tanh(g);
    case MOE_ACT_SILU: return wide_silu(g);
    case MOE_ACT_SWIGLU: return wide_silu(g) * u;
    case MOE_ACT_GEGLU: return wide_gelu(g) * u;
    case MOE_ACT_GEGLU_TANH: return wide_gelu_tanh(g) * u;
    default: break;
    }
    long double limit = act->limit;
    g = g > limit ? limit : g;
    u = u > limit ? limit : u < -limit ? -limit : u;
    return g / (1 + expl(-act->alpha * g)) * (u + 1);
}

static void activations(void **state) {
    (void)state;
    for (moe_act_kind kind = 0; kind < MOE_ACT_NONE; kind++) {
        const moe_act act = {kind, 7, 1.702};
        for (int i = -400; i <= 400; i++) {
            long double gate = i / 32.0L, up = (i * 37 % 401) / 32.0L;
            double want = (double)wide_activate(&act, gate, up);
            double got = moe_activate(&act, (double)gate, (double)up);
            if (!(fabs(got - want) <= 1e-13 * (1 + fabs(want))))
                fail_msg("kind %d at %g, %g: %.17g should be %.17g", kind, (double)gate, (double)up,
                         got, want);
        }
    }
}

/* Known to 10 digits, not computed here. */
static void activations_by_hand(void **state) {
    (void)state;
    static const struct {
        moe_act act;
        double gate, up, want;
    } cases[] = {
        {{MOE_ACT_RELU, 0, 0}, -2, 0, 0},
        {{MOE_ACT_RELU2, 0, 0}, 3, 0, 9},
        {{MOE_ACT_GELU, 0, 0}, 1, 0, 0.8413447461},
        {{MOE_ACT_GELU_TANH, 0, 0}, 1, 0, 0.8411919906},
        {{MOE_ACT_SILU, 0, 0}, 1, 0, 0.7310585786},
        {{MOE_ACT_SWIGLU, 0, 0}, 1, -2, -1.4621171573},
        {{MOE_ACT_GEGLU, 0, 0}, 1, 2, 1.6826894921},
        {{MOE_ACT_SWIGLU_CLAMP, 7, 1.702}, 100, 100, 55.9996258}, /* 8 * 7 * sigmoid(11.914) */
        {{MOE_ACT_SWIGLU_CLAMP, 7, 1.702}, -1, -100, 0.9252254},  /* -6 * -1 * sigmoid(-1.702) */
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        double got = moe_activate(&cases[i].act, cases[i].gate, cases[i].up);
        if (!(fabs(got - cases[i].want) < 1e-6 * fabs(cases[i].want) + 1e-12))
            fail_msg("case %zu: %.10g should be %.10g", i, got, cases[i].want);
    }
}

/* One output of one row by plain loops over the definition. */
static double plain_dot(const moe_layer *layer, const void *weight, const void *bias, int64_t row,
                        int64_t n, const double *in) {
    long double sum = bias ? (long double)moe_load(layer->w, bias, row) : 0;
    for (int64_t i = 0; i < n; i++)
        sum += (long double)moe_load(layer->w, weight, row * n + i) * (long double)in[i];
    return (double)sum;
}

static void plain_row(const moe_layer *l, const moe_host_layer *in, int64_t t, int expert,
                      double weight, double *h, double *y_row) {
    double x[64];
    int64_t width = moe_layer_up_rows(l);
    for (int64_t i = 0; i < l->d; i++) x[i] = weight * moe_load(l->x, in->x, t * l->d + i);
    for (int64_t i = 0; i < l->f; i++) {
        int64_t first = i, second = width - l->f + i; /* without a gate: the same */
        if (l->layout == MOE_LAYOUT_INTERLEAVED) first = 2 * i, second = 2 * i + 1;
        double gate = plain_dot(l, in->up, in->up_bias, expert * width + first, l->d, x);
        double up = plain_dot(l, in->up, in->up_bias, expert * width + second, l->d, x);
        if (l->layout == MOE_LAYOUT_UP_GATE) {
            double swap = gate;
            gate = up;
            up = swap;
        }
        h[i] = (double)wide_activate(&l->act, gate, up);
    }
    for (int64_t i = 0; i < l->d; i++)
        y_row[i] = plain_dot(l, in->down, in->down_bias, expert * l->d + i, l->f, h);
}

static void plain_layer(const moe_layer *l, int64_t tokens, const moe_host_layer *in,
                        const int *ids, const double *weights, const unsigned char *kept,
                        double *y) {
    double h[64], y_row[64];
    memset(y, 0, (size_t)(tokens * l->d) * sizeof *y);
    for (int64_t s = 0; s < tokens * l->k; s++) {
        if (!kept[s]) continue;
        bool input = l->router.input;
        plain_row(l, in, s / l->k, ids[s], input ? weights[s] : 1, h, y_row);
        for (int64_t i = 0; i < l->d; i++)
            y[s / l->k * l->d + i] += (input ? 1 : weights[s]) * y_row[i];
    }
}

/* A routed workload. */
typedef struct routed {
    moe_layer layer;
    int64_t tokens;
    moe_workload workload;
    moe_host_layer in;
    int *ids;
    double *weights, *y, *want;
    unsigned char *kept;
} routed;

static routed routed_make(const char *text, int64_t tokens, moe_routing routing) {
    routed r = {.layer = layer_of(text), .tokens = tokens};
    uint64_t set = MOE_MAKE_ALL;
    assert_int_equal(moe_workload_init(&r.workload, &r.layer, tokens, routing, 11, set), MOE_OK);
    r.in = moe_workload_host(&r.workload);
    size_t slots = (size_t)(tokens * r.layer.k), outputs = (size_t)(tokens * r.layer.d);
    r.ids = malloc(slots * sizeof *r.ids + 1);
    r.weights = malloc(slots * sizeof *r.weights + 1);
    r.kept = malloc(slots + 1);
    r.y = malloc(outputs * sizeof *r.y + 1);
    r.want = malloc(outputs * sizeof *r.want + 1);
    double *logits = malloc((size_t)(tokens * r.layer.e) * sizeof *logits + 1);
    assert_int_equal(moe_ref_logits(&r.layer, tokens, &r.in, logits), MOE_OK);
    moe_ref_route(&r.layer, tokens, logits, NULL, r.ids, r.weights, NULL, NULL);
    moe_ref_capacity(&r.layer, tokens, r.ids, NULL, r.kept);
    free(logits);
    return r;
}

static void routed_free(routed *r) {
    moe_workload_free(&r->workload);
    free(r->ids);
    free(r->weights);
    free(r->kept);
    free(r->y);
    free(r->want);
}

static const char *const layers[] = {
    "d=24 f=40 e=4 k=2 act=swiglu x=bf16 w=bf16",
    "d=16 f=8 e=5 k=3 act=relu x=f16 w=f16 capacity=0.5",
    "d=8 f=56 e=3 k=1 act=relu2 x=f32 w=f32 router=softmax>topk",
    "d=32 f=16 e=6 k=2 act=gelu bias=up,down",
    "d=16 f=16 e=4 k=4 act=gelu_tanh x=f16 w=f16 bias=up",
    "d=40 f=24 e=7 k=2 act=silu x=f32 w=f32 bias=down router=topk>softmax",
    "d=56 f=8 e=2 k=2 act=geglu bias=router,up,down capacity=1.25",
    "d=8 f=8 e=9 k=5 act=geglu_tanh x=f32 w=f32",
    "d=48 f=48 e=4 k=2 act=swiglu_clamp(7,1.702) bias=router,up,down router=topk>softmax",
    "d=32 f=24 e=6 k=2 act=swiglu bias=up router=topk>sigmoid>input",
    "d=24 f=40 e=4 k=2 act=swiglu bias=up layout=up_gate",
    "d=24 f=40 e=4 k=2 act=swiglu_clamp(7,1.702) bias=up,down layout=interleaved",
};
enum { LAYERS = sizeof layers / sizeof *layers };

static void layers_agree_with_plain_loops(void **state) {
    (void)state;
    static const int64_t tokens[] = {0, 1, 7, 19};
    for (int l = 0; l < LAYERS; l++) {
        for (int i = 0; i < 4; i++) {
            routed r = routed_make(layers[l], tokens[i], (moe_routing)(l % MOE_ROUTING_COUNT));
            assert_int_equal(moe_ref_layer(&r.layer, r.tokens, &r.in, r.ids, r.weights, r.kept,
                                           NULL, r.tokens, r.y),
                             MOE_OK);
            plain_layer(&r.layer, r.tokens, &r.in, r.ids, r.weights, r.kept, r.want);
            moe_error_stats stats = moe_compare(r.y, r.want, r.tokens * r.layer.d);
            if (!(stats.max_over_rms < 1e-12)) fail_msg("%s: %g", layers[l], stats.max_over_rms);
            routed_free(&r);
        }
    }
}

/* Large enough for several blocks of inputs, panels that are not full, and tiles of every height.
 */
static void wide_sums_agree_with_plain_loops(void **state) {
    (void)state;
    routed r = routed_make("d=1032 f=520 e=3 k=2 act=swiglu", 23, MOE_ROUTING_UNIFORM);
    double *h = malloc((size_t)r.layer.f * sizeof *h), *y = malloc((size_t)r.layer.d * sizeof *y);
    double x[1032];
    for (int64_t t = 0; t < r.tokens; t += 11) {
        int expert = r.ids[t * r.layer.k];
        assert_int_equal(moe_ref_up(&r.layer, &r.in, t, expert, h), MOE_OK);
        assert_int_equal(moe_ref_down(&r.layer, &r.in, h, expert, y), MOE_OK);
        for (int64_t i = 0; i < r.layer.d; i++)
            x[i] = moe_load(r.layer.x, r.in.x, t * r.layer.d + i);
        for (int64_t i = 0; i < r.layer.f; i += 37) {
            double gate = plain_dot(&r.layer, r.in.up, NULL, expert * 1040 + i, r.layer.d, x);
            double up = plain_dot(&r.layer, r.in.up, NULL, expert * 1040 + 520 + i, r.layer.d, x);
            assert_true(fabs(h[i] - (double)wide_silu(gate) * up) < 1e-12);
        }
        for (int64_t i = 0; i < r.layer.d; i += 41)
            assert_true(fabs(y[i] - plain_dot(&r.layer, r.in.down, NULL, expert * r.layer.d + i,
                                              r.layer.f, h)) < 1e-12);
    }
    free(h);
    free(y);
    routed_free(&r);
}

static void chosen_tokens_are_rows_of_the_whole(void **state) {
    (void)state;
    routed r = routed_make(layers[6], 19, MOE_ROUTING_ZIPF);
    const int64_t chosen[4] = {18, 0, 7, 7};
    double some[4 * 56];
    assert_int_equal(
        moe_ref_layer(&r.layer, r.tokens, &r.in, r.ids, r.weights, r.kept, NULL, r.tokens, r.y),
        MOE_OK);
    assert_int_equal(
        moe_ref_layer(&r.layer, r.tokens, &r.in, r.ids, r.weights, r.kept, chosen, 4, some),
        MOE_OK);
    for (int i = 0; i < 4; i++)
        assert_memory_equal(some + i * 56, r.y + chosen[i] * 56, 56 * sizeof *some);
    routed_free(&r);
}

static void dropped_and_foreign_slots_add_nothing(void **state) {
    (void)state;
    routed r = routed_make(layers[0], 3, MOE_ROUTING_UNIFORM);
    r.ids[0] = -1, r.ids[1] = 4; /* token 0 has no expert here */
    memset(r.kept, 1, 6);
    r.kept[2] = r.kept[3] = 0; /* nor has token 1 room */
    assert_int_equal(moe_ref_layer(&r.layer, 3, &r.in, r.ids, r.weights, r.kept, NULL, 3, r.y),
                     MOE_OK);
    double most = 0;
    for (int64_t i = 0; i < 48; i++) assert_true(r.y[i] == 0);
    for (int64_t i = 48; i < 72; i++) most = fmax(most, fabs(r.y[i]));
    assert_true(most > 0);
    routed_free(&r);
}

/* The yardstick rounds: worse than exact, within tolerance, and worse the shorter the dtype. */
static void rounded_layer_is_within_tolerance(void **state) {
    (void)state;
    static const char *const dtypes[] = {"x=f32 w=f32", "x=f16 w=f16", "x=bf16 w=bf16"};
    double before = 0;
    for (int i = 0; i < 3; i++) {
        char text[128];
        snprintf(text, sizeof text, "d=256 f=384 e=8 k=2 %s", dtypes[i]);
        routed r = routed_make(text, 40, MOE_ROUTING_UNIFORM);
        moe_ref_layer(&r.layer, 40, &r.in, r.ids, r.weights, r.kept, NULL, 40, r.want);
        assert_int_equal(
            moe_ref_rounded_layer(&r.layer, 40, &r.in, r.ids, r.weights, r.kept, NULL, 40, r.y),
            MOE_OK);
        moe_error_stats stats = moe_compare(r.y, r.want, 40 * 256);
        assert_true(stats.rel_l2 > 3 * before);
        assert_true(stats.rel_l2 < moe_layer_tolerance_l2(&r.layer));
        assert_true(stats.max_over_rms < moe_layer_tolerance(&r.layer, stats.peak));
        assert_true(moe_round(r.layer.x, r.y[77]) == r.y[77]);
        before = stats.rel_l2;
        routed_free(&r);
    }
}

static void comparison(void **state) {
    (void)state;
    const double want[4] = {3, -4, 0, 0}, got[4] = {3, -4, 0, 0.5}, nan[4] = {3, NAN, 0, 0};
    const double zero[2] = {0, 0}, some[2] = {0, 0.25};
    moe_error_stats stats = moe_compare(got, want, 4); /* rms of 3 and -4: sqrt(12.5) */
    assert_true(fabs(stats.max_over_rms - 0.5 / sqrt(12.5)) < 1e-15 && stats.worst == 3);
    assert_true(fabs(stats.rel_l2 - 0.1) < 1e-15);
    stats = moe_compare(nan, want, 4);
    assert_true(isinf(stats.max_over_rms) && isinf(stats.rel_l2) && stats.worst == 1);
    assert_true(moe_compare(some, zero, 2).max_over_rms == 0.25);
    assert_true(moe_compare(zero, zero, 2).max_over_rms == 0);
    assert_true(moe_compare(NULL, NULL, 0).max_over_rms == 0);
}

/* What a tolerance must and must not allow, in units that a kernel's author would use. */
static void tolerances_have_teeth(void **state) {
    (void)state;
    moe_layer layer = layer_of("d=2048 f=768 e=128 k=8");
    for (moe_op_kind kind = 0; kind < MOE_OP_COUNT; kind++) {
        moe_op op = moe_op_make(kind, &layer, 64, MOE_ROUTING_UNIFORM, MOE_CACHE_COLD);
        if (kind == MOE_OP_permute) {
            assert_true(moe_op_tolerance(&op) == 0);
            continue;
        }
        assert_true(moe_op_tolerance(&op) > 0 && moe_op_tolerance_l2(&op) > 0); /* has a row */
        assert_true(moe_op_tolerance(&op) < 0.2); /* a wrong element is off by about 1 */
        assert_true(moe_op_tolerance_l2(&op) < 1 / sqrt(2048)); /* one lost product of d */
        op.layer.x = op.layer.w = MOE_F32;
        assert_true(moe_op_tolerance_l2(&op) < 2e-5); /* one pass of tf32 is 5e-4 */
    }
    assert_true(moe_logit_tolerance(&layer) < 1e-4);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(activations),
        cmocka_unit_test(activations_by_hand),
        cmocka_unit_test(layers_agree_with_plain_loops),
        cmocka_unit_test(wide_sums_agree_with_plain_loops),
        cmocka_unit_test(chosen_tokens_are_rows_of_the_whole),
        cmocka_unit_test(dropped_and_foreign_slots_add_nothing),
        cmocka_unit_test(rounded_layer_is_within_tolerance),
        cmocka_unit_test(comparison),
        cmocka_unit_test(tolerances_have_teeth),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
