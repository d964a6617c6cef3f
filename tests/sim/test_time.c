/* label: sim */
/* test_time.c - the time model ranks kernels whose order is known. */
#include "nvrtc_for_tests.h"
#include "rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { WORDS = 1 << 20 };

/* One kernel's launch. */
typedef struct timed {
    const char *entry;
    uint32_t grid, block, smem;
    int32_t n;
} timed;

/* `fast` must take less than `slow` divided by `factor`. */
typedef struct ranking {
    timed fast, slow;
    double factor;
} ranking;

static const ranking rankings[] = {
    {{"copy_coalesced", 264, 256, 0, WORDS}, {"copy_strided", 264, 256, 0, WORDS}, 1.5},
    {{"copy_coalesced", 264, 256, 0, WORDS}, {"copy_coalesced", 1, 256, 0, WORDS}, 10.0},
    {{"shared_rows", 132, 256, 0, 2000}, {"shared_columns", 132, 256, 0, 2000}, 4.0},
    {{"loads_apart", 16, 64, 0, 64}, {"loads_chained", 16, 64, 0, 64}, 3.0},
    {{"loads_chained", 1056, 128, 0, 64}, {"loads_chained", 1056, 128, 120000, 64}, 1.5},
    {{"atomics_spread", 64, 64, 0, 64}, {"atomics_one_word", 64, 64, 0, 64}, 1.2},
    {{"multiply", 528, 256, 0, 200}, {"divide", 528, 256, 0, 200}, 2.0},
    {{"multiply", 132, 256, 0, 2000}, {"multiply", 132, 1024, 0, 2000}, 1.5},
    {{"multiply", 132, 1024, 0, 2000}, {"multiply", 990, 1024, 0, 2000}, 3.0},
};

static char *kernels_ptx(void) {
    char *speed = text_file("bench/sim_speed.cu"), *time = text_file("tests/sim/time.cu");
    size_t size = strlen(speed) + strlen(time) + 1;
    char *source = malloc(size), *ptx;

    if (!source) fail_msg("out of memory");
    snprintf(source, size, "%s%s", speed, time);
    ptx = nvrtc_ptx(source, "time.cu", "compute_80", NULL);
    free(speed);
    free(time);
    free(source);
    return ptx;
}

static double time_of(sim_rig *rig, const char *ptx, const timed *t, moe_ptr in, moe_ptr out) {
    struct {
        moe_ptr in, out;
        int32_t n;
    } args = {in, out, t->n};

    rig_load(rig, ptx, t->entry);
    return rig_time(rig, t->grid, t->block, t->smem, &args, 20);
}

static void known_orders(void **state) {
    char *ptx = kernels_ptx();
    uint32_t *words = calloc(WORDS, sizeof *words);
    int failed = 0;
    moe_ptr in, out;
    sim_rig rig;

    (void)state;
    if (!words) fail_msg("out of memory");
    for (uint32_t i = 0; i < WORDS; i++) words[i] = i * 2654435761u >> 3;
    rig_open(&rig, "h100,checks=0");
    in = rig_buffer(&rig, words, WORDS * sizeof *words);
    out = rig_buffer(&rig, words, WORDS * sizeof *words);
    for (size_t i = 0; i < sizeof rankings / sizeof *rankings; i++) {
        const ranking *r = &rankings[i];
        double fast = time_of(&rig, ptx, &r->fast, in, out);
        double slow = time_of(&rig, ptx, &r->slow, in, out);
        print_message("%-18s grid %4u %9.1f us   %-18s grid %4u %9.1f us\n", r->fast.entry,
                      r->fast.grid, fast / 1e3, r->slow.entry, r->slow.grid, slow / 1e3);
        failed += !(fast * r->factor < slow);
    }
    rig_close(&rig);
    free(words);
    free(ptx);
    if (failed) fail_msg("%d pairs are in the wrong order", failed);
}

/* ------------------------------------------------------------------------------------- loops */

enum { STEPS = 1000 };

/* Of one more iteration, in cycles. */
static double step_cycles(const char *ptx, const char *entry, const uint32_t *words) {
    double ns[2];

    for (int i = 0; i < 2; i++) {
        sim_rig rig;
        rig_open(&rig, "h100,checks=0,threads=1");
        moe_ptr in = rig_buffer(&rig, words, WORDS * sizeof *words);
        moe_ptr out = rig_buffer(&rig, words, WORDS * sizeof *words);
        ns[i] = time_of(&rig, ptx, &(timed){entry, 1, 32, 0, (i + 1) * STEPS}, in, out);
        rig_close(&rig);
    }
    return (ns[1] - ns[0]) / STEPS * 1.98;
}

