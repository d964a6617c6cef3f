/* label: sim
 * test_decode.c - GEMMs for few rows an expert, on simulated GPUs: defaults on awkward shapes and
 * routings, configs from all over the spaces, and other orders of warps. MOE_SWEEP=N checks N
 * random configs of each template, and N orders, instead of a few. */
#include "gemm_sweep.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

enum { SWEEP = 6, SEEDS = 4 };

typedef struct subject {
    const char *template, *device;
    int kinds; /* of ops that it serves, as below */
} subject;

static const moe_op_kind kinds[] = {MOE_OP_gemm_up, MOE_OP_gemm_down, MOE_OP_down_combine};

static subject sm90 = {"decode_gemm_sm90", "sim:h100", 3};
static subject sm80 = {"decode_gemm", "sim:a100", 3};
static subject gemv = {"gemv", "sim:a100", 2};

static void check(fixture *f, const subject *s, const char *layer, int64_t tokens,
                  moe_routing routing) {
    for (int i = 0; i < s->kinds; i++)
        gemm_case_check(f, s->template, &(gemm_case){kinds[i], layer, tokens, routing, 1, ""});
}

static void defaults_on_awkward_shapes(void **state) {
    static const struct {
        const char *layer;
        int64_t tokens;
        moe_routing routing;
    } table[] = {
        {"d=64 f=176 e=8 k=2", 1, MOE_ROUTING_UNIFORM},
        {"d=136 f=192 e=8 k=2 act=geglu", 7, MOE_ROUTING_UNIFORM},
        {"d=72 f=352 e=4 k=2 bias=up,down", 64, MOE_ROUTING_UNIFORM},
        {"d=88 f=704 e=8 k=2 act=silu x=f16", 7, MOE_ROUTING_ONE},
        {"d=264 f=88 e=40 k=4 act=swiglu_clamp(7,1.702) bias=up,down", 129, MOE_ROUTING_EMPTY},
        {"d=64 f=64 e=257 k=8", 7, MOE_ROUTING_ZIPF},
        {"d=200 f=1408 e=1 k=1 act=relu2 bias=up", 7, MOE_ROUTING_UNIFORM},
        {"d=136 f=80 e=8 k=2 capacity=0.5", 129, MOE_ROUTING_UNIFORM},
        {"d=72 f=96 e=8 k=2 bias=up,down capacity=0.4 router=topk>sigmoid>input", 64,
         MOE_ROUTING_UNIFORM},
        {"d=136 f=88 e=8 k=2 bias=up layout=interleaved", 7, MOE_ROUTING_UNIFORM},
    };
    const subject *s = *state;
    fixture f;
    fixture_open(&f, s->device);
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        check(&f, s, table[i].layer, table[i].tokens, table[i].routing);
    fixture_close(&f);
}

static void configs_from_all_over_the_space(void **state) {
    static const char *const layers[] = {
        "d=200 f=176 e=6 k=2 bias=up,down", "d=136 f=352 e=8 k=2 x=f16 act=relu",
        "d=264 f=192 e=40 k=4 act=geglu_tanh", "d=72 f=704 e=3 k=1 act=gelu bias=up",
    };
    static const int64_t tokens[] = {1, 7, 64, 129, 33};
    const subject *s = *state;
    uint64_t random = gemm_sweep_start(0x2545f4914f6cdd1d);
    fixture f;
    fixture_open(&f, s->device);
    for (int i = 0, count = gemm_sweep_count(SWEEP); i < count; i++) {
        gemm_case each = {kinds[i % s->kinds], layers[i / s->kinds % 4],
                          tokens[i % 5], (moe_routing)(i / 3 % MOE_ROUTING_COUNT), 1, NULL};
        gemm_sweep_check(&f, s->template, &each, &random);
    }
    fixture_close(&f);
}

static void any_order_of_warps(void **state) {
    const subject *s = *state;
    char device[64];
    for (int seed = 1, count = gemm_sweep_count(SEEDS); seed <= count; seed++) {
        fixture f;
        snprintf(device, sizeof device, "%s,seed=%d", s->device, seed);
        fixture_open(&f, device);
        check(&f, s, "d=200 f=176 e=6 k=2 bias=up", 7, MOE_ROUTING_ZIPF);
        fixture_close(&f);
    }
}

static void any_dtype(void **state) {
    fixture f;
    (void)state;
    fixture_open(&f, gemv.device);
    check(&f, &gemv, "d=200 f=176 e=6 k=2 bias=up,down x=f32", 7, MOE_ROUTING_ZIPF);
    check(&f, &gemv, "d=72 f=40 e=3 k=2 act=gelu x=f32", 1, MOE_ROUTING_UNIFORM);
    fixture_close(&f);
}

#define TESTS_OF(subject)                                                                          \
    cmocka_unit_test_prestate(defaults_on_awkward_shapes, &subject),                               \
        cmocka_unit_test_prestate(configs_from_all_over_the_space, &subject),                      \
        cmocka_unit_test_prestate(any_order_of_warps, &subject)

int main(void) {
    const struct CMUnitTest tests[] = {TESTS_OF(sm90), TESTS_OF(sm80), TESTS_OF(gemv),
                                        cmocka_unit_test(any_dtype)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
