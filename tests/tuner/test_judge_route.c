/* label: sim - routers with seeded bugs: each is found by the tuner's verdict. */
#include "seeded.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define A100 "sim:a100,checks=0"
#define RULE "include/rule.cuh"
#define SELECT "include/select.cuh"

static void test_choices(void **state) {
    (void)state;
    static const seeded_bug bugs[] = {
        {"a tie goes to the higher id", "include/topk.cuh",
         "(int)__reduce_min_sync(~0u, best == top ? (unsigned)own : ~0u);",
         "(int)__reduce_max_sync(~0u, best == top ? (unsigned)own : 0u);",
         "with logits given: ids["},
        {"given logits ignored", "include/route.cuh",
         "    if (a.logits) {\n        const int given",
         "    if (false) {\n        const int given", "null pointer"},
        {"given logits of the block's first token for all", "include/route.cuh",
         "= a.logits[(size_t)first * E + i];", "= a.logits[(size_t)first * E + i % E];",
         "with logits given: ids["},
        {"renormalising forgotten", RULE, "weight = chosen ? weight / sum : 0.0f;", "", "weights["},
        {"weights of a few digits", RULE, "weight = chosen ? weight / sum : 0.0f;",
         "weight = chosen ? weight / sum * 1.0003f : 0.0f;", "weights["},
        {"the weights of a token's choices swapped", SELECT, "* K + lane] = mine.weight;",
         "* K + K - 1 - lane] = mine.weight;", "weights["},
        {"the last token stays unwritten", SELECT,
         "lane = (int)threadIdx.x % 32, tokens = min(TOKENS, a.tokens - first);",
         "lane = (int)threadIdx.x % 32, tokens = min(TOKENS, a.tokens - first - 1);", "ids[32,0]"},
        {"the tail of K left out", "include/route.cuh",
         "constexpr int STEPS_D = (D + DEPTH - 1) / DEPTH;", "constexpr int STEPS_D = D / DEPTH;",
         "ids["},
        {"the bias left out", "include/route.cuh", "LOGIT_BIAS ? a.router_bias : nullptr",
         "nullptr", "ids["},
        {"flags not cleared", SELECT, "i += THREADS) a.flags[i] = 0;",
         "i += THREADS) if (i != 700) a.flags[i] = 0;", "flags[700]"},
    };
    SEEDED_TRY(A100, "route", "split=0 bt=16",
               "route t=33 d=72 e=12 k=3 router=softmax>topk>renorm bias=router", bugs);
}

static void test_statistics(void **state) {
    (void)state;
    static const seeded_bug bugs[] = {
        {"choices counted twice", SELECT, "atomicAdd(&a.counts[e], counts[e]);",
         "atomicAdd(&a.counts[e], 2 * counts[e]);", "counts["},
        {"each block's counts instead of their sum", SELECT, "atomicAdd(&a.counts[e], counts[e]);",
         "a.counts[e] = counts[e];", "counts["},
        {"first choices counted only", SELECT, "if (counts && mine.expert >= 0) atomicAdd",
         "if (lane == 0 && counts && mine.expert >= 0) atomicAdd", "counts["},
        {"counts of the block before not cleared", SELECT,
         "for (int e = threadIdx.x; e < E; e += COUNT * 32) counts[e] = 0;",
         "for (int e = threadIdx.x; e < E; e += COUNT * 32) counts[e] = e == 5;", "counts[5]"},
        {"prob_sums without a token", SELECT, "sum += __float2ull_rn(prob);",
         "sum += token + first == 9 ? 0 : __float2ull_rn(prob);", "prob_sums["},
        {"prob_sums a thousandth too high", SELECT, "FIXED_ONE / mine.over.all;",
         "FIXED_ONE * 1.001f / mine.over.all;", "prob_sums["},
        {"prob_sums by weights' softmax", SELECT, "FIXED_ONE / mine.over.all;", "FIXED_ONE / 8.0f;",
         "prob_sums["},
    };
    SEEDED_TRY(A100, "route", "split=0 bt=16", "route t=33 d=72 e=12 k=3 router=softmax>topk",
               bugs);
}

