/* label: sim */
/* test_memory.c - loads and stores of every width and space, atomics, and asynchronous copies. */
#include "kernel_case.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void copied(const uint32_t *in, uint32_t *out) {
    memcpy(out, in, KERNEL_WORDS * sizeof *in);
}

static void extend(const uint32_t *in, uint32_t *out) {
    for (int i = 0; i < 256; i++)
        out[i] = (uint32_t)(((const int8_t *)in)[i] + ((const int16_t *)in)[i] * 3) +
                 ((const uint8_t *)in)[i] * 65536u;
}

static void generic(const uint32_t *in, uint32_t *out) {
    for (int t = 0; t < 64; t++)
        for (int i = 0; i < 8; i++)
            out[t] += t % 3 == 0   ? in[(t & 31) + i]
                      : t % 3 == 1 ? in[t + i] ^ (uint32_t)i
                                   : in[t + i];
}

static void local_array(const uint32_t *in, uint32_t *out) {
    for (int t = 0; t < 256; t++) {
        uint32_t a[16];
        for (uint32_t i = 0; i < 16; i++) a[i] = i;
        for (int i = 0; i < 32; i++) a[in[t + i] & 15] += in[t + i] >> 8;
        for (int i = 0; i < 16; i++) out[t] = out[t] * 31 + a[i];
    }
}

static void tables(const uint32_t *in, uint32_t *out) {
    static const uint32_t table[] = {3, 1, 4, 1, 5, 9, 2, 6};

    for (int t = 0; t < 256; t++) out[t] = table[in[t] & 7] + 100 * ((in[t] >> 3 & 3) + 1);
}

static void transpose(const uint32_t *in, uint32_t *out) {
    for (int i = 0; i < 1024; i++) out[i] = in[i % 32 * 32 + i / 32];
}

static void dynamic_shared(const uint32_t *in, uint32_t *out) {
    for (uint32_t t = 0; t < 128; t++) out[t] = in[127 - t] + (t & 31);
}

static void narrow_neighbours(const uint32_t *in, uint32_t *out) {
    for (int b = 0; b < 2; b++)
        for (int t = 0; t < 256; t++) {
            ((uint16_t *)out)[b * 256 + t] = (uint16_t)in[t];
            out[1024 + b * 256 + t] = (in[255 - t] & 0xffff) | (in[t] >> 16 & 0xff) << 16;
        }
}

static uint64_t wide(const uint32_t *w) {
    uint64_t value;

    memcpy(&value, w, sizeof value);
    return value;
}

static void set_wide(uint32_t *w, uint64_t value) {
    memcpy(w, &value, sizeof value);
}

/* What one thread's atomics do to 32 zeroed words; every sum is independent of the order. */
static void atomic_step(uint32_t *w, uint32_t x) {
    float f;
    double d;

    w[0] += x;
    w[1] -= x;
    w[2] = x < w[2] ? x : w[2];
    w[3] = x > w[3] ? x : w[3];
    w[4] &= x | 0xff00ff;
    w[5] |= x & 0x0f0f0f;
    w[6] ^= x;
    w[7] = (int32_t)x < (int32_t)w[7] ? x : w[7];
    w[8] = (int32_t)x > (int32_t)w[8] ? x : w[8];
    w[9] = w[9] >= 37 ? 0 : w[9] + 1;
    w[10] = w[10] == 0 || w[10] > 41 ? 41 : w[10] - 1;
    w[11] = w[11] * 5 + 1;
    memcpy(&f, &w[12], sizeof f);
    f += (float)(x & 15);
    memcpy(&w[12], &f, sizeof f);
    set_wide(w + 14, wide(w + 14) + ((uint64_t)x << 8));
    set_wide(w + 16, (uint64_t)x << 16 > wide(w + 16) ? (uint64_t)x << 16 : wide(w + 16));
    memcpy(&d, w + 18, sizeof d);
    d += (double)(x & 1023);
    memcpy(w + 18, &d, sizeof d);
    w[20] = 77;
    w[21] = w[22] = 1;
    w[23]++;
}

static void atomics(const uint32_t *in, uint32_t *out) {
    for (int b = 0; b < 4; b++)
        for (int t = 0; t < 128; t++) atomic_step(out + 32 * b, in[b * 128 + t]);
}

