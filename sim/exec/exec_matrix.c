/* exec_matrix.c - ldmatrix, stmatrix, movmatrix and mma.sync.
 *
 * A fragment register, seen as memory, is an 8 x 8 matrix of 16-bit elements in row order: lane
 * 4r + c holds elements 2c and 2c + 1 of row r. So an A operand of m16n8k16 is four such matrices
 * (rows 0-7 and 8-15 of columns 0-7, then of columns 8-15), a B operand is two of them transposed,
 * and an f32 accumulator pair interleaves the even and odd columns of 8 rows.
 *
 * Products of f16, bf16 and tf32 are exact in f32, so fused and separate multiply-add agree. */
#include "exec/exec_memory.h"
#include "exec/exec_simd.h"

enum { ROWS = 8, ROW_BYTES = 16 };

/* ---- matrices in shared memory */

/* Generic addresses of shared memory become offsets in it; others stay, and are out of bounds. */
static void to_offsets(const sim_instruction *in, u64 *address) {
    for (int i = 0; i < SIM_LANES && (in->aux & MATRIX_GENERIC); i++)
        if (address[i] >> SIM_ADDRESS_SHIFT == SIM_WINDOW_SHARED)
            address[i] -= (u64)SIM_WINDOW_SHARED << SIM_ADDRESS_SHIFT;
}

/* Reads or writes 8 rows for each of `count` matrices; lane 8m + r has the address of row r. */
static bool matrix_rows(sim_warp *warp, const sim_instruction *in, u32 exec, u32 count,
                        const char *what, target *t) {
    u32 lanes = exec & (count == 4 ? ~0u : (1u << count * ROWS) - 1);

    if (exec != ~0u) {
        sim_find(warp, SIM_FINDING_collective, in, UINT32_MAX,
                 "%s by lanes 0x%08x only of block %u warp %u (%%p): all lanes must take part",
                 what, exec, warp->block->index, warp->index);
        return false;
    }
    lane_addresses(warp, in, lanes, t->address);
    to_offsets(in, t->address);
    if (!SIM_EXEC(target_shared)(warp, in, lanes, ROW_BYTES, what, t)) return false;
    SIM_EXEC(count_shared)(warp, t, ROW_BYTES);
    return t->lanes == lanes;
}

static void transpose_elements(const u16 *from, u16 *to) {
    for (int r = 0; r < ROWS; r++)
        for (int c = 0; c < ROWS; c++) to[c * ROWS + r] = from[r * ROWS + c];
}

/* list: registers; imm: how many; d: 1 = .trans */
HANDLER(ldmatrix) {
    target t;
    u16 rows[ROWS * ROWS];

    if (!matrix_rows(warp, in, exec, (u32)in->e, "ldmatrix", &t)) return SIM_STEP;
    if (warp->block->checks) {
        FOR_LANES(lane, t.lanes) shared_read_row(warp, in, (u32)t.address[lane], lane);
    }
    for (u32 m = 0; m < (u32)in->e; m++) {
        u8 *d = operand(warp, in->list[m]);
        u8 *to = in->d ? (u8 *)rows : d;
        for (u32 r = 0; r < ROWS; r++)
            memcpy(to + r * ROW_BYTES, warp->block->shared + t.address[m * ROWS + r], ROW_BYTES);
        if (in->d) transpose_elements(rows, (u16 *)(void *)d);
    }
    return SIM_STEP;
}