/* DeepSeek-V3's rule. */
static void test_groups(void **state) {
    (void)state;
    static const seeded_bug bugs[] = {
        {"renormalising forgotten", RULE, "weight /= warp_sum(weight) +", "weight /= 1.0f +",
         "weights["},
        {"scaling forgotten", RULE, "weight *= $(moe.float(p.router_scale));", "", "weights["},
        {"the keys' bias left out", RULE, "finite(value + bias[expert]);", "finite(value);",
         "ids["},
        {"a group's best key for its two best", RULE,
         "order_key(finite(key_value(top) + key_value(next)));", "top;", "ids["},
        {"a group too many kept", RULE, "better < GROUPS_KEPT", "better <= GROUPS_KEPT", "ids["},
        {"weights by logits without their score", RULE, "chosen ? score(logit, over) : 0.0f;",
         "chosen ? logit : 0.0f;", "weights["},
    };
    SEEDED_TRY(
        A100, "route", "split=0",
        "route t=33 d=72 e=16 k=3 router=sigmoid+bias>groups(4,2,sum2)>topk>renorm>scale(2.5)",
        bugs);
}

static void test_slices(void **state) {
    (void)state;
    static const seeded_bug bugs[] = {
        {"a slice of K left out", "include/route.cuh",
         "for (int s = 1; s < SPLIT; s++) part[i][0] += part[i][s];", ";", "ids["},
        {"the bias beside given logits", "include/route.cuh", "if (LOGIT_BIAS && !a.logits) part",
         "if (LOGIT_BIAS) part", "null pointer"},
        {"a wrong expert where T = 1", SELECT, "* K + lane] = mine.expert;",
         "* K + lane] = a.tokens == 1 ? (mine.expert + 1) % E : mine.expert;", "ids["},
    };
    SEEDED_TRY(A100, "route", "split=2 bt=8 bk=128",
               "route t=1 d=328 e=12 k=3 router=softmax>topk>renorm bias=router", bugs);
}

/* A second choice may be left out: -1 is an answer, and none of nobody's. */
static void test_second_choices(void **state) {
    (void)state;
    static const seeded_bug bugs[] = {
        {"slots left out stay unwritten", SELECT, "a.ids[(size_t)(first + token)",
         "if (mine.expert >= 0) a.ids[(size_t)(first + token)", "with logits given: ids["},
        {"slots left out are counted", SELECT,
         "if (counts && mine.expert >= 0) atomicAdd(&counts[mine.expert], 1);",
         "if (counts) atomicAdd(&counts[max(mine.expert, 0)], 1);", "counts["},
        {"the law of another draw", RULE, "u < 2.0f * weight", "u < weight", "ids["},
    };
    SEEDED_TRY(A100, "route", "split=0",
               "route t=33 d=72 e=12 k=2 router=softmax>topk>renorm>second(paper)", bugs);
}

static void test_jitter(void **state) {
    (void)state;
    static const seeded_bug bugs[] = {
        {"jitter left out", "include/route.cuh", "a.seed ? a.jittered : a.x",
         "false ? a.jittered : a.x", "ids["},
        {"one token's jittered row stays unwritten", "include/jitter.cuh",
         "        a.jittered[at + i] =", "        if (token != 3) a.jittered[at + i] =", "ids["},
    };
    SEEDED_TRY(A100, "route", "split=0", "route t=33 d=72 e=12 k=2 router=jitter(0.5)>softmax>topk",
               bugs);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_choices),        cmocka_unit_test(test_statistics),
        cmocka_unit_test(test_groups),         cmocka_unit_test(test_slices),
        cmocka_unit_test(test_second_choices), cmocka_unit_test(test_jitter),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
