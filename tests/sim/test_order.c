/* label: sim */
/* test_order.c - correct kernels whose order is hard to see: none may be reported as a race. */
#include "kernel_case.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void clock_turns_over(const uint32_t *in, uint32_t *out) {
    uint32_t turn = 70000u * 33 % 64;

    for (uint32_t t = 0; t < 64; t++) {
        out[t] = in[(t + turn) % 64] + 70000;
        out[64 + t] = in[(t + turn) % 64] + 140000;
    }
}

static void changing_groups(const uint32_t *in, uint32_t *out) {
    uint32_t x[32], before[32];

    memcpy(x, in, sizeof x);
    for (int width = 2; width <= 32; width *= 2) {
        memcpy(before, x, sizeof x);
        for (int t = 0; t < 32; t++) x[t] += before[t ^ (width / 2)] * 3;
    }
    memcpy(out, x, sizeof x);
}

static void ring_of_barriers(const uint32_t *in, uint32_t *out) {
    for (int t = 0; t < 64; t++)
        for (int i = 0; i < 40; i++) out[t] = out[t] * 5 + in[i * 64 + (t ^ 40)];
}

enum { GRID = 12, BLOCK = 64, THREADS = GRID * BLOCK };

static void grid_barriers(const uint32_t *in, uint32_t *out) {
    uint32_t *b = out + 2048;

    for (int i = 0; i < THREADS; i++) b[i] = (in[(i + 100) % THREADS] >> 4) + 1;
    for (int i = 0; i < THREADS; i++) out[1024 + i] = b[(i + 37) % THREADS] * 3;
    out[4095] = 2 * GRID;
}

static void release_acquire(const uint32_t *in, uint32_t *out) {
    for (int t = 0; t < 64; t++) {
        out[1000 + t] = in[t];
        out[t] = in[(t + 5) % 64] ^ 1;
    }
    out[4000] = 1;
}

static void atomics_behind_named_barrier(const uint32_t *in, uint32_t *out) {
    for (int t = 0; t < 64; t++) {
        out[in[t] & 7]++;
        out[32 + (in[t] & 7)]++;
    }
    memcpy(out + 64, in, 32 * sizeof *in);
}

static void flag_in_shared(const uint32_t *in, uint32_t *out) {
    for (int t = 0; t < 32; t++) out[t] = in[31 - t];
}

static void same_value(const uint32_t *in, uint32_t *out) {
    for (int t = 0; t < 128; t++) out[7] |= in[t] & 1;
    out[8] = out[9] = 9;
}

static void lock_within_warp(const uint32_t *in, uint32_t *out) {
    for (int t = 0; t < 64; t++) out[0] += in[t] % 10;
}

static void readers_take_turns(const uint32_t *in, uint32_t *out) {
    for (int t = 0; t < 64; t++) {
        out[t] = in[t ^ 1] + in[t] * 5;
        out[64 + t] = in[t ^ 3] + in[t ^ 2] * 3;
    }
}

static void order_kernels(void **state) {
    static const kernel_case cases[] = {
        {.entry = "clock_turns_over", .grid = 1, .block = 64, .expect = clock_turns_over},
        {.entry = "changing_groups", .grid = 1, .block = 32, .expect = changing_groups},
        {.entry = "ring_of_barriers", .grid = 1, .block = 128, .expect = ring_of_barriers},
        {.entry = "grid_barriers", .grid = GRID, .block = BLOCK, .expect = grid_barriers},
        {.entry = "release_acquire", .grid = 2, .block = 64, .expect = release_acquire},
        {.entry = "atomics_behind_named_barrier", .grid = 1, .block = 96,
         .expect = atomics_behind_named_barrier},
        {.entry = "flag_in_shared", .grid = 1, .block = 64, .expect = flag_in_shared},
        {.entry = "same_value", .grid = 3, .block = 128, .expect = same_value},
        {.entry = "lock_within_warp", .grid = 1, .block = 64, .expect = lock_within_warp},
        {.entry = "readers_take_turns", .grid = 1, .block = 64, .expect = readers_take_turns},
    };

    (void)state;
    kernel_cases_check("tests/sim/order.cu", cases, sizeof cases / sizeof *cases);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(order_kernels),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