HANDLER(stmatrix) {
    target t;
    u16 rows[ROWS * ROWS];

    if (!matrix_rows(warp, in, exec, (u32)in->e, "stmatrix", &t)) return SIM_STEP;
    for (u32 m = 0; m < (u32)in->e; m++) {
        const u8 *from = operand(warp, in->list[m]);
        if (in->d) transpose_elements((const u16 *)(const void *)from, rows);
        if (in->d) from = (const u8 *)rows;
        for (u32 r = 0; r < ROWS; r++) {
            u32 lane = m * ROWS + r, offset = (u32)t.address[lane];
            u8 *at = warp->block->shared + offset;
            sim_access access = {.in = in, .offset = offset, .lane = lane};
            if (warp->block->checks) {
                if (shared_write_suspect(warp, offset, ROW_BYTES)) {
                    access.same_value = memcmp(at, from + r * ROW_BYTES, ROW_BYTES) == 0;
                    shared_write_look(warp, &access, ROW_BYTES);
                }
                shared_write_mark(warp, in, offset, ROW_BYTES, lane, ROW_BYTES);
            }
            memcpy(at, from + r * ROW_BYTES, ROW_BYTES);
        }
    }
    warp->block->progress++;
    return SIM_STEP;
}

HANDLER(movmatrix) {
    u16 rows[ROWS * ROWS];

    (void)exec;
    memcpy(rows, operand(warp, in->a), sizeof rows);
    transpose_elements(rows, (u16 *)operand(warp, in->d));
    return SIM_STEP;
}

/* ---- rows of eight f32 */

typedef f32 row8 __attribute__((vector_size(32)));

/* Eight 16-bit elements in a row; brain: bf16. */
static inline row8 widen(const void *from, bool brain) {
#if defined(__AVX2__) && defined(__F16C__)
    __m128i raw = _mm_loadu_si128((const __m128i *)from);
    if (brain) return (row8)_mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(raw), 16));
    return (row8)_mm256_cvtph_ps(raw);
#else
    u16 raw[8];
    row8 row;
    memcpy(raw, from, sizeof raw);
    for (int i = 0; i < 8; i++) row[i] = brain ? bf16_to_f32(raw[i]) : half_to_f32(raw[i]);
    return row;
#endif
}

/* Transposes 8 x 4 words: out[w] takes word w of each of the eight groups of four. */
static inline void transpose_words(const u32 *from, u32 out[4][8]) {
#if defined(__AVX2__)
    __m256i r[4];
    for (int i = 0; i < 4; i++) {
        __m128i low = _mm_load_si128((const __m128i *)(const void *)(from + 4 * i));
        __m128i high = _mm_load_si128((const __m128i *)(const void *)(from + 4 * i + 16));
        r[i] = _mm256_set_m128i(high, low);
    }
    __m256i a = _mm256_unpacklo_epi32(r[0], r[1]), b = _mm256_unpackhi_epi32(r[0], r[1]);
    __m256i c = _mm256_unpacklo_epi32(r[2], r[3]), d = _mm256_unpackhi_epi32(r[2], r[3]);
    _mm256_storeu_si256((__m256i *)(void *)out[0], _mm256_unpacklo_epi64(a, c));
    _mm256_storeu_si256((__m256i *)(void *)out[1], _mm256_unpackhi_epi64(a, c));
    _mm256_storeu_si256((__m256i *)(void *)out[2], _mm256_unpacklo_epi64(b, d));
    _mm256_storeu_si256((__m256i *)(void *)out[3], _mm256_unpackhi_epi64(b, d));
#else
    for (int n = 0; n < 8; n++)
        for (int w = 0; w < 4; w++) out[w][n] = from[4 * n + w];
#endif
}

/* B's register for 8 values of k: out[k] is the row of all eight n. */
static inline void expand_b(const u32 *from, bool brain, row8 *out) {
    u32 words[4][8];

    transpose_words(from, words);
    for (int w = 0; w < 4; w++) {
        u16 low[8], high[8];
        for (int n = 0; n < 8; n++) low[n] = (u16)words[w][n];
        for (int n = 0; n < 8; n++) high[n] = (u16)(words[w][n] >> 16);
        out[2 * w] = widen(low, brain);
        out[2 * w + 1] = widen(high, brain);
    }
}

