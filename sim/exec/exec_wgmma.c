/* exec_wgmma.c - matrix multiplication by warpgroups: wgmma.mma_async.
 *
 * Each warp of a warpgroup computes its 16 rows of the 64 when it comes to the instruction; the
 * accumulators are laid out as those of mma.sync, 8 columns after 8 columns (PTX ISA, "wgmma
 * register fragments"). What the operation reads in shared memory stays marked as in use until
 * wgmma.wait_group, and that waits until all four warps have come as far, since the operation is
 * complete for all of them or for none. */
#include "exec/exec_async.h"
#include "exec/exec_lent.h"
#include "exec/exec_simd.h"
#include "order/polling.h"

#include <stdlib.h>

enum { GROUP_WARPS = 4, K = 16, LINE_BYTES = 16 };

typedef f32 row8 __attribute__((vector_size(32)));

/* ---- operands in shared memory. A descriptor holds, in units of 16 bytes, the start address (bits
 * 0-13), the leading (16-29) and the stride byte offset (32-45); the base offset (49-51) and the
 * swizzle (62-63). */

typedef struct matrix {
    u32 start, leading, stride, base, swizzle;
    bool k_major; /* k is contiguous; else the rows of A, the columns of B */
} matrix;

static matrix decode_descriptor(u64 d, bool transposed) {
    static const u32 swizzles[] = {0, 128, 64, 32};

    return (matrix){.start = (u32)(d & 0x3fff) << 4,
                    .leading = (u32)(d >> 16 & 0x3fff) << 4,
                    .stride = (u32)(d >> 32 & 0x3fff) << 4,
                    .base = (u32)(d >> 49 & 7),
                    .swizzle = swizzles[d >> 62],
                    .k_major = !transposed};
}

/* K-major: the 16 bytes of row r that hold k = 8*half .. 8*half + 7. Rows in groups of eight,
 * `stride` apart; without a swizzle the halves are `leading` apart. */
static u32 row_line(const matrix *m, u32 r, u32 half) {
    u32 width = m->swizzle ? m->swizzle : LINE_BYTES;

    return m->start + r / 8 * m->stride + r % 8 * width +
           half * (m->swizzle ? LINE_BYTES : m->leading);
}

/* MN-major: the 16 bytes of column k that hold rows 8*part .. 8*part + 7. With a swizzle, as many
 * rows as it is wide lie in one piece, `leading` from the next, and columns in groups of eight,
 * `stride` apart; without one the two offsets change places. */
static u32 column_line(const matrix *m, u32 k, u32 part) {
    u32 width = m->swizzle ? m->swizzle : LINE_BYTES, parts = width / LINE_BYTES;
    u32 pieces = m->swizzle ? m->leading : m->stride, groups = m->swizzle ? m->stride : m->leading;

    return m->start + part / parts * pieces + part % parts * LINE_BYTES + k / 8 * groups +
           k % 8 * width;
}

static bool in_bounds(sim_warp *warp, const sim_instruction *in, u32 offset) {
    const sim_block *block = warp->block;

    if (offset + LINE_BYTES <= block->shared_bytes) return true;
    sim_find(warp, SIM_FINDING_bounds, in, UINT32_MAX,
             "wgmma reads byte %u of shared memory of %u bytes, by block %u warp %u (%%p): look at "
             "its descriptors",
             offset, block->shared_bytes, block->index, warp->index);
    return false;
}

/* A swizzle may bring a row before the one ahead of it. */
static inline bool extends(sim_region *region, u32 offset, u32 bytes) {
    if (offset + bytes == region->offset) return region->offset = offset, true;
    return region->offset + region->bytes == offset;
}

static void remember(sim_warp *warp, const sim_instruction *in, u32 offset, u32 bytes) {
    sim_matrix_warp *w = &warp->block->async->matrix[warp->index];
    sim_region *last = w->regions ? &w->region[w->regions - 1] : NULL;

    if (last && last->group == w->commits && extends(last, offset, bytes)) {
        last->bytes += bytes;
        return;
    }
    if (w->regions == w->room) {
        u32 room = w->room ? 2 * w->room : 64;
        sim_region *bigger = realloc(w->region, room * sizeof *bigger);
        if (!bigger) return;
        w->region = bigger;
        w->room = room;
    }
    w->region[w->regions++] = (sim_region){.offset = offset,
                                           .bytes = bytes,
                                           .pc = instruction_pc(warp, in),
                                           .group = w->commits};
}

