/* label: sim - an op too large to be known whole: bugs are found by spots, and by what all add up
 * to. */
#include "seeded.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define A100 "sim:a100,checks=0"
#define SELECT "include/select.cuh"

/* Of so much the reference knows some tokens only: the statistics are of all. */
static void test_spots(void **state) {
    (void)state;
    static const seeded_bug bugs[] = {
        {"one block's choices not counted", SELECT, "if (counts && counts[e]) atomicAdd",
         "if (counts && counts[e] && first) atomicAdd", "counts["},
        {"the last token stays unwritten", SELECT,
         "lane = (int)threadIdx.x % 32, tokens = min(TOKENS, a.tokens - first);",
         "lane = (int)threadIdx.x % 32, tokens = min(TOKENS, a.tokens - first - 1);", "ids[118,0]"},
        {"one token's probabilities left out", SELECT, "sum += __float2ull_rn(prob);",
         "sum += token + first == 9 ? 0 : __float2ull_rn(prob);", "the sum of prob_sums"},
    };
    SEEDED_TRY(A100, "route", "", "route t=160 d=4096 e=1024 k=2 router=softmax>topk", bugs);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_spots)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