/* A load that needs the one before takes the way to the L2 in every step: 260 to 295 cycles on an
 * H100 (Luo et al. 2025). What a loop only reads has come before it: the next fma of a chain is
 * 4.4 cycles behind, to which a loop that is not unrolled adds its counter and branch. */
static void loops_cost_their_chains(void **state) {
    static uint32_t words[WORDS];
    char *ptx = kernels_ptx();
    double chase, hoisted, used;

    (void)state;
    chase = step_cycles(ptx, "chase", words);
    hoisted = step_cycles(ptx, "hoisted", words);
    used = step_cycles(ptx, "used_first", words);
    free(ptx);
    print_message("a step: chase %.1f cycles, fma %.1f, its factor used first %.1f\n", chase,
                  hoisted, used);
    assert_true(chase >= 260 && chase <= 295 * 1.1);
    assert_true(hoisted >= 4.4 && hoisted < 20 && hoisted < 1.01 * used);
}

static const char chains[] =
    "typedef unsigned u32; typedef unsigned long long u64;\n"
    "#define BEGIN(name) extern \"C\" __global__ void name(const u32 *in, u32 *out, int n) {\\\n"
    "    __shared__ __align__(1024) u32 s[4096];\\\n"
    "    for (int i = threadIdx.x; i < 4096; i += 128) s[i] = in[i];\\\n"
    "    asm volatile(\"fence.proxy.async;\" ::: \"memory\");\\\n"
    "    __syncthreads();\\\n"
    "    u64 at = (u64)__cvta_generic_to_shared(s) >> 4 | 8ull << 16 | 16ull << 32;\\\n"
    "    asm volatile(\"wgmma.fence.sync.aligned;\" ::: \"memory\");\n"
    "#define END asm volatile(\"wgmma.commit_group.sync.aligned; wgmma.wait_group.sync.aligned 0;\""
    " ::: \"memory\");\n"
    "#define D(i) \"+f\"(d[i]), \"+f\"(d[i + 1]), \"+f\"(d[i + 2]), \"+f\"(d[i + 3])\n"
    "BEGIN(wgmma8) float d[4] = {0, 0, 0, 0};\n"
    "#pragma unroll 1\n"
    "    for (int i = 0; i < n; i++)\n"
    "        asm volatile(\"wgmma.mma_async.sync.aligned.m64n8k16.f32.bf16.bf16 \"\n"
    "            \"{%0,%1,%2,%3}, %4, %4, 1, 1, 1, 0, 0;\" : D(0) : \"l\"(at));\n"
    "    END out[threadIdx.x] = (u32)d[0]; }\n"
    "BEGIN(wgmma64) float d[32];\n"
    "    for (int i = 0; i < 32; i++) d[i] = 0;\n"
    "#pragma unroll 1\n"
    "    for (int i = 0; i < n; i++)\n"
    "        asm volatile(\"wgmma.mma_async.sync.aligned.m64n64k16.f32.bf16.bf16 \"\n"
    "            \"{%0,%1,%2,%3,%4,%5,%6,%7,%8,%9,%10,%11,%12,%13,%14,%15,%16,%17,%18,%19,%20,\"\n"
    "            \"%21,%22,%23,%24,%25,%26,%27,%28,%29,%30,%31}, %32, %32, 1, 1, 1, 0, 0;\"\n"
    "            : D(0), D(4), D(8), D(12), D(16), D(20), D(24), D(28) : \"l\"(at));\n"
    "    END out[threadIdx.x] = (u32)d[0]; }\n";