/* Bytes are read now and stay in use. */
static void use_bytes(sim_warp *warp, const sim_instruction *in, u32 offset, u32 bytes) {
    const sim_block *block = warp->block;
    const sim_shared_marks *m = &block->marks;
    u32 shift = block->kernel->shared_load_shift, pc = instruction_pc(warp, in);

    if (!block->checks) return;
    sim_async_read(warp, in, offset, bytes, 0);
    for (u32 g = offset >> shift; g <= (offset + bytes - 1) >> shift; g++) {
        m->read[g] = SIM_IN_FLIGHT;
        m->read_warps[g] = 1u << warp->index;
        m->read_pc[g] = pc;
    }
    remember(warp, in, offset, bytes);
}

/* How the elements of an operand are read. */
typedef struct format {
    bool brain, negated;
} format;

static inline f32 element(format f, u16 raw) {
    f32 value = f.brain ? bf16_to_f32(raw) : half_to_f32(raw);

    return f.negated ? -value : value;
}

/* Eight elements to out[0], out[step], ... */
static inline void take_line(const sim_warp *warp, u32 offset, format f, f32 *out, u32 step) {
    u16 raw[8];

    memcpy(raw, warp->block->shared + offset, sizeof raw);
    for (u32 i = 0; i < 8; i++) out[i * step] = element(f, raw[i]);
}

static bool read_line(sim_warp *warp, const sim_instruction *in, u32 offset, format f, f32 *out,
                      u32 step) {
    if (!in_bounds(warp, in, offset)) return false;
    use_bytes(warp, in, offset, LINE_BYTES);
    take_line(warp, offset, f, out, step);
    return true;
}

/* The two lines of a row, which lie side by side where rows are swizzled, in either order. */
static bool read_row(sim_warp *warp, const sim_instruction *in, const matrix *m, u32 r, format f,
                     f32 *out, u32 step) {
    u32 low = sim_swizzle(row_line(m, r, 0), m->swizzle);
    u32 high = sim_swizzle(row_line(m, r, 1), m->swizzle);

    if ((low ^ high) != LINE_BYTES)
        return read_line(warp, in, low, f, out, step) &&
               read_line(warp, in, high, f, out + 8 * step, step);
    if (!in_bounds(warp, in, low | LINE_BYTES)) return false;
    use_bytes(warp, in, low & high, 2 * LINE_BYTES);
    take_line(warp, low, f, out, step);
    take_line(warp, high, f, out + 8 * step, step);
    return true;
}

/* Rows first .. first + rows - 1, element (r, k) to out[(r - first) * row_step + k * k_step]. */
static bool read_matrix(sim_warp *warp, const sim_instruction *in, const matrix *m, u32 first,
                        u32 rows, format f, f32 *out, u32 row_step, u32 k_step) {
    for (u32 r = 0; m->k_major && r < rows; r++)
        if (!read_row(warp, in, m, first + r, f, out + r * row_step, k_step)) return false;
    for (u32 part = 0; !m->k_major && part < rows / 8; part++)
        for (u32 k = 0; k < K; k++)
            if (!read_line(warp, in, sim_swizzle(column_line(m, k, first / 8 + part), m->swizzle),
                           f, out + part * 8 * row_step + k * k_step, row_step))
                return false;
    return true;
}

/* What the simulator does not know of a descriptor is no guess. */
static bool is_known(sim_warp *warp, const sim_instruction *in, const matrix *m) {
    if (!m->base) return true;
    sim_find(warp, SIM_FINDING_value, in, UINT32_MAX,
             "wgmma by block %u warp %u (%%p) with a base offset of %u in a descriptor, which the "
             "simulator does not know: let swizzled tiles start at a multiple of 1024 bytes",
             warp->block->index, warp->index, m->base);
    return false;
}

