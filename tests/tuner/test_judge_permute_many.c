/* label: sim - index maps by several kernels with seeded bugs: each is found by the tuner's
 * verdict. */
#include "seeded.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define A100 "sim:a100,checks=0"

static void test_many_blocks(void **state) {
    (void)state;
    static const seeded_bug bugs[] = {
        {"a block's own slots ahead of it", "permute.cu", "if (other + j * GROUPS < block)",
         "if (other + j * GROUPS < max(block, 1))", "slot_rows["},
        {"the last of a thread's slots not counted", "permute.cu",
         "if (is_expert(mine.expert[i])) atomicAdd(&counts[mine.expert[i]], 1);",
         "if (i < ITEMS - 1 && is_expert(mine.expert[i])) atomicAdd(&counts[mine.expert[i]], 1);",
         "expert_rows["},
    };
    SEEDED_TRY(A100, "permute", "blocks=32 threads=128 items=2 scan=0",
               "permute t=700 e=8 k=2 capacity=1", bugs);
}

static void test_scan(void **state) {
    (void)state;
    static const seeded_bug bugs[] = {
        {"prefix sums of the warp's own blocks", "permute.cu",
         "for (int i = 0; i < warp; i++) before += sums[i][lane];", "", "expert_rows["},
        {"a total without the last run of blocks", "permute.cu", "if (warp == 31) block_counts(a)",
         "if (warp == 1) block_counts(a)", "expert_rows["},
    };
    SEEDED_TRY(A100, "permute", "blocks=32 threads=128 items=2 scan=1",
               "permute t=600 e=8 k=2 capacity=1", bugs);
}

/* The weights decide who stays. */
static void test_priority(void **state) {
    (void)state;
    static const seeded_bug bugs[] = {
        {"drops in token order", "permute.cu", "mask_ids(a, a.scratch);",
         "for (int s = threadIdx.x; s < a.tokens * K; s += GATE_THREADS) a.scratch[s] = a.ids[s];",
         "slot_rows["},
    };
    SEEDED_TRY(A100, "permute", "", "permute t=37 e=8 k=2 capacity=0.8 priority=gate", bugs);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_many_blocks),
        cmocka_unit_test(test_scan),
        cmocka_unit_test(test_priority),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
