/* decode_case.c - see decode_case.h. */
#include "decode_case.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

enum { SWEEP = 6, SEEDS = 4 };

static const moe_op_kind kinds[] = {MOE_OP_gemm_up, MOE_OP_gemm_down, MOE_OP_down_combine};

void decode_case_check(fixture *f, const decode_subject *s, const char *layer, int64_t tokens,
                       moe_routing routing) {
    for (int i = 0; i < s->kinds; i++)
        gemm_case_check(f, s->template, &(gemm_case){kinds[i], layer, tokens, routing, 1, ""});
}

void decode_defaults_on_awkward_shapes(void **state) {
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
    const decode_subject *s = *state;
    fixture f;
    fixture_open(&f, s->device);
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        decode_case_check(&f, s, table[i].layer, table[i].tokens, table[i].routing);
    fixture_close(&f);
}

void decode_configs_from_all_over_the_space(void **state) {
    static const char *const layers[] = {
        "d=200 f=176 e=6 k=2 bias=up,down", "d=136 f=352 e=8 k=2 x=f16 act=relu",
        "d=264 f=192 e=40 k=4 act=geglu_tanh", "d=72 f=704 e=3 k=1 act=gelu bias=up",
    };
    static const int64_t tokens[] = {1, 7, 64, 129, 33};
    const decode_subject *s = *state;
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

void decode_any_order_of_warps(void **state) {
    const decode_subject *s = *state;
    char device[64];
    for (int seed = 1, count = gemm_sweep_count(SEEDS); seed <= count; seed++) {
        fixture f;
        snprintf(device, sizeof device, "%s,seed=%d", s->device, seed);
        fixture_open(&f, device);
        decode_case_check(&f, s, "d=200 f=176 e=6 k=2 bias=up", 7, MOE_ROUTING_ZIPF);
        fixture_close(&f);
    }
}
