/* label: sim */
/* test_matrix.c - mma.sync, ldmatrix and stmatrix against plain matrix products.
 *
 * The fragment layouts are written here from the figures of the PTX ISA ("Matrix Fragments for
 * mma.m16n8k*"): g = lane / 4, q = lane % 4. */
#include "exact.h"
#include "kernel_case.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

enum { M = 16, N = 8, K = 16, BLOCKS = 8, LANES = 32 };

/* One warp's matrices. */
typedef struct matrices {
    int a[M][K], b[K][N], c[M][N];
} matrices;

static int small(uint32_t word, int half) {
    return (int)(word >> 16 * half & 15) - 8;
}

static int wide(uint32_t word) {
    return (int)(word & 511) - 256;
}

/* 16-bit operands: a register holds two neighbours along k. */
static void place_halves(matrices *m, const uint32_t *words, int lane, int k) {
    int g = lane / 4, q = lane % 4;

    for (int half = 0; half < 2; half++) {
        for (int j = 0; j < k / 4; j++)
            m->a[g + j % 2 * 8][q * 2 + half + j / 2 * 8] = small(words[j], half);
        for (int j = 0; j < k / 8; j++)
            m->b[q * 2 + half + j * 8][g] = small(words[4 + j], half);
    }
}

/* tf32 operands: one element a register. */
static void place_tf32(matrices *m, const uint32_t *words, int lane, int k) {
    int g = lane / 4, q = lane % 4;

    for (int j = 0; j < k / 2; j++) m->a[g + j % 2 * 8][q + j / 2 * 4] = wide(words[j]);
    for (int j = 0; j < k / 4; j++) m->b[q + j * 4][g] = wide(words[4 + j]);
}

static void multiply(matrices *m, int k) {
    for (int i = 0; i < M; i++)
        for (int j = 0; j < N; j++)
            for (int l = 0; l < k; l++) m->c[i][j] += m->a[i][l] * m->b[l][j];
}

static uint32_t f32_bits(int value) {
    float f = (float)value;
    uint32_t bits;

    memcpy(&bits, &f, sizeof bits);
    return bits;
}

typedef void placer(matrices *m, const uint32_t *words, int lane, int k);

/* Accumulators in f32: register j is row g + j / 2 * 8, column 2q + j % 2. */
static void products(const uint32_t *in, uint32_t *out, placer *place, int k) {
    for (int block = 0; block < BLOCKS; block++) {
        const uint32_t *words = in + block * LANES * 16;
        matrices m;
        memset(&m, 0, sizeof m);
        for (int lane = 0; lane < LANES; lane++) {
            place(&m, words + lane * 16, lane, k);
            for (int j = 0; j < 4; j++)
                m.c[lane / 4 + j / 2 * 8][lane % 4 * 2 + j % 2] =
                    (int)(words[lane * 16 + 8 + j] & 255) - 128;
        }
        multiply(&m, k);
        for (int lane = 0; lane < LANES; lane++)
            for (int j = 0; j < 4; j++)
                out[(block * LANES + lane) * 4 + j] =
                    f32_bits(m.c[lane / 4 + j / 2 * 8][lane % 4 * 2 + j % 2]);
    }
}

/* Accumulators in f16: register j is row g + j * 8, columns 2q and 2q + 1. */
static void f16_products(const uint32_t *in, uint32_t *out, int k) {
    for (int block = 0; block < BLOCKS; block++) {
        const uint32_t *words = in + block * LANES * 16;
        matrices m;
        memset(&m, 0, sizeof m);
        for (int lane = 0; lane < LANES; lane++) {
            place_halves(&m, words + lane * 16, lane, k);
            for (int j = 0; j < 4; j++)
                m.c[lane / 4 + j / 2 * 8][lane % 4 * 2 + j % 2] =
                    small(words[lane * 16 + 8 + j / 2], j % 2);
        }
        multiply(&m, k);
        for (int lane = 0; lane < LANES; lane++)
            for (int j = 0; j < 4; j++)
                out[(block * LANES + lane) * 4 + j / 2] |=
                    (uint32_t)exact_round(F16, m.c[lane / 4 + j / 2 * 8][lane % 4 * 2 + j % 2], RN)
                    << 16 * (j % 2);
    }
}

static void halves_k16(const uint32_t *in, uint32_t *out) {
    products(in, out, place_halves, 16);
}

static void halves_k8(const uint32_t *in, uint32_t *out) {
    products(in, out, place_halves, 8);
}

static void tf32_k8(const uint32_t *in, uint32_t *out) {
    products(in, out, place_tf32, 8);
}

static void tf32_k4(const uint32_t *in, uint32_t *out) {
    products(in, out, place_tf32, 4);
}

static void f16_acc_k16(const uint32_t *in, uint32_t *out) {
    f16_products(in, out, 16);
}