/* Accumulators of 8 rows: even columns in one register, odd ones in another. */
static inline void load_rows(const f32 *even, const f32 *odd, row8 *rows) {
    for (int r = 0; r < ROWS; r++) {
#if defined(__AVX2__)
        __m128 e = _mm_load_ps(even + 4 * r), o = _mm_load_ps(odd + 4 * r);
        rows[r] = (row8)_mm256_set_m128(_mm_unpackhi_ps(e, o), _mm_unpacklo_ps(e, o));
#else
        for (int c = 0; c < 4; c++)
            rows[r][2 * c] = even[4 * r + c], rows[r][2 * c + 1] = odd[4 * r + c];
#endif
    }
}

static inline void store_rows(f32 *even, f32 *odd, const row8 *rows) {
    for (int r = 0; r < ROWS; r++) {
#if defined(__AVX2__)
        __m128 low = _mm256_castps256_ps128((__m256)rows[r]),
               high = _mm256_extractf128_ps((__m256)rows[r], 1);
        _mm_store_ps(even + 4 * r, _mm_shuffle_ps(low, high, 0x88));
        _mm_store_ps(odd + 4 * r, _mm_shuffle_ps(low, high, 0xdd));
#else
        for (int c = 0; c < 4; c++)
            even[4 * r + c] = rows[r][2 * c], odd[4 * r + c] = rows[r][2 * c + 1];
#endif
    }
}

/* acc[8 rows] += a[8 rows][k] * b[k][8 columns] */
static inline void multiply(row8 *acc, const f32 (*a)[16], const row8 *b, int k) {
    row8 sum[ROWS];

    for (int r = 0; r < ROWS; r++) sum[r] = acc[r];
    for (int i = 0; i < k; i++) {
        row8 row = b[i];
        for (int r = 0; r < ROWS; r++) {
#if defined(__FMA__)
            sum[r] = (row8)_mm256_fmadd_ps(_mm256_set1_ps(a[r][i]), (__m256)row, (__m256)sum[r]);
#else
            sum[r] += a[r][i] * row;
#endif
        }
    }
    for (int r = 0; r < ROWS; r++) acc[r] = sum[r];
}

static bool all_lanes(sim_warp *warp, const sim_instruction *in, u32 exec) {
    if (likely(exec == ~0u)) return true;
    sim_find(warp, SIM_FINDING_collective, in, UINT32_MAX,
             "mma.sync by lanes 0x%08x only of block %u warp %u (%%p): all lanes must take part",
             exec, warp->block->index, warp->index);
    return false;
}

/* 8 rows of A from registers of 8 columns each. */
static inline void expand_a(const sim_warp *warp, const s32 *registers, int count, bool brain,
                            f32 (*a)[16]) {
    for (int i = 0; i < count; i++) {
        const u8 *from = operand(warp, registers[2 * i]);
        for (int r = 0; r < ROWS; r++) {
            row8 row = widen(from + r * ROW_BYTES, brain);
            memcpy(&a[r][8 * i], &row, sizeof row);
        }
    }
}

/* f16 or bf16 inputs (aux 1), f32 accumulators. list: d 4, a 2 * steps, b steps, c 4; a step is 8
 * values of k */
static inline int multiply_f32(sim_warp *warp, const sim_instruction *in, u32 exec, int steps) {
    const s32 *d = in->list, *a = d + 4, *b = a + 2 * steps, *c = b + steps;
    row8 rows_b[16], acc[ROWS];
    f32 rows_a[ROWS][16];

    if (!all_lanes(warp, in, exec)) return SIM_STEP;
    for (int i = 0; i < steps; i++)
        expand_b(LANES_OF(const u32, warp, b[i]), in->aux & 1, rows_b + 8 * i);
    for (int half = 0; half < 2; half++) {
        expand_a(warp, a + half, steps, in->aux & 1, rows_a);
        load_rows(LANES_OF(const f32, warp, c[2 * half]),
                  LANES_OF(const f32, warp, c[2 * half + 1]), acc);
        multiply(acc, (const f32(*)[16])rows_a, rows_b, 8 * steps);
        store_rows(LANES_OF(f32, warp, d[2 * half]), LANES_OF(f32, warp, d[2 * half + 1]), acc);
    }
    return SIM_STEP;
}

