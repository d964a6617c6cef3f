/* label: unit
 * The expected load of every class of routing, against that of random tokens. */
#include "reference.h"
#include "roofline.h"
#include "workload.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

enum { TOKENS = 12, SEEDS = 40, E = 64, K = 4 };

static moe_layer layer;

static int make_layer(void **state) {
    (void)state;
    return moe_layer_parse("d=64 f=64 e=64 k=4", &layer) != MOE_OK;
}

/* Experts that get a token, on average. */
static double used_experts(moe_routing routing) {
    static float given[TOKENS * E];
    static double logits[TOKENS * E], weights[TOKENS * K];
    static int ids[TOKENS * K];
    int64_t used = 0;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        bool is_used[E] = {false};
        moe_workload_logits(&layer, TOKENS, routing, seed, given);
        for (int i = 0; i < TOKENS * E; i++) logits[i] = (double)given[i];
        moe_ref_route(&layer, TOKENS, logits, NULL, ids, weights, NULL, NULL);
        for (int i = 0; i < TOKENS * K; i++) is_used[ids[i]] = true;
        for (int e = 0; e < E; e++) used += is_used[e];
    }
    return (double)used / SEEDS;
}

/* The same by the bytes of weights that moe_op_work expects to be read. */
static double expected_experts(moe_routing routing) {
    const moe_op op = moe_op_make(MOE_OP_gemm_down, &layer, TOKENS, routing, MOE_CACHE_COLD);
    const moe_work_size work = moe_op_work(&op);
    assert_true(fabs(work.flops / (2.0 * TOKENS * K * 64 * 64) - 1) < 1e-4);
    return (work.bytes - TOKENS * K * (64 + 64) * 2) / (64 * 64 * 2);
}

static void loads_are_as_expected(void **state) {
    (void)state;
    for (int r = 0; r < MOE_ROUTING_COUNT; r++) {
        double got = used_experts((moe_routing)r), want = expected_experts((moe_routing)r);
        if (fabs(got / want - 1) > 0.03)
            fail_msg("%s: %.2f experts in use, expected %.2f", moe_routing_names[r], got, want);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(loads_are_as_expected)};
    return cmocka_run_group_tests(tests, make_layer, NULL);
}
