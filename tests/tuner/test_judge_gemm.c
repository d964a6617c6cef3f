/* label: sim - the expert GEMMs for sm_80 and up with seeded bugs: each is found by the tuner's
 * verdict. */
#include "seeded.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define A100 "sim:a100,checks=0"

static void test_up(void **state) {
    (void)state;
    static const seeded_bug bugs[] = {
        {"gate and up swapped", "include/activate.cuh", "or \"gate, float up\"",
         "or \"up, float gate\"", "h of slot["},
        {"the bias left out", "grouped_gemm.cu", "(up and p.bias_up or", "(false and p.bias_up or",
         "h of slot["},
        {"the gate's bias for both halves", "grouped_gemm.cu",
         "const WT *bias = $(bias) + (long long)at.expert * WEIGHT_ROWS + j % HALVES * half_step +",
         "const WT *bias = $(bias) + (long long)at.expert * WEIGHT_ROWS +", "h of slot["},
        {"the next expert's bias at the last one", "grouped_gemm.cu",
         "const WT *bias = $(bias) + (long long)at.expert * WEIGHT_ROWS",
         "const WT *bias = $(bias) + (long long)(at.expert == 3 ? 0 : at.expert) * WEIGHT_ROWS",
         "h of slot["},
        {"the tail of K left out", "grouped_gemm.cu",
         "constexpr int K_TILES = (DEPTH + BK - 1) / BK;", "constexpr int K_TILES = DEPTH / BK;",
         "h of slot["},
        {"the last columns stay unwritten", "grouped_gemm.cu",
         "$(by_lanes and \"add_words\" or \"store_words\")(out + column, word);",
         "if (column < WIDTH - 8) store_words(out + column, word);", "nan, should be"},
        {"the last row of an expert stays unwritten", "grouped_gemm.cu",
         "out.end = tile.start + tile.rows;", "out.end = tile.start + tile.rows - 1;",
         "nan, should be"},
        {"one expert's rows shifted", "grouped_gemm.cu",
         "(unsigned)args.row_slots[at.row + my_row + i * STEP] / K",
         "(unsigned)args.row_slots[at.expert == 2 ? at.end - 1 - my_row - i * STEP : at.row + "
         "my_row "
         "+ i * STEP] / K",
         "h of slot["},
        {"results cut off instead of rounded", "include/types.cuh",
         "\"=r\"(out) : \"f\"(high), \"f\"(low));\n    else",
         "\"=r\"(out) : \"f\"(__uint_as_float(__float_as_uint(high) & ~0xffffu)), "
         "\"f\"(__uint_as_float(__float_as_uint(low) & ~0xffffu)));\n    else",
         "h of slot["},
        {"a slot taken for a token", "grouped_gemm.cu",
         "(unsigned)args.row_slots[at.row + my_row + i * STEP] / K",
         "(unsigned)args.row_slots[at.row + my_row + i * STEP] % args.tokens", "h of slot["},
    };
    SEEDED_TRY(A100, "grouped_gemm", "bm=16 wm=1 bn=64",
               "gemm_up t=19 d=72 f=40 e=4 k=2 act=swiglu bias=up", bugs);
}

/* The tolerance is of the dtype: what bf16 would hide, fp32 shows. */
static void test_up_f32(void **state) {
    (void)state;
    static const seeded_bug bugs[] = {
        {"products of one tf32 number each", "grouped_gemm.cu",
         "for (int i = 0; i < MI; i++) mma_tf32(sum[i][j], a_small[i], big[0], big[1]);", ";",
         "h of slot["},
    };
    SEEDED_TRY(A100, "grouped_gemm", "math=1",
               "gemm_up t=19 d=72 f=40 e=4 k=2 act=swiglu x=f32 w=f32", bugs);
}

static void test_up_weighs_inputs(void **state) {
    (void)state;
    static const seeded_bug bugs[] = {
        {"inputs' weights left out", "include/input_weight.cuh",
         "expert < LOCAL ? args.weights[args.row_slots[row]] : 1.0f;", "1.0f;", "h of slot["},
        {"a shared expert under weights", "include/input_weight.cuh",
         "expert < LOCAL ? args.weights[args.row_slots[row]] : 1.0f;",
         "args.weights[args.row_slots[row]];", "h of slot["},
        {"a shared expert's slices all the first", "include/weights.cuh",
         "(long long)(expert - LOCAL) *", "0 *", "h of slot["},
    };
    SEEDED_TRY(A100, "grouped_gemm", "bm=16 wm=1",
               "gemm_up t=9 d=72 f=40 e=4 k=1 act=silu router=topk>sigmoid>input shared=80", bugs);
}