/* B as [16][n], made by the first warp of the group to come. */
static const f32 *tile_of(sim_warp *warp, const sim_instruction *in, u64 descriptor, u32 n) {
    sim_async *async = warp->block->async;
    u32 group = warp->index / GROUP_WARPS, issued = async->matrix[warp->index].issued;
    matrix m = decode_descriptor(descriptor, in->aux & WGMMA_TRANSPOSE_B);
    format f = {in->aux & WGMMA_BRAIN, in->aux & WGMMA_NEGATE_B};

    if (async->tile.value && async->tile.descriptor == descriptor &&
        async->tile.issued == issued && async->tile.n == n && async->tile.group == group)
        return async->tile.value;
    if (!async->tile.value) async->tile.value = aligned_alloc(64, 256 * K * sizeof(f32));
    if (!async->tile.value || !is_known(warp, in, &m)) return NULL;
    async->tile.n = 0; /* none while it is made */
    if (!read_matrix(warp, in, &m, 0, n, f, async->tile.value, 1, n)) return NULL;
    async->tile.descriptor = descriptor;
    async->tile.issued = issued;
    async->tile.n = n;
    async->tile.group = group;
    return async->tile.value;
}

/* A of this warp from registers: as the A operand of mma.m16n8k16. */
static void read_registers(sim_warp *warp, const s32 *list, format f, f32 *out) {
    for (u32 i = 0; i < 4; i++) {
        const u16 *from = operand(warp, list[i]);
        for (u32 r = 0; r < 8; r++)
            for (u32 c = 0; c < 8; c++)
                out[(i % 2 * 8 + r) * K + i / 2 * 8 + c] = element(f, from[8 * r + c]);
    }
}

/* The 16 rows of A that are this warp's, as [16][16]. */
static bool read_a(sim_warp *warp, const sim_instruction *in, f32 *out) {
    format f = {in->aux & WGMMA_BRAIN, in->aux & WGMMA_NEGATE_A};

    if (!in->a) {
        read_registers(warp, in->list + in->e / 2, f, out);
        return true;
    }
    matrix m = decode_descriptor(LANES_OF(const u64, warp, in->a)[0],
                                 in->aux & WGMMA_TRANSPOSE_A);
    return is_known(warp, in, &m) &&
           read_matrix(warp, in, &m, warp->index % GROUP_WARPS * 16, 16, f, out, K, 1);
}

/* ---- the product */

static inline row8 load8(const f32 *from) {
    row8 row;

    memcpy(&row, from, sizeof row);
    return row;
}

/* sum + left * row, rounded once where the host can; products of f16 and bf16 are exact anyhow. */
static inline row8 multiply_add(f32 left, row8 row, row8 sum) {
#if defined(__FMA__)
    return (row8)_mm256_fmadd_ps(_mm256_set1_ps(left), (__m256)row, (__m256)sum);
#else
    return sum + left * row;
#endif
}

/* Eight columns of a row are four even ones in a register and four odd ones in the next. */
static inline row8 join_columns(const f32 *even, const f32 *odd) {
#if defined(__AVX2__)
    __m128 e = _mm_load_ps(even), o = _mm_load_ps(odd);
    return (row8)_mm256_set_m128(_mm_unpackhi_ps(e, o), _mm_unpacklo_ps(e, o));
#else
    return (row8){even[0], odd[0], even[1], odd[1], even[2], odd[2], even[3], odd[3]};
#endif
}

static inline void split_columns(row8 sum, f32 *even, f32 *odd) {
    for (u32 c = 0; c < 4; c++) {
        even[c] = sum[2 * c];
        odd[c] = sum[2 * c + 1];
    }
}

/* 16 rows of A times 8 columns of B onto an accumulator's four registers. Eight rows are summed
 * side by side: B is read once for all of them, and no sum waits for its last addition. */
