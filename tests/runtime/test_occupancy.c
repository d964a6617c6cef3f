/* label: unit
 * Blocks that share an SM: a few by hand, and a sweep over blocks, registers and shared memory of
 * each kind of chip against NVIDIA's own calculator, cuda_occupancy.h. */
#include "core/occupancy.h"

#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-function"
#include <cuda_occupancy.h>
#pragma GCC diagnostic pop

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

/* By NVIDIA's, for a kernel that may have as much shared memory as it asks for. */
static int64_t by_cuda(const moe_kernel *kernel, const moe_facts *facts) {
    const cudaOccDeviceProp chip = {
        .computeMajor = (int)facts->sm / 10,
        .computeMinor = (int)facts->sm % 10,
        .maxThreadsPerBlock = 1024,
        .maxThreadsPerMultiprocessor = (int)facts->threads_sm,
        .regsPerBlock = 65536,
        .regsPerMultiprocessor = (int)facts->regs_sm,
        .warpSize = 32,
        .sharedMemPerBlock = 49152,
        .sharedMemPerMultiprocessor = (size_t)facts->smem_sm,
        .sharedMemPerBlockOptin = (size_t)facts->smem,
        .reservedSharedMemPerBlock = 1024,
        .numSms = 1,
    };
    const cudaOccFuncAttributes function = {
        .maxThreadsPerBlock = INT_MAX,
        .numRegs = (int)kernel->regs,
        .sharedSizeBytes = (size_t)kernel->static_smem,
        .shmemLimitConfig = FUNC_SHMEM_LIMIT_OPTIN,
        .maxDynamicSharedSizeBytes = (size_t)kernel->smem,
    };
    const cudaOccDeviceState state = {.carveoutConfig = SHAREDMEM_CARVEOUT_MAX_SHARED};
    cudaOccResult result = {0};
    int error = cudaOccMaxActiveBlocksPerMultiprocessor(&result, &chip, &function, &state,
                                                        (int)kernel->block, (size_t)kernel->smem);
    if (error) fail_msg("NVIDIA's calculator gives error %d", error);
    return result.activeBlocksPerMultiprocessor;
}

static const moe_facts chips[] = {
    {.sm = 80, .smem = 166912, .smem_sm = 167936, .threads_sm = 2048, .blocks_sm = 32},
    {.sm = 86, .smem = 101376, .smem_sm = 102400, .threads_sm = 1536, .blocks_sm = 16},
    {.sm = 89, .smem = 101376, .smem_sm = 102400, .threads_sm = 1536, .blocks_sm = 24},
    {.sm = 90, .smem = 232448, .smem_sm = 233472, .threads_sm = 2048, .blocks_sm = 32},
    {.sm = 100, .smem = 232448, .smem_sm = 233472, .threads_sm = 2048, .blocks_sm = 32},
    {.sm = 120, .smem = 101376, .smem_sm = 102400, .threads_sm = 1536, .blocks_sm = 24},
};

static void cuda_says_the_same(void **state) {
    static const int64_t smem[][2] = {{0, 0},     {1024, 0},   {0, 40},       {33000, 0},
                                      {49152, 8}, {82944, 128}, {100000, 1000}, {232448, 0}};
    (void)state;
    for (size_t c = 0; c < sizeof chips / sizeof *chips; c++) {
        moe_facts facts = chips[c];
        facts.regs_sm = 65536;
        for (int64_t block = 16; block <= 1024; block += 16)
            for (int64_t regs = 16; regs <= 255; regs += 7)
                for (size_t s = 0; s < sizeof smem / sizeof *smem; s++) {
                    const moe_kernel kernel = {.block = block, .regs = regs, .smem = smem[s][0],
                                               .static_smem = smem[s][1]};
                    int64_t want = by_cuda(&kernel, &facts), got = moe_occupancy(&kernel, &facts);
                    if (got != want)
                        fail_msg("sm_%lld, %lld threads of %lld registers, %lld + %lld bytes: "
                                 "%lld blocks, CUDA says %lld",
                                 (long long)facts.sm, (long long)block, (long long)regs,
                                 (long long)smem[s][0], (long long)smem[s][1], (long long)got,
                                 (long long)want);
                }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(blocks_are_as_many_as_fit),
                                       cmocka_unit_test(cuda_says_the_same)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