static void test_down(void **state) {
    (void)state;
    static const seeded_bug bugs[] = {
        {"the bias left out", "grouped_gemm.cu", "not up and p.bias_down)", "not up and false)",
         "y_rows of slot["},
        {"the tail of K left out", "grouped_gemm.cu",
         "constexpr int K_TILES = (DEPTH + BK - 1) / BK;", "constexpr int K_TILES = DEPTH / BK;",
         "y_rows of slot["},
        {"one expert's rows shifted", "grouped_gemm.cu",
         "const XT *a_from = args.h + (long long)(at.row + my_row) * DEPTH",
         "const XT *a_from = args.h + (long long)(at.row + (at.expert == 1 ? my_row ^ 1 : my_row)) "
         "* DEPTH",
         "y_rows of slot["},
        {"all experts by the first one's weights", "include/weights.cuh",
         "(long long)expert * $(up and (p.gated", "0 * $(up and (p.gated",
         "y_rows of slot["},
    };
    SEEDED_TRY(A100, "grouped_gemm", "bm=16 wm=1", "gemm_down t=19 d=72 f=40 e=4 k=2 bias=down",
               bugs);
}

static void test_one_token(void **state) {
    (void)state;
    static const seeded_bug bugs[] = {
        {"a wrong expert where T = 1", "include/weights.cuh",
         "(long long)expert * $(up and (p.gated",
         "(long long)(args.tokens == 1 ? expert ^ 1 : expert) * $(up and (p.gated",
         "h of slot["},
    };
    SEEDED_TRY(A100, "gemv", "", "gemm_up t=1 d=72 f=40 e=8 k=2 act=gelu", bugs);
}

static void test_gemv(void **state) {
    (void)state;
    static const seeded_bug bugs[] = {
        {"the last row of eight stays unwritten", "gemv.cu",
         "out.rows = min(ROWS, tile.start + tile.rows - out.first);",
         "out.rows = min(ROWS - 1, tile.start + tile.rows - out.first);", "nan, should be"},
        {"the tail of K left out", "gemv.cu", "const int end = min(range.end * 32, CHUNKS);",
         "const int end = min(range.end * 32, CHUNKS - 1);", "y_rows of slot["},
        {"a share of K counted twice", "include/split.cuh", "{share * steps / SPLIT,",
         "{(share ? share - 1 : 0) * steps / SPLIT,", "y_rows of slot["},
        {"shares of K added to what scratch holds", "gemv.cu",
         "sums[sum_at(r, warp * COLUMNS + c, half)] = value[half];",
         "sums[sum_at(r, warp * COLUMNS + c, half)] += value[half];", "nan, should be"},
        {"a share of K left out", "include/split.cuh",
         "for (int share = 0; share < SPLIT; share++) total += sums[share * BLOCK_SUMS + at];",
         "for (int share = 1; share < SPLIT; share++) total += sums[share * BLOCK_SUMS + at];",
         "y_rows of slot["},
        {"the last column stays unwritten", "gemv.cu", "if (column >= WIDTH) return;",
         "if (column >= WIDTH - 1) return;", "nan, should be"},
    };
    SEEDED_TRY(A100, "gemv", "split=2 unroll=1", "gemm_down t=70 d=72 f=520 e=4 k=1", bugs);
}

static void test_decode(void **state) {
    (void)state;
    static const seeded_bug bugs[] = {
        {"one warp's share of K left out", "decode_gemm.cu",
         "for (int warp = 0; warp < WARPS; warp++) total",
         "for (int warp = 1; warp < WARPS; warp++) total", "h of slot["},
        {"gate and up swapped", "decode_gemm.cu", "return HALVES == 2 ? r / 8 % 2 : 0;",
         "return HALVES == 2 ? 1 - r / 8 % 2 : 0;", "h of slot["},
        {"the tail of K left out", "decode_gemm.cu",
         "constexpr int K_TILES = (DEPTH + BK - 1) / BK;", "constexpr int K_TILES = DEPTH / BK;",
         "h of slot["},
        {"the last columns stay unwritten", "decode_gemm.cu",
         "if (WIDTH % OUT_N != 0 && at.column + column >= WIDTH) continue;",
         "if (WIDTH % OUT_N != 0 && at.column + column >= WIDTH - 2) continue;", "nan, should be"},
        {"the second tile of an expert on the first one's rows", "decode_gemm.cu",
         "out.row = tile.start + local % tile.count * N;", "out.row = tile.start;",
         "nan, should be"},
    };
    SEEDED_TRY(A100, "decode_gemm", "n=8 rows=32 warps=2 split=1",
               "gemm_up t=19 d=200 f=40 e=4 k=2 act=swiglu", bugs);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_up),
        cmocka_unit_test(test_up_f32),
        cmocka_unit_test(test_up_weighs_inputs),
        cmocka_unit_test(test_down),
        cmocka_unit_test(test_one_token),
        cmocka_unit_test(test_gemv),
        cmocka_unit_test(test_decode),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