static void f16_acc_k8(const uint32_t *in, uint32_t *out) {
    f16_products(in, out, 8);
}

/* ----------------------------------------------------------------------------------- ldmatrix */

/* Element (row, column) of tile number `tile`; lane 8 * tile + row gave the row's address. */
static uint32_t tile_element(const uint32_t *in, int block, int tile, int row, int column) {
    return ((const uint16_t *)(in + block * 32 * 12 + (tile * 8 + row) * 12))[column];
}

static void loaded(const uint32_t *in, uint32_t *out, int tiles, bool trans) {
    for (int i = 0; i < BLOCKS * LANES * tiles; i++) {
        int block = i / tiles / LANES, lane = i / tiles % LANES, tile = i % tiles;
        int row = lane / 4, column = lane % 4 * 2;
        uint32_t first = trans ? tile_element(in, block, tile, column, row)
                               : tile_element(in, block, tile, row, column);
        uint32_t second = trans ? tile_element(in, block, tile, column + 1, row)
                                : tile_element(in, block, tile, row, column + 1);
        out[(block * LANES + lane) * 4 + tile] = first | second << 16;
    }
}

static void load_x1(const uint32_t *in, uint32_t *out) {
    loaded(in, out, 1, false);
}

static void load_x1_trans(const uint32_t *in, uint32_t *out) {
    loaded(in, out, 1, true);
}

static void load_x2(const uint32_t *in, uint32_t *out) {
    loaded(in, out, 2, false);
}

static void load_x2_trans(const uint32_t *in, uint32_t *out) {
    loaded(in, out, 2, true);
}

static void load_x4(const uint32_t *in, uint32_t *out) {
    loaded(in, out, 4, false);
}

static void load_x4_trans(const uint32_t *in, uint32_t *out) {
    loaded(in, out, 4, true);
}

static void stored(const uint32_t *in, uint32_t *out, bool trans) {
    for (int i = 0; i < BLOCKS * LANES * 8; i++) {
        int block = i / 8 / LANES, lane = i / 8 % LANES, tile = i / 2 % 4, half = i % 2;
        int row = lane / 4, column = lane % 4 * 2 + half;
        uint32_t value = in[(block * LANES + lane) * 4 + tile] >> 16 * half & 0xffff;
        int at = trans ? column * 8 + row : row * 8 + column;
        ((uint16_t *)(out + block * 128 + tile * 32))[at] = (uint16_t)value;
    }
}

static void store_x4(const uint32_t *in, uint32_t *out) {
    stored(in, out, false);
}

static void store_x4_trans(const uint32_t *in, uint32_t *out) {
    stored(in, out, true);
}

/* --------------------------------------------------------------------------------- whole tile */

static void tile(const uint32_t *in, uint32_t *out) {
    for (int block = 0; block < BLOCKS; block++)
        for (int i = 0; i < M * N; i++) {
            const uint32_t *a = in + block * 512 + i / N * 16;
            const uint32_t *b = in + block * 512 + 256 + i % N * 16;
            int sum = 0;
            for (int k = 0; k < 32; k++) sum += small(a[k / 2], k % 2) * small(b[k / 2], k % 2);
            out[block * 128 + i] = f32_bits(sum);
        }
}

static const kernel_case cases[] = {
    {"mma_bf16_k16", BLOCKS, LANES, 0, halves_k16, false},
    {"mma_f16_k16", BLOCKS, LANES, 0, halves_k16, false},
    {"mma_bf16_k8", BLOCKS, LANES, 0, halves_k8, false},
    {"mma_f16_k8", BLOCKS, LANES, 0, halves_k8, false},
    {"mma_tf32_k8", BLOCKS, LANES, 0, tf32_k8, false},
    {"mma_tf32_k4", BLOCKS, LANES, 0, tf32_k4, false},
    {"mma_f16_acc_k16", BLOCKS, LANES, 0, f16_acc_k16, false},
    {"mma_f16_acc_k8", BLOCKS, LANES, 0, f16_acc_k8, false},
    {"load_x1", BLOCKS, LANES, 0, load_x1, false},
    {"load_x1_trans", BLOCKS, LANES, 0, load_x1_trans, false},
    {"load_x2", BLOCKS, LANES, 0, load_x2, false},
    {"load_x2_trans", BLOCKS, LANES, 0, load_x2_trans, false},
    {"load_x4", BLOCKS, LANES, 0, load_x4, false},
    {"load_x4_trans", BLOCKS, LANES, 0, load_x4_trans, false},
    {"store_x4", BLOCKS, LANES, 0, store_x4, true},
    {"store_x4_trans", BLOCKS, LANES, 0, store_x4_trans, true},
    {"tile", BLOCKS, LANES, 0, tile, false},
};

static void matrix_kernels(void **state) {
    (void)state;
    kernel_cases_check("tests/sim/matrix.cu", cases, sizeof cases / sizeof *cases);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(matrix_kernels)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
