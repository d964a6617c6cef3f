/* label: sim
 * test_gemm_sm90.c - the grouped GEMM of sm_90a on the simulated H100: defaults on awkward shapes
 * and routings, configs from all over the space, and other orders of warps. MOE_SWEEP=N runs N
 * random configs instead of a few, and more orders; MOE_SWEEP_SEED=S, others. */
#include "gemm_sweep.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define TEMPLATE "grouped_gemm_sm90"
enum { SWEEP = 4, SEEDS = 1, SWEEP_SEEDS = 20 };

static void check(fixture *f, const char *layer, int64_t tokens, moe_routing routing,
                  const char *config) {
    for (moe_op_kind kind = MOE_OP_gemm_up; kind <= MOE_OP_gemm_down; kind++)
        gemm_case_check(f, TEMPLATE, &(gemm_case){kind, layer, tokens, routing, 1, config});
}

static void defaults_on_awkward_shapes(void **state) {
    static const struct {
        const char *layer;
        int64_t tokens;
        moe_routing routing;
    } table[] = {
        {"d=64 f=176 e=8 k=2", 1, MOE_ROUTING_UNIFORM},
        {"d=64 f=192 e=8 k=2 act=geglu layout=up_gate", 7, MOE_ROUTING_UNIFORM},
        {"d=136 f=352 e=4 k=2 layout=interleaved bias=up,down", 64, MOE_ROUTING_UNIFORM},
        {"d=72 f=704 e=8 k=2 act=silu x=f16", 129, MOE_ROUTING_ONE},
        {"d=264 f=88 e=40 k=4 act=swiglu_clamp(7,1.702) bias=up,down", 129, MOE_ROUTING_EMPTY},
        {"d=64 f=64 e=257 k=8", 64, MOE_ROUTING_ZIPF},
        {"d=64 f=64 e=2048 k=2", 7, MOE_ROUTING_UNIFORM},
        {"d=64 f=176 e=8 k=2", 0, MOE_ROUTING_UNIFORM},
        {"d=136 f=144 e=1 k=1 act=relu2", 129, MOE_ROUTING_UNIFORM},
        {"d=136 f=80 e=8 k=2 router=topk>sigmoid>input capacity=0.5", 129, MOE_ROUTING_UNIFORM},
    };
    fixture f;
    (void)state;
    fixture_open(&f, "sim:h100");
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        check(&f, table[i].layer, table[i].tokens, table[i].routing, "");
    fixture_close(&f);
}

/* Every path of the kernel at once with others: who stores, what consumers share, K in slices, both
 * rasters, pairs of short tiles, columns and rows that end inside a tile. */
static void paths_in_company(void **state) {
    static const char *const configs[] = {
        "bm=128 bn=128 bk=32 stages=5 wgs=2 pingpong=0 cluster=2 raster=1 group=4 store=1",
        "bm=128 bn=128 bk=128 stages=3 wgs=2 pingpong=1 cluster=1 raster=0 group=4 store=2",
        "bm=128 bn=240 bk=32 stages=6 wgs=2 pingpong=0 cluster=1 raster=0 group=8 store=1",
        "bm=64 bn=192 bk=32 stages=6 wgs=2 pingpong=1 cluster=2 raster=1 group=4 store=2",
        "bm=256 bn=96 bk=64 stages=3 wgs=2 pingpong=0 cluster=1 raster=0 group=4 store=2",
        "bm=64 bn=64 bk=128 stages=3 wgs=1 pingpong=0 cluster=1 raster=1 group=4 store=0",
    };
    fixture f;
    (void)state;
    fixture_open(&f, "sim:h100");
    for (size_t i = 0; i < sizeof configs / sizeof *configs; i++) {
        const gemm_case each = {
            i % 2 ? MOE_OP_gemm_down : MOE_OP_gemm_up,
            i / 2 % 2 ? "d=136 f=168 e=5 k=2 bias=up,down" : "d=168 f=136 e=5 k=2 x=f16", 150,
            i < 4 ? MOE_ROUTING_ZIPF : MOE_ROUTING_ONE, 1, configs[i]};
        gemm_case_check(&f, TEMPLATE, &each);
    }
    fixture_close(&f);
}

static void configs_from_all_over_the_space(void **state) {
    static const char *const layers[] = {
        "d=200 f=176 e=6 k=2 bias=up,down", "d=136 f=352 e=8 k=2 x=f16",
        "d=264 f=192 e=40 k=4 act=geglu_tanh", "d=72 f=704 e=3 k=1 act=gelu",
        "d=88 f=240 e=6 k=2 layout=interleaved router=topk>sigmoid>input bias=up",
        "d=64 f=1408 e=8 k=2", "d=80 f=1856 e=40 k=2 act=relu2",
        "d=64 f=2880 e=8 k=1 act=swiglu_clamp(7,1.702) bias=up,down", "d=120 f=64 e=257 k=2",
        "d=248 f=144 e=1 k=1", "d=512 f=96 e=8 k=2 capacity=0.5", "d=328 f=240 e=3 k=3 act=silu",
    };
    static const int64_t tokens[] = {1, 7, 64, 129, 150, 0, 513};
    enum { LAYERS = sizeof layers / sizeof *layers, TOKENS = sizeof tokens / sizeof *tokens };
    uint64_t random = gemm_sweep_start(0x2545f4914f6cdd1d);
    fixture f;
    (void)state;
    fixture_open(&f, "sim:h100");
    for (int i = 0, count = gemm_sweep_count(SWEEP); i < count; i++) {
        const gemm_case each = {i % 2 ? MOE_OP_gemm_down : MOE_OP_gemm_up, layers[i / 2 % LAYERS],
                                tokens[i % TOKENS], (moe_routing)(i / 3 % MOE_ROUTING_COUNT), 1,
                                NULL};
        gemm_sweep_check(&f, TEMPLATE, &each, &random);
        if ((i + 1) % 10 == 0) print_message("%d random configs are right and clean\n", i + 1);
    }
    fixture_close(&f);
}

static void any_order_of_warps(void **state) {
    char device[64];
    (void)state;
    for (int seed = 1, count = getenv("MOE_SWEEP") ? SWEEP_SEEDS : SEEDS; seed <= count; seed++) {
        fixture f;
        snprintf(device, sizeof device, "sim:h100,seed=%d", seed);
        fixture_open(&f, device);
        check(&f, "d=200 f=176 e=6 k=2 bias=up", 150, MOE_ROUTING_ZIPF, "");
        check(&f, "d=136 f=128 e=4 k=2", 150, MOE_ROUTING_UNIFORM,
              "bm=64 bn=128 bk=64 wgs=2 pingpong=1 stages=3 store=1");
        gemm_case_check(&f, TEMPLATE, &(gemm_case){MOE_OP_gemm_down, "d=136 f=128 e=4 k=2", 150,
                                                   MOE_ROUTING_ZIPF, 1,
                                                   "bm=64 bn=64 bk=64 wgs=1 pingpong=0 cluster=2 "
                                                   "stages=3 store=2"});
        fixture_close(&f);
        print_message("orders of warps: %d are right and clean\n", seed);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_on_awkward_shapes),
        cmocka_unit_test(paths_in_company),
        cmocka_unit_test(configs_from_all_over_the_space),
        cmocka_unit_test(any_order_of_warps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