HANDLER(mma_m16n8k16_f32) {
    return multiply_f32(warp, in, exec, 2);
}

HANDLER(mma_m16n8k8_f32) {
    return multiply_f32(warp, in, exec, 1);
}

/* f16 inputs and accumulators: list: d 2, a 2 * steps, b steps, c 2 */
static inline int multiply_f16(sim_warp *warp, const sim_instruction *in, u32 exec, int steps) {
    const s32 *d = in->list, *a = d + 2, *b = a + 2 * steps, *c = b + steps;
    row8 rows_b[16], acc[ROWS];
    f32 rows_a[ROWS][16];

    if (!all_lanes(warp, in, exec)) return SIM_STEP;
    for (int i = 0; i < steps; i++)
        expand_b(LANES_OF(const u32, warp, b[i]), false, rows_b + 8 * i);
    for (int half = 0; half < 2; half++) {
        const u16 *from = operand(warp, c[half]);
        u16 *to = operand(warp, d[half]);
        expand_a(warp, a + half, steps, false, rows_a);
        for (int r = 0; r < ROWS; r++) acc[r] = widen(from + 8 * r, false);
        multiply(acc, (const f32(*)[16])rows_a, rows_b, 8 * steps);
        for (int i = 0; i < ROWS * 8; i++) to[i] = f32_to_half(acc[i / 8][i % 8]);
    }
    return SIM_STEP;
}

HANDLER(mma_m16n8k16_f16) {
    return multiply_f16(warp, in, exec, 2);
}

HANDLER(mma_m16n8k8_f16) {
    return multiply_f16(warp, in, exec, 1);
}

/* tf32: a register holds 4 columns of A, or 4 values of k of B transposed; the low 13 bits do not
 * count. list: d 4, a 2 * steps, b steps, c 4 */
static inline int multiply_tf32(sim_warp *warp, const sim_instruction *in, u32 exec, int steps) {
    const s32 *d = in->list, *a = d + 4, *b = a + 2 * steps, *c = b + steps;
    u32 words[8][8];
    row8 rows_b[8], acc[ROWS];
    f32 rows_a[ROWS][16];

    if (!all_lanes(warp, in, exec)) return SIM_STEP;
    for (int i = 0; i < steps; i++) transpose_words(LANES_OF(const u32, warp, b[i]), words + 4 * i);
    for (int k = 0; k < 4 * steps; k++)
        for (int n = 0; n < 8; n++) rows_b[k][n] = f32_bits(words[k][n] & 0xffffe000);
    for (int half = 0; half < 2; half++) {
        for (int i = 0; i < steps; i++) {
            const u32 *from = LANES_OF(const u32, warp, a[2 * i + half]);
            for (int r = 0; r < ROWS; r++)
                for (int k = 0; k < 4; k++)
                    rows_a[r][4 * i + k] = f32_bits(from[4 * r + k] & 0xffffe000);
        }
        load_rows(LANES_OF(const f32, warp, c[2 * half]),
                  LANES_OF(const f32, warp, c[2 * half + 1]), acc);
        multiply(acc, (const f32(*)[16])rows_a, rows_b, 4 * steps);
        store_rows(LANES_OF(f32, warp, d[2 * half]), LANES_OF(f32, warp, d[2 * half + 1]), acc);
    }
    return SIM_STEP;
}

HANDLER(mma_m16n8k8_tf32) {
    return multiply_tf32(warp, in, exec, 2);
}

HANDLER(mma_m16n8k4_tf32) {
    return multiply_tf32(warp, in, exec, 1);
}
