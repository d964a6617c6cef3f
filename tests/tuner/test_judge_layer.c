/* label: sim - whole layers with seeded bugs: each is found by the verdict on a plan. */
#include "seeded.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define A100 "sim:a100,checks=0"
#define MAPS "include/permute.cuh"
#define LOSSES "include/losses.cuh"
#define SELECT "include/select.cuh"

static void test_statistics(void **state) {
    (void)state;
    static const seeded_bug bugs[] = {
        {"the loss of first choices by all choices", LOSSES, "first(e) * prob(e)",
         "all(e) * prob(e)", "losses[0]"},
        {"a loss without its number of experts", LOSSES,
         "E * share * over_experts([&](int e) { return all(e)",
         "share * over_experts([&](int e) { return all(e)", "losses[1]"},
        {"a loss of a few digits", LOSSES, "E * share * over_experts([&](int e) { return first(e)",
         "E * share * 1.003f * over_experts([&](int e) { return first(e)", "losses[0]"},
        {"a loss of weights without its last expert", LOSSES,
         "for (int e = threadIdx.x % 32; e < E; e += 32) sum += f(e);",
         "for (int e = threadIdx.x % 32; e < E - 1; e += 32) sum += f(e);", "losses["},
        {"the z loss without its square", SELECT, "fminf(whole * whole,", "fminf(whole,",
         "losses[4]"},
        {"entropy without what is below the top", SELECT,
         "below_sum += __float2ull_rn(prob * -below);", ";", "losses[5]"},
        {"losses of one token more", LOSSES, "const float share = 1.0f / (float)a.tokens;",
         "const float share = 1.0f / (float)(a.tokens + 1);", "losses["},
        {"the last loss stays unwritten", LOSSES, "i < (int)(sizeof losses / sizeof *losses);",
         "i < (int)(sizeof losses / sizeof *losses) - 1;", "losses[5]"},
        {"the bias moved the wrong way", LOSSES, "missing > 0 ? rate", "missing > 0 ? -rate",
         "next_router_bias["},
        {"the bias of even loads moved", LOSSES, "missing < 0 ? -rate : 0.0f;",
         "missing < 0 ? -rate : rate;", "next_router_bias["},
        {"mean_probs of one token more", MAPS, "* FIXED_SHARE / (float)a.tokens;\n    write_",
         "* FIXED_SHARE / (float)(a.tokens + 1);\n    write_", "mean_probs["},
        {"choices counted twice", SELECT, "atomicAdd(&a.counts[e], counts[e]);",
         "atomicAdd(&a.counts[e], 2 * counts[e]);", "counts["},
    };
    SEEDED_TRY_LAYER(A100, "d=64 f=32 e=8 k=2 router=softmax+bias>topk>renorm capacity=0.8", 12,
                     MOE_ENTRY_ROUTER, bugs);
}

static void test_steps(void **state) {
    (void)state;
    static const seeded_bug bugs[] = {
        /* First, while y is that of the right kernels: only poison tells. */
        {"the last token's rows left out", "combine.cu", "if (token >= tokens ||",
         "if (first + token >= a.tokens - 1 ||", "y["},
        {"a capacity of one more", MAPS, "if (rank < a.capacity) row",
         "if (rank < a.capacity + (tile.expert[i] < 7)) row", "slot_rows["},
        {"a dropped slot has a row", MAPS, "a.slot_rows[tile.slot[i]] = row;",
         "a.slot_rows[tile.slot[i]] = tile.slot[i] > 60 ? max(row, 0) : row;", "slot_rows["},
        {"gate and up swapped", "include/activate.cuh", "or \"gate, float up\"",
         "or \"up, float gate\"", "y["},
        {"up's biases left out", "decode_gemm.cu", "(up and p.bias_up or",
         "(false and p.bias_up or", "y["},
        {"weights of the next choice", "combine.cu", "\"a.weights[(size_t)first * K + i]\"",
         "\"a.weights[(size_t)first * K + (i ^ 1)]\"", "y["},
    };
    SEEDED_TRY_LAYER(A100, "d=64 f=32 e=8 k=2 act=swiglu capacity=0.8 bias=up", 37,
                     MOE_ENTRY_LOGITS, bugs);
}

/* A part of the experts: there the judge of routers leaves counts to that of layers. */
static void test_part_of_the_experts(void **state) {
    (void)state;
    static const seeded_bug bugs[] = {
        {"choices counted twice", SELECT, "atomicAdd(&a.counts[e], counts[e]);",
         "atomicAdd(&a.counts[e], 2 * counts[e]);", "counts["},
    };
    SEEDED_TRY_LAYER(A100, "d=64 f=32 e=8 k=2 local=4", 12, MOE_ENTRY_ROUTER, bugs);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_statistics),
        cmocka_unit_test(test_steps),
        cmocka_unit_test(test_part_of_the_experts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