/* 1024 operations in a row took 22.6 us for n = 8 and 28.6 us for n = 64 on an H200. */
static void narrow_products_take_their_time(void **state) {
    static uint32_t words[WORDS];
    char *ptx = nvrtc_ptx(chains, "chains.cu", "compute_90a", NULL);
    double ns[2];

    (void)state;
    for (int i = 0; i < 2; i++) {
        sim_rig rig;
        rig_open(&rig, "h200,checks=0,threads=1");
        moe_ptr in = rig_buffer(&rig, words, sizeof words);
        moe_ptr out = rig_buffer(&rig, words, sizeof words);
        const timed t = {i ? "wgmma64" : "wgmma8", 1, 128, 0, 1024};
        ns[i] = time_of(&rig, ptx, &t, in, out);
        rig_close(&rig);
    }
    free(ptx);
    print_message("1024 wgmma: n = 8 %.1f us, n = 64 %.1f us\n", ns[0] / 1e3, ns[1] / 1e3);
    assert_true(ns[1] / ns[0] > 1.0 && ns[1] / ns[0] < 28.6 / 22.6 * 1.2);
}

/* ------------------------------------------------------------------------------------- reuse */

/* What neighbours read at the same time comes from DRAM once: 44 us at the 3.08 TB/s that streams
 * reach on an H100, and less than the 1.07 GB take through its L2. 132 blocks at a time that come
 * to each chunk again after 128 MiB find nothing of it in 50 MiB: 1.07 GB at 3.35 TB/s. */
static void only_far_reuse_misses(void **state) {
    enum { CHUNKS = 128, CHUNK_BYTES = 1 << 20 };
    const double gigabytes = 8.0 * CHUNKS * CHUNK_BYTES * 1e-9, slots = 120000;
    char *ptx = kernels_ptx();
    void *words = calloc(CHUNKS, CHUNK_BYTES);
    sim_rig rig;

    (void)state;
    if (!words) fail_msg("out of memory");
    rig_open(&rig, "h100,checks=0");
    moe_ptr in = rig_buffer(&rig, words, (size_t)CHUNKS * CHUNK_BYTES);
    moe_ptr out = rig_buffer(&rig, words, sizeof(uint32_t));
    double near = time_of(&rig, ptx, &(timed){"near_reuse", 8 * CHUNKS, 1024, (uint32_t)slots, 0},
                          in, out);
    double far = time_of(&rig, ptx, &(timed){"far_reuse", 8 * CHUNKS, 1024, (uint32_t)slots, 0},
                         in, out);
    rig_close(&rig);
    free(words);
    free(ptx);
    print_message("near %.1f us, far %.1f us\n", near / 1e3, far / 1e3);
    assert_true(near < 150e3);
    assert_true(far > gigabytes / 3352 * 1e9);
}

/* ------------------------------------------------------------------------------------- tiles */

enum { N = 512, K = 256 };

static double tile_time(const char *entry, int bm, int rows) {
    char *ptx = kernels_ptx();
    int padded = (rows + bm - 1) / bm * bm;
    size_t a_bytes = (size_t)padded * K * 2, b_bytes = (size_t)N * K * 2;
    void *zeros = calloc(1, a_bytes + b_bytes);
    double nanoseconds;
    sim_rig rig;

    if (!zeros) fail_msg("out of memory");
    rig_open(&rig, "h100,checks=0");
    struct {
        moe_ptr a, b, c;
        int32_t n, k;
    } args = {rig_buffer(&rig, zeros, a_bytes), rig_buffer(&rig, zeros, b_bytes),
              rig_buffer(&rig, NULL, (size_t)padded * N * 4), N, K};
    rig_load(&rig, ptx, entry);
    nanoseconds = rig_time(&rig, (uint32_t)(padded / bm * N / 64), 128,
                           (uint32_t)(3 * (bm + 64) * 80), &args, sizeof args);
    rig_close(&rig);
    free(zeros);
    free(ptx);
    return nanoseconds;
}

/* 16 rows are one small tile; a large one multiplies 112 rows of padding. */
static void small_tiles_win_for_few_rows(void **state) {
    (void)state;
    assert_true(tile_time("tile16", 16, 16) < 0.8 * tile_time("tile128", 128, 16));
}

/* With rows enough, small tiles load the same weights again and again. */
static void large_tiles_win_for_many_rows(void **state) {
    (void)state;
    assert_true(tile_time("tile128", 128, 4096) < 0.9 * tile_time("tile16", 16, 4096));
}

static void model_time_repeats(void **state) {
    double first = tile_time("tile16", 16, 64);

    (void)state;
    assert_true(first > 0 && first == tile_time("tile16", 16, 64));
}

/* -------------------------------------------------------------------------------- hand-overs */

/* Of CHAIN loads in a row, with a flag that nobody has set yet. */
enum { CHAIN = 100, MOST_THREADS = 264 * 64 };