static void multiply_block(sim_warp *warp, const s32 *d, const f32 *a, const f32 *b, u32 n,
                           bool add) {
    for (u32 half = 0; half < 2; half++) {
        f32 *even = LANES_OF(f32, warp, d[2 * half]), *odd = LANES_OF(f32, warp, d[2 * half + 1]);
        row8 sum[8] = {{0}};
        for (u32 r = 0; add && r < 8; r++) sum[r] = join_columns(even + 4 * r, odd + 4 * r);
        for (u32 k = 0; k < K; k++) {
            row8 row = load8(b + k * n);
            for (u32 r = 0; r < 8; r++)
                sum[r] = multiply_add(a[(half * 8 + r) * K + k], row, sum[r]);
        }
        for (u32 r = 0; r < 8; r++) split_columns(sum[r], even + 4 * r, odd + 4 * r);
    }
}

/* All lanes of a warp, and a whole group of warps. */
static bool may_run(sim_warp *warp, const sim_instruction *in, u32 exec) {
    const sim_block *block = warp->block;
    bool whole = (warp->index / GROUP_WARPS + 1) * GROUP_WARPS <= block->warps;

    if (exec != ~0u || !whole)
        sim_find(warp, SIM_FINDING_collective, in, UINT32_MAX,
                 "wgmma by lanes 0x%08x of block %u warp %u (%%p): all lanes of four warps, the "
                 "first a multiple of four, must take part",
                 exec, block->index, warp->index);
    return exec == ~0u && whole && sim_async_of(warp->block);
}

/* An operation takes no less: 1024 in a row of m64nNk16, N = 8, 16, 32, 64, 128, 256, took 22.6,
 * 23.3, 24.2, 28.6, 50.5 and 95.4 us on an H200, which is as if N were 48 where it is less. */
enum { LEAST_CYCLES = 24 };

/* The tensor cores take up operations in order; every warp of a group comes to each. */
static void spend_time(sim_warp *warp, u32 n) {
    sim_async *async = warp->block->async;
    sim_matrix_warp *w = &async->matrix[warp->index], *lead =
        &async->matrix[warp->index / GROUP_WARPS * GROUP_WARPS];
    u64 flops = 2ull * 64 * n * K, rate = (u64)warp->block->launch->context->facts.tensor_rate;

    if (w == lead) {
        u64 start = warp->cycles > async->tensor_free ? warp->cycles : async->tensor_free;
        u64 cycles = flops / (rate ? rate : 4096);
        async->tensor_free = start + (cycles > LEAST_CYCLES ? cycles : LEAST_CYCLES);
    }
    w->last_cycle = async->tensor_free;
    warp->block->worker->counters.mma_flops[SIM_MMA_WARPGROUP] += flops / GROUP_WARPS;
}

/* What the operation reads and writes in registers is lent to it. */
static void lend_registers(sim_warp *warp, const sim_instruction *in) {
    u32 sums = (u32)in->e / 2, factors = in->a ? 0 : 4;

    if (!warp->block->checks) return;
    for (u32 i = 0; i < sums + factors; i++)
        lend_register(warp, in->list[i], instruction_pc(warp, in),
                      i < sums ? LENT_SUM : LENT_FACTOR);
}

/* list: d n/2, a 4 where it is in registers; a: descriptor of A or 0; b: of B; c: predicate of d;
 * e: n; aux: WGMMA_* */
HANDLER(wgmma) {
    u32 n = (u32)in->e;
    f32 a[K * K];

    if (!may_run(warp, in, exec)) return SIM_STEP;
    sim_matrix_warp *w = &warp->block->async->matrix[warp->index];
    if (!w->fenced)
        sim_find(warp, SIM_FINDING_matrix, in, UINT32_MAX,
                 "block %u warp %u multiplies (%%p) with no wgmma.fence before: what it has in "
                 "registers may not be seen",
                 warp->block->index, warp->index);
    w->fenced = true;
    bool add = predicate_value(warp, in->c) & 1;
    const f32 *b = tile_of(warp, in, LANES_OF(const u64, warp, in->b)[0], n);
    if (!b || !read_a(warp, in, a)) return SIM_STEP;
    for (u32 j = 0; j < n / 8; j++) multiply_block(warp, in->list + 4 * j, a, b + 8 * j, n, add);
    lend_registers(warp, in);
    w->issued++;
    spend_time(warp, n);
    warp->block->progress++;
    return SIM_STEP;
}

