/* label: sim - fused ops with seeded bugs: each is found by the tuner's verdict. */
#include "seeded.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define A100 "sim:a100,checks=0"
#define MAPS "include/permute.cuh"
#define SUMS "include/sums.cuh"

static void test_route_permute(void **state) {
    (void)state;
    static const seeded_bug bugs[] = {
        {"given ids ignored", "route_permute.cu",
         "if (!a.given) route_tokens(a, shared, (int)blockIdx.x * BT, false);",
         "route_tokens(a, shared, (int)blockIdx.x * BT, false);", "null"},
        {"given weights overwritten", "route_permute.cu",
         "if (!a.given) route_tokens(a, shared, (int)blockIdx.x * BT, false);",
         "if (!a.given) route_tokens(a, shared, (int)blockIdx.x * BT, false); else a.weights[0] = "
         "1;",
         "with ids and weights given: ids[0] and weights[0]"},
        {"flags not cleared where ids are given", "route_permute.cu",
         "clear_flags(a);\n    if (!a.given) route_tokens(a, shared, (int)blockIdx.x * BT, false);",
         "if (!a.given) clear_flags(a);\n    if (!a.given) route_tokens(a, shared, (int)blockIdx.x "
         "* "
         "BT, false);",
         "with ids and weights given: flags[0]"},
        {"a capacity of one more", MAPS, "if (rank < a.capacity) row",
         "if (rank < a.capacity + (tile.expert[i] < 7)) row", "row_slots["},
        {"slots counted twice", MAPS, "e] = total[e];", "e] = 2 * total[e];", "counts["},
        {"mean_probs of one token less", MAPS, "* FIXED_SHARE / (float)a.tokens;\n    write_",
         "* FIXED_SHARE / (float)(a.tokens - 1);\n    write_", "mean_probs["},
        {"the router's second choice first", "include/select.cuh", "* K + lane] = mine.expert;",
         "* K + (lane ^ 1)] = mine.expert;", "ids["},
        {"rows not aligned", MAPS, "const int unit = rows ? a.row_align",
         "const int unit = rows ? 1", "with rows aligned to 64: expert_start["},
    };
    SEEDED_TRY(A100, "route_permute", "split=0 blocks=1",
               "route_permute t=37 d=72 e=8 k=2 capacity=0.8", bugs);
}

/* Blocks that select tell each other by a counter in scratch. */
static void test_slices(void **state) {
    (void)state;
    static const seeded_bug bugs[] = {
        {"a counter that nobody clears", "route_permute.cu", "*selected(a) = 0;", ";", "counts["},
    };
    SEEDED_TRY(A100, "route_permute", "split=2 bt=8 bk=128 blocks=1",
               "route_permute t=9 d=328 e=8 k=2", bugs);
}

static void test_shares_of_tokens(void **state) {
    (void)state;
    static const seeded_bug bugs[] = {
        {"earlier shares' slots not ahead", "route_permute.cu", "upto = at < first ? j : j - 1;",
         "upto = j - 1;", "row_slots["},
        {"odd experts' counts lost", "route_permute.cu", "before[1] += ahead[n] >> 16;",
         "before[1] += 0;", "row_slots["},
    };
    SEEDED_TRY(A100, "route_permute", "blocks=64 map_threads=128 items=1 split=0 bt=16",
               "route_permute t=300 d=72 e=8 k=2", bugs);
}

static void test_down_combine(void **state) {
    (void)state;
    static const seeded_bug bugs[] = {
        {"rows without their weights", "include/arrivals.cuh", "\"args.weights[slot]\"", "\"1.0f\"",
         "y["},
        {"the weights of a token's choices swapped", "include/arrivals.cuh",
         "\"args.weights[slot]\"", "\"args.weights[slot ^ 1]\"", "y["},
        {"a token without rows stays unwritten", "include/arrivals.cuh", "i < D && !kept;",
         "i < D && !kept && t < 0;", "nan, should be"},
        {"one part too few waited for", "include/arrivals.cuh", "return kept * SPLIT;",
         "return kept * SPLIT - 1;", "y["},
        {"the bias with every share of K", "decode_gemm.cu",
         "$(summed and \"if (share_of_block() == 0) \" or \"\")value", "value", "y["},
        {"the last quad of columns left out", "include/arrivals.cuh", "if (column < D) sum_token",
         "if (column < D - 4) sum_token", "nan, should be"},
        {"dropped rows summed", "include/arrivals.cuh",
         "const bool kept = j0 + j < K && args.slot_rows[slot] >= 0;",
         "const bool kept = j0 + j < K;", "y["},
    };
    SEEDED_TRY(A100, "decode_gemm", "split=2",
               "down_combine t=23 d=72 f=136 e=8 k=2 capacity=0.3 bias=down", bugs);
}

/* What a first run leaves behind. */
static void test_sums(void **state) {
    (void)state;
    static const seeded_bug bugs[] = {
        {"sums not cleared", SUMS, "store_chunk(to + i * per_chunk<sum_type>(), chunk{});", ";",
         "y["},
        {"sums cleared only where nobody wrote", SUMS,
         "store_chunk(to + i * per_chunk<sum_type>(), chunk{});",
         "if (((const unsigned *)to)[i * 4] == ~0u) store_chunk(to + i * per_chunk<sum_type>(), "
         "chunk{});",
         "with a second run: y["},
        {"the last token's sums not rounded", SUMS,
         "(int)blockIdx.x * SUM_TOKENS;\n    const int chunks = min(SUM_TOKENS, args.tokens - "
         "first) * "
         "CHUNKS;\n    const float *from",
         "(int)blockIdx.x * SUM_TOKENS;\n    const int chunks = min(SUM_TOKENS, args.tokens - "
         "first - "
         "1) * CHUNKS;\n    const float *from",
         "nan, should be"},
        {"rows without their weights", SUMS,
         "__int_as_float(load_older((const int *)args.weights + slot));", "1.0f;", "y["},
        {"a slot taken for a token", SUMS, "(int)((unsigned)slot / K)",
         "(int)((unsigned)slot % args.tokens)", "y["},
    };
    SEEDED_TRY(A100, "grouped_gemm", "wide=1 bulk=0",
               "down_combine t=23 d=72 f=40 e=8 k=2 capacity=0.6", bugs);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_route_permute),
        cmocka_unit_test(test_slices),
        cmocka_unit_test(test_shares_of_tokens),
        cmocka_unit_test(test_down_combine),
        cmocka_unit_test(test_sums),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