static double chain_time(const char *ptx, const timed *t) {
    static uint32_t zeros[WORDS];
    sim_rig rig;
    double ns;

    rig_open(&rig, "h100,checks=0,threads=1");
    ns = time_of(&rig, ptx, t, rig_buffer(&rig, zeros, sizeof zeros),
                 rig_buffer(&rig, zeros, (CHAIN + 1 + MOST_THREADS) * sizeof *zeros));
    rig_close(&rig);
    return ns;
}

/* Who waits for a flag takes as long as both chains, whether the simulator lets it poll thousands
 * of times (the last block sets the flag) or finds it set. */
static void a_hand_over_costs_both_sides(void **state) {
    static const uint32_t grids[] = {2, 264};
    char *ptx = kernels_ptx();

    (void)state;
    for (int i = 0; i < 2; i++) {
        uint32_t grid = grids[i], block = grid == 2 ? 32 : 64;
        double both = chain_time(ptx, &(timed){"loads_chained", grid, block, 0, 2 * CHAIN});
        double on = chain_time(ptx, &(timed){"hand_on", grid, block, 0, CHAIN});
        double back = chain_time(ptx, &(timed){"hand_back", grid, block, 0, CHAIN});
        print_message(
            "grid %3u: both chains in a row %6.2f us, handed on %6.2f us, back %6.2f us\n", grid,
            both / 1e3, on / 1e3, back / 1e3);
        assert_true(both < on && on < 1.05 * both);
        assert_true(0.999 * on < back && back < 1.001 * on);
    }
    free(ptx);
}

/* ----------------------------------------------------------------------- barriers of a cluster */

static const char turns[] =
    "__device__ __noinline__ unsigned chain(const unsigned *in, unsigned x, int n) {\n"
    "    for (int i = 0; i < n; i++) x = in[x & 0xffff] & 0xffff;\n"
    "    return x;\n"
    "}\n"
    "extern \"C\" __global__ void alone(const unsigned *in, unsigned *out, int n) {\n"
    "    out[blockIdx.x * blockDim.x + threadIdx.x] = chain(in, threadIdx.x, n);\n"
    "}\n"
    "extern \"C\" __global__ void in_turns(const unsigned *in, unsigned *out, int n) {\n"
    "    unsigned x = threadIdx.x;\n"
    "    if (blockIdx.x % 2 == 0) x = chain(in, x, n);\n"
    "    asm volatile(\"barrier.cluster.arrive.aligned; barrier.cluster.wait.aligned;\" ::: "
    "\"memory\");\n"
    "    if (blockIdx.x % 2 == 1) x = chain(in, x, n);\n"
    "    out[blockIdx.x * blockDim.x + threadIdx.x] = x;\n"
    "}\n";

/* Of two blocks of a cluster, with a barrier between their chains, the second goes on when the
 * first has come, however often it has tried. */
static void a_cluster_waits_for_the_last(void **state) {
    static uint32_t zeros[WORDS];
    char *ptx = nvrtc_ptx(turns, "turns.cu", "compute_90", NULL);
    sim_rig rig;

    (void)state;
    rig_open(&rig, "h100,checks=0,threads=1");
    moe_ptr in = rig_buffer(&rig, zeros, sizeof zeros), out = rig_buffer(&rig, zeros, sizeof zeros);
    double both = time_of(&rig, ptx, &(timed){"alone", 2, 256, 0, 2 * CHAIN}, in, out);
    rig.cluster = 2;
    double turn = time_of(&rig, ptx, &(timed){"in_turns", 2, 256, 0, CHAIN}, in, out);
    rig_close(&rig);
    free(ptx);
    print_message("both chains in a row %.2f us, in turns %.2f us\n", both / 1e3, turn / 1e3);
    assert_true(0.99 * both < turn && turn < 1.01 * both);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_orders),
        cmocka_unit_test(loops_cost_their_chains),
        cmocka_unit_test(narrow_products_take_their_time),
        cmocka_unit_test(only_far_reuse_misses),
        cmocka_unit_test(small_tiles_win_for_few_rows),
        cmocka_unit_test(large_tiles_win_for_many_rows),
        cmocka_unit_test(model_time_repeats),
        cmocka_unit_test(a_hand_over_costs_both_sides),
        cmocka_unit_test(a_cluster_waits_for_the_last),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