/* ---- groups of operations */

HANDLER(wgmma_fence) {
    sim_async *async = sim_async_of(warp->block);

    (void)in, (void)exec;
    if (async) async->matrix[warp->index].fenced = true;
    return SIM_STEP;
}

HANDLER(wgmma_commit) {
    sim_async *async = sim_async_of(warp->block);

    (void)in, (void)exec;
    if (!async) return SIM_STEP;
    sim_matrix_warp *w = &async->matrix[warp->index];
    w->group_cycle[w->commits % SIM_GROUP_RING] = w->last_cycle;
    w->commits++;
    warp->block->progress++;
    return SIM_STEP;
}

/* The reads of an operation have ended. */
static void end_region(const sim_warp *warp, const sim_region *region) {
    const sim_block *block = warp->block;
    const sim_shared_marks *m = &block->marks;
    u32 shift = block->kernel->shared_load_shift, agent = sim_agent(warp, SIM_PROXY_MATRIX);
    u32 stamp = block->now << SIM_TIME_SHIFT | agent << SIM_WARP_SHIFT;

    for (u32 g = region->offset >> shift; g <= (region->offset + region->bytes - 1) >> shift;
         g++) {
        m->read[g] = stamp;
        m->read_warps[g] = 1u << agent;
        m->read_pc[g] = region->pc;
    }
}

static bool group_has_come(const sim_warp *warp, u32 commits) {
    const sim_matrix_warp *w = warp->block->async->matrix;
    u32 first = warp->index / GROUP_WARPS * GROUP_WARPS;

    for (u32 i = first; i < first + GROUP_WARPS; i++)
        if ((s32)(w[i].commits - commits) < 0) return false;
    return true;
}

/* The first warp to find that the operations of all four are complete up to a number of groups ends
 * their reads. */
static void end_groups(sim_warp *warp, u32 commits) {
    sim_block *block = warp->block;
    u32 first = warp->index / GROUP_WARPS * GROUP_WARPS;

    sim_race_tick(block); /* later than all that anyone has seen */
    for (u32 i = first; i < first + GROUP_WARPS; i++) {
        sim_matrix_warp *w = &block->async->matrix[i];
        u32 kept = 0;
        for (u32 r = 0; r < w->regions; r++) {
            if ((s32)(w->region[r].group - commits) < 0) end_region(warp, &w->region[r]);
            else w->region[kept++] = w->region[r];
        }
        w->regions = kept;
        for (; (s32)(w->complete - commits) < 0; w->complete++)
            w->group_time[w->complete % SIM_GROUP_RING] = block->now;
    }
    block->agent_time[SIM_PROXY_MATRIX] = block->now;
    sim_race_tick(block);
    sim_agent_moved(block);
}

/* The warp knows now that what it waited for is complete. */
static void learn(sim_warp *warp, const sim_matrix_warp *w, u32 group) {
    u32 agent = sim_agent(warp, SIM_PROXY_MATRIX), time = w->group_time[group % SIM_GROUP_RING];

    if (agent == warp->index || warp->seen[agent] >= time) return;
    warp->seen[agent] = time;
    sim_race_refresh(warp);
}

/* imm: groups that may stay under way */
HANDLER(wgmma_wait) {
    sim_async *async = warp->block->async;

    (void)exec;
    if (!async) return SIM_STEP;
    sim_matrix_warp *w = &async->matrix[warp->index];
    if (w->commits <= (u64)in->imm) return SIM_STEP;
    u32 commits = w->commits - (u32)in->imm;
    int next = sim_poll_until(warp, instruction_pc(warp, in), group_has_come(warp, commits));
    if (next == SIM_WAIT) return next;
    if ((s32)(w->complete - commits) < 0 && warp->block->checks) end_groups(warp, commits);
    if (warp->block->checks) learn(warp, w, commits - 1);
    if ((s32)(w->returned - commits) < 0) w->returned = commits;
    u64 end = w->group_cycle[(commits - 1) % SIM_GROUP_RING];
    if (end > warp->cycles) warp->cycles = end;
    return next;
}
