/* label: sim
 * test_sums.c - gemm_down and combine at once, by kernels that add to the sums in any order:
 * defaults on awkward shapes and routings, configs from all over the space, other orders of warps.
 * MOE_SWEEP=N checks N random configs on each device, and N orders, instead of a few. */
#include "gemm_sweep.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

enum { SWEEP = 8, SEEDS = 8 };

static void check(fixture *f, const char *layer, int64_t tokens, moe_routing routing,
                  const char *config) {
    gemm_case_check(f, "grouped_gemm",
                    &(gemm_case){MOE_OP_down_combine, layer, tokens, routing, 16, config});
}

static void defaults_on_awkward_shapes(void **state) {
    static const struct {
        const char *layer;
        int64_t tokens;
        moe_routing routing;
    } table[] = {
        {"d=8 f=8 e=1 k=1", 1, MOE_ROUTING_UNIFORM},
        {"d=136 f=72 e=8 k=2 bias=down", 129, MOE_ROUTING_ZIPF},
        {"d=200 f=88 e=40 k=10 x=f16", 33, MOE_ROUTING_EMPTY},
        {"d=72 f=40 e=12 k=3 capacity=0.5", 90, MOE_ROUTING_ONE}, /* whole tokens are dropped */
        {"d=40 f=352 e=3 k=2 x=f32 bias=down", 64, MOE_ROUTING_UNIFORM},
        {"d=64 f=64 e=257 k=8 router=topk>sigmoid>input", 7, MOE_ROUTING_UNIFORM},
    };
    fixture f;
    fixture_open(&f, *state);
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        check(&f, table[i].layer, table[i].tokens, table[i].routing, "");
    fixture_close(&f);
}

static void configs_from_all_over_the_space(void **state) {
    static const char *const layers[] = {"d=200 f=176 e=6 k=2 bias=down",
                                         "d=136 f=80 e=8 k=8 x=f16",
                                         "d=72 f=40 e=5 k=3 x=f32 bias=down"};
    static const int64_t tokens[] = {1, 150, 64, 33};
    uint64_t random = gemm_sweep_start(0x9e3779b97f4a7c15);
    fixture f;
    fixture_open(&f, *state);
    for (int i = 0, count = gemm_sweep_count(SWEEP); i < count; i++) {
        gemm_case each = {MOE_OP_down_combine, layers[i % 3], tokens[i % 4],
                          (moe_routing)(i / 2 % MOE_ROUTING_COUNT), 1, NULL};
        gemm_sweep_check(&f, "grouped_gemm", &each, &random);
    }
    fixture_close(&f);
}

static void any_order_of_warps(void **state) {
    char device[64], config[64];
    for (int seed = 1, count = gemm_sweep_count(SEEDS); seed <= count; seed++) {
        fixture f;
        snprintf(device, sizeof device, "%s,seed=%d", (const char *)*state, seed);
        fixture_open(&f, device);
        snprintf(config, sizeof config, "wide=%d bulk=%d", seed % 2, seed / 2 % 2);
        check(&f, "d=72 f=40 e=6 k=3 x=f16", 17, MOE_ROUTING_ZIPF, config);
        fixture_close(&f);
    }
}

static char a100[] = "sim:a100", h100[] = "sim:h100";

#define TESTS_ON(device)                                                                           \
    cmocka_unit_test_prestate(defaults_on_awkward_shapes, device),                                 \
        cmocka_unit_test_prestate(configs_from_all_over_the_space, device)

int main(void) {
    const struct CMUnitTest tests[] = {
        TESTS_ON(a100),
        TESTS_ON(h100),
        cmocka_unit_test_prestate(any_order_of_warps, h100),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
