/* label: sim - the GEMMs for sm_90a with seeded bugs: each is found by the tuner's verdict. */
#include "seeded.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define H100 "sim:h100,checks=0"

static void test_grouped(void **state) {
    (void)state;
    static const seeded_bug bugs[] = {
        {"gate and up swapped", "include/activate.cuh", "or \"gate, float up\"",
         "or \"up, float gate\"", "h of slot["},
        {"one expert's bias for all", "grouped_gemm_sm90.cu",
         "const WT *from = bias + (long long)at.expert * WEIGHT_ROWS;", "const WT *from = bias;",
         "h of slot["},
        {"the last K of a step left out", "grouped_gemm_sm90.cu",
         "const int slice = k * 16 / SLICE, step = k % (SLICE / 16) * 2;",
         "const int slice = k * 16 / SLICE, step = k % (SLICE / 16) * 2 & 4;", "h of slot["},
        {"one expert's rows shifted", "include/stripes.cuh",
         "at.row = map.start[at.expert] +", "at.row = (at.expert == 1) + map.start[at.expert] +",
         "nan, should be"},
        {"the last row of each expert stays unwritten", "include/stripes.cuh",
         "at.end = map.start[at.expert] + rows;", "at.end = map.start[at.expert] + rows - 1;",
         "nan, should be"},
    };
    SEEDED_TRY(H100, "grouped_gemm_sm90", "store=0",
               "gemm_up t=19 d=72 f=40 e=4 k=2 act=swiglu bias=up", bugs);
}

static void test_decode(void **state) {
    (void)state;
    static const seeded_bug bugs[] = {
        {"the bias of the first columns only", "decode_gemm_sm90.cu",
         "bias[i][half] = column < WIDTH ? to_float(", "bias[i][half] = column < 8 ? to_float(",
         "y_rows of slot["},
        {"a share of K left out", "include/split.cuh",
         "{share * steps / SPLIT, (share + 1) * steps / SPLIT};",
         "{share * steps / SPLIT, (share + 1) * steps / SPLIT - (share > 0)};", "y_rows of slot["},
        {"one expert's rows shifted", "include/walk.cuh",
         "out.row = map.start[expert] + local % count * HEIGHT;",
         "out.row = map.start[expert] + local % count * HEIGHT + (expert == 1);", "nan, should be"},
    };
    SEEDED_TRY(H100, "decode_gemm_sm90", "split=2 stages=2",
               "gemm_down t=19 d=72 f=264 e=4 k=2 bias=down", bugs);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_grouped),
        cmocka_unit_test(test_decode),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
