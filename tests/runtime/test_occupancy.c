/* label: unit
 * Blocks that share an SM, against CUDA's occupancy calculator. */
#include "core/occupancy.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static const moe_facts a100 = {.regs_sm = 65536, .threads_sm = 2048, .blocks_sm = 32,
                               .smem_sm = 167936, .smem = 166912};

static const struct {
    int64_t block, regs, smem, static_smem, blocks;
} cases[] = {
    {256, 32, 0, 0, 8},         /* threads */
    {32, 16, 0, 0, 32},         /* blocks */
    {128, 255, 0, 0, 2},        /* registers, 256 a thread as they are given out */
    {128, 129, 0, 0, 3},        /* 136 */
    {100, 64, 0, 0, 8},         /* four warps, the last one not full: 65536 / (128 * 64) */
    {128, 32, 82944, 0, 2},     /* shared memory: 81 KB and the system's 1 KB */
    {128, 32, 82944, 128, 1},   /* and a little more */
    {256, 168, 0, 0, 1},
    {1024, 64, 0, 0, 1},
    {1024, 72, 0, 0, 0},        /* more registers than there are */
    {128, 0, 0, 0, 16},         /* not compiled */
};

static void blocks_are_as_many_as_fit(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const moe_kernel kernel = {.block = cases[i].block, .regs = cases[i].regs,
                                   .smem = cases[i].smem, .static_smem = cases[i].static_smem};
        int64_t got = moe_occupancy(&kernel, &a100);
        if (got != cases[i].blocks) fail_msg("case %zu: %lld blocks", i, (long long)got);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(blocks_are_as_many_as_fit)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