static void tickets(const uint32_t *in, uint32_t *out) {
    (void)in;
    out[0] = 8 * 96;
    for (int i = 0; i < 8 * 96; i++) out[1 + i] = 1;
    for (int b = 0; b < 8; b++) out[3000 + b] = 9;
}

static void atomics_packed(const uint32_t *in, uint32_t *out) {
    (void)in;
    for (int i = 0; i < 4; i++) out[i] = 0x50004c00; /* 16.0, 32.0 */
    out[8] = 0x58005400;                             /* 64.0, 128.0 */
}

/* 32 lanes; the last of them sees what the others have left. */
static void atomics_vector(const uint32_t *in, uint32_t *out) {
    static const float sums[] = {32, 64, 0, 0, 96, 128, 160, 192, 31, 62};

    (void)in;
    memcpy(out, sums, sizeof sums);
}

static void atomics_bf16(const uint32_t *in, uint32_t *out) {
    (void)in;
    out[0] = 0x43004280; /* 64.0, 128.0 */
}

static void last_block(const uint32_t *in, uint32_t *out) {
    out[0] = 12;
    for (int i = 0; i < 12 * 64; i++) {
        out[1 + i] = in[i] & 0xffff;
        out[4000] += in[i] & 0xffff;
    }
}

static void chained(const uint32_t *in, uint32_t *out) {
    for (int b = 0; b < 24; b++) {
        out[b] = (b ? out[b - 1] : 0) + (in[b] & 0xff);
        out[1000 + b] = 1;
    }
}

static void async_widths(const uint32_t *in, uint32_t *out) {
    for (int i = 0; i < 768; i++) out[i] = in[i ^ 5];
}

static void async_zero_fill(const uint32_t *in, uint32_t *out) {
    for (int t = 0; t < 64; t++) memcpy(out + t * 4, in + t * 4, (size_t)(t % 17));
}

static void async_ring(const uint32_t *in, uint32_t *out) {
    for (int t = 0; t < 32; t++)
        for (int tile = 0; tile < 16; tile++)
            out[t] = out[t] * 3 + in[tile * 64 + t] + in[tile * 64 + 63 - t];
}

static const kernel_case cases[] = {
    {"copy_u8", 4, 96, 0, copied, false},
    {"copy_u16", 3, 128, 0, copied, false},
    {"copy_u32", 3, 128, 0, copied, false},
    {"copy_u64", 3, 64, 0, copied, false},
    {"copy_char2", 3, 128, 0, copied, false},
    {"copy_char4", 3, 100, 0, copied, false},
    {"copy_ushort2", 3, 128, 0, copied, false},
    {"copy_ushort4", 3, 33, 0, copied, false},
    {"copy_float2", 3, 128, 0, copied, false},
    {"copy_uint4", 3, 31, 0, copied, false},
    {"copy_double2", 3, 128, 0, copied, false},
    {"copy_hints", 2, 64, 0, copied, false},
    {"extend", 2, 128, 0, extend, false},
    {"generic", 1, 64, 0, generic, false},
    {"local_array", 2, 128, 0, local_array, false},
    {"tables", 2, 128, 0, tables, false},
    {"transpose", 1, 256, 0, transpose, false},
    {"dynamic_shared", 1, 128, 256 + 128 * 4, dynamic_shared, false},
    {"narrow_neighbours", 2, 256, 0, narrow_neighbours, false},
    {"atomics_global", 4, 128, 0, atomics, false},
    {"atomics_shared", 4, 128, 0, atomics, false},
    {"tickets", 8, 96, 0, tickets, false},
    {"atomics_packed", 1, 64, 0, atomics_packed, false},
    {"atomics_bf16", 1, 64, 0, atomics_bf16, true},
    {"atomics_vector", 1, 32, 0, atomics_vector, true},
    {"last_block", 12, 64, 0, last_block, false},
    {"chained", 24, 32, 0, chained, false},
    {"async_widths", 1, 64, 0, async_widths, false},
    {"async_zero_fill", 1, 64, 0, async_zero_fill, false},
    {"async_ring", 1, 32, 0, async_ring, false},
};

static void memory_kernels(void **state) {
    (void)state;
    kernel_cases_check("tests/sim/memory.cu", cases, sizeof cases / sizeof *cases);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(memory_kernels)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
