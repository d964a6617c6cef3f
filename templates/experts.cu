// Everything behind the router for few tokens: index maps, both expert GEMMs, activation and the
// weighted sum, in one persistent kernel.
//
// Every block makes the same small maps in shared memory. The work is a list of items: first tiles
// of h (an expert's N rows times 64 columns, or 128 without a gate), then tiles of y_rows (N rows
// times
// 128 columns). Item i belongs to block i mod blocks. Weights are the 64-row operand of wgmma and
// stream once through a ring of STAGES stages; they depend on nothing, so one warp fetches them
// ahead through both lists without a stop. A second warp gathers the rows of x, or of h once all
// columns of their tile are there.
//
// Blocks hand over by `flags`, which are zero at the start: [tile] counts the finished column
// blocks of a tile of h, [512 + block] the tiles of a column block of y_rows. The last to finish a
// column block sums the rows of every token there, in slot order, so results do not depend on who
// is last. All blocks must run at once: there is one an SM at most.
% local s = t.lib.shape(p, c)
% moe.include("types.cuh")
% moe.include("memory.cuh")
% moe.include("mbarrier.cuh")
% moe.include("tma.cuh")
% moe.include("wgmma.cuh")
% moe.include("pdl.cuh")
% moe.include("activate.cuh")

using XT = $(p.x);
using WT = $(p.w);
$(moe.args())

constexpr int BK = 64, ROW_BYTES = BK * $(p.wbytes), ROWS = 128;
constexpr int HALVES = $(s.halves), UP_N = ROWS / HALVES; // columns of a tile of h
constexpr int UP_BLOCKS = (F + UP_N - 1) / UP_N, DOWN_BLOCKS = (D + ROWS - 1) / ROWS;
constexpr int WEIGHT_BYTES = ROWS * ROW_BYTES, STAGE_BYTES = WEIGHT_BYTES + N * ROW_BYTES;
constexpr int MULTIPLIERS = 128, THREADS = 192, MOST = $(t.lib.most_slots), SUMMED = 512;

// What stands behind the ring.
constexpr int TABLES = STAGES * STAGE_BYTES, FULL = TABLES + $(s.tables), EMPTY = FULL + STAGES * 8;

% moe.include("ring.cuh")
% moe.include("weights_box.cuh")
% local interleaved = p.layout == "interleaved"
% moe.include("losses.cuh")

// The maps, in shared memory. Slots are numbered choice after choice: p = j*T + t.
struct maps {
    int *id, *size;            // of a slot: its expert or -1; the expert's rows, at its first slot
    int *row, *slot;           // row of a slot, -1 where dropped; t*K + j of a row
    int *expert, *first, *end; // of a tile
    int *tiles, *last;         // how many; whether this block was the last to finish something
};

__device__ __forceinline__ maps place_maps(int *memory) {
    return maps{memory,            memory + MOST,     memory + 2 * MOST,
                memory + 3 * MOST, memory + 4 * MOST, memory + 5 * MOST,
                memory + 6 * MOST, memory + 7 * MOST, memory + 7 * MOST + 1};
}

// Ranks each slot among those of its expert, first choices first, and drops those beyond capacity.
__device__ __forceinline__ void rank_slots(const args_experts &a, const maps &m, int slots) {
    for (int p = threadIdx.x; p < slots; p += THREADS) {
        const int id = m.id[p];
        int rank = 0, count = 0;
        for (int q = 0; q < slots; q++) {
            const bool same = m.id[q] == id;
            count += same;
            rank += same && q < p;
        }
        const bool leads = id >= 0 && rank == 0;
        m.size[p] = leads ? min(count, a.capacity) : 0;
        m.row[p] = id >= 0 && rank < a.capacity ? rank : -1;
        if (leads && blockIdx.x == 0 && a.counts)
            a.counts[$(p.held < p.e and "a.first_expert + " or "")id] = count;
    }
}

// Rows follow one another in the order of experts; an expert's first slot lists its tiles.
__device__ __forceinline__ void place_slots(const args_experts &a, const maps &m, int slots) {
    for (int p = threadIdx.x; p < slots; p += THREADS) {
        const int id = m.id[p], size = m.size[p];
        int start = 0, tile = 0;
        for (int q = 0; q < slots; q++) {
            const int before = m.id[q] < id ? m.size[q] : 0;
            start += before;
            tile += (before + N - 1) / N;
        }
        const int t = p % a.tokens, j = p / a.tokens;
        if (m.row[p] >= 0) {
            m.row[p] += start;
            m.slot[m.row[p]] = t * K + j;
        }
        if (blockIdx.x == 0 && a.slot_rows) a.slot_rows[t * K + j] = m.row[p];
        for (int i = 0; i * N < size; i++) {
            m.expert[tile + i] = id;
            m.first[tile + i] = start + i * N;
            m.end[tile + i] = start + size;
        }
        if (size > 0) atomicAdd(m.tiles, (size + N - 1) / N);
    }
}

__device__ __forceinline__ maps make_maps(const args_experts &a, int *memory) {
    const maps m = place_maps(memory);
    const int slots = a.tokens * K;
    for (int p = threadIdx.x; p < slots; p += THREADS) {
        const int id =
            a.ids[p % a.tokens * K + p / a.tokens]$(p.held < p.e and " - a.first_expert" or "");
        m.id[p] = (unsigned)id < (unsigned)LOCAL ? id : -1;
    }
    if (threadIdx.x == 0) *m.tiles = 0;
    __syncthreads();
    rank_slots(a, m, slots);
    __syncthreads();
    place_slots(a, m, slots);
    if (blockIdx.x == 0 && a.mean_probs)
        for (int e = threadIdx.x; e < E; e += THREADS)
            a.mean_probs[e] = (float)a.prob_sums[e] * FIXED_SHARE / (float)a.tokens;
    if (blockIdx.x == 0) write_statistics(a);
    __syncthreads();
    return m;
}

struct item {
    bool up;
    int tile, expert, row, end; // rows row .. end-1 are the expert's, from this tile's first on
    int block;                  // of columns
};

// Item number `at`; false behind the last.
__device__ __forceinline__ bool find_item(const maps &m, int at, item &out) {
    const int ups = *m.tiles * UP_BLOCKS;
    if (at >= ups + *m.tiles * DOWN_BLOCKS) return false;
    out.up = at < ups;
    const int local = out.up ? at : at - ups, blocks = out.up ? UP_BLOCKS : DOWN_BLOCKS;
    out.tile = local / blocks;
    out.block = local % blocks;
    out.expert = m.expert[out.tile];
    out.row = m.first[out.tile];
    out.end = m.end[out.tile];
    return true;
}

__device__ __forceinline__ int steps_of(const item &at) {
    return at.up ? (D + BK - 1) / BK : (F + BK - 1) / BK;
}

// One lane brings the weights of all items.
__device__ __forceinline__ void fetch(const args_experts &args, const maps &m, unsigned ring) {
    ring_place to;
    item at;
    for (int i = blockIdx.x; find_item(m, i, at); i += gridDim.x) {
        for (int step = 0; step < steps_of(at); step++, to.advance()) {
            const unsigned stage = ring + to.stage * STAGE_BYTES, full = ring + FULL + to.stage * 8;
            barrier_wait(ring + EMPTY + to.stage * 8, to.phase ^ 1);
            barrier_arrive_expect(full, WEIGHT_BYTES);
            if (at.up)
                load_up_rows<UP_N>(stage, args.map[0], full, step * BK, at.block * UP_N, at.expert);
            else
                load_down_rows(stage, args.map[1], full, step * BK, at.block * ROWS, at.expert);
        }
    }
}

// Waits until all columns of a tile of h have been written.
__device__ __forceinline__ void wait_tile(const int *flag) {
    int done = 0;
    while (threadIdx.x % 32 == 0 && done < UP_BLOCKS)
        asm volatile("ld.acquire.gpu.global.s32 %0, [%1];" : "=r"(done) : "l"(flag) : "memory");
    __syncwarp();
}

// One warp gathers rows: 16 bytes a lane, four rows at once.
__device__ __forceinline__ void gather(const args_experts &args, const maps &m, unsigned ring) {
    constexpr int STEP = 4, COPIES = N / STEP;
    const int my_row = (int)threadIdx.x % 32 / 8, my_chunk = (int)threadIdx.x % 8;
    ring_place to;
    item at;
    for (int i = blockIdx.x; find_item(m, i, at); i += gridDim.x) {
        const int depth = at.up ? D : F, my_rows = at.end - at.row - my_row;
        const XT *from[COPIES]; // of row my_row + n*STEP, which is live if n*STEP < my_rows
        if (!at.up) wait_tile(args.flags + at.tile);
#pragma unroll
        for (int n = 0; n < COPIES; n++) {
            const int row = n * STEP < my_rows ? at.row + my_row + n * STEP : at.row;
            from[n] = at.up ? args.x + (long long)((unsigned)m.slot[row] / K) * D
                            : args.h + (long long)row * F;
        }
        for (int step = 0; step < steps_of(at); step++, to.advance()) {
            const unsigned stage = ring + to.stage * STAGE_BYTES + WEIGHT_BYTES;
            const int k = step * BK + my_chunk * $(16 // p.xbytes);
            const bool inside = k < depth;
            barrier_wait(ring + EMPTY + to.stage * 8, to.phase ^ 1);
#pragma unroll
            for (int n = 0; n < COPIES; n++) {
                const int row = my_row + n * STEP;
                copy_async(stage + row * ROW_BYTES + swizzle<ROW_BYTES>(row, my_chunk) * 16,
                           from[n] + (inside ? k : 0), inside && n * STEP < my_rows);
            }
            barrier_arrive_copies(ring + FULL + to.stage * 8);
        }
    }
}

// Sums of an item, [64 weight rows][N] twice: the products of all K steps.
__device__ __forceinline__ void multiply(float (&sum)[2][N / 2], unsigned ring, int steps,
                                         ring_place &from) {
    const bool elected = threadIdx.x == 0;
    unsigned release = 0;
#pragma unroll 1
    for (int step = 0; step < steps; step++) {
        const unsigned stage = ring + from.stage * STAGE_BYTES;
        barrier_wait(ring + FULL + from.stage * 8, from.phase);
        async_proxy_fence(); // the gathered rows were written by ordinary copies
        const unsigned long long a = matrix_of(stage), b = matrix_of(stage + WEIGHT_BYTES);
        wgmma_fence();
#pragma unroll
        for (int k = 0; k < BK / 16; k++)
#pragma unroll
            for (int half = 0; half < 2; half++)
                wgmma(sum[half], a + half * (64 * ROW_BYTES >> 4) + k * 2, b + k * 2, step + k > 0);
        wgmma_commit();
        // One step stays under way; the stage of the one before is free.
        if (step > 0) {
            wgmma_wait<1>();
            if (elected) barrier_arrive(release);
            __syncwarp(); // wgmma wants whole warps
        }
        release = ring + EMPTY + from.stage * 8;
        from.advance();
    }
    wgmma_wait<0>();
    if (elected) barrier_arrive(release);
    __syncwarp();
}

// Calls use(row, column, half 0, half 1) for the thread's sums of live rows: `column` is of the
// first
// 64 weight rows, the second 64 stand in half 1.
template <typename Use>
__device__ __forceinline__ void each_sum(const float (&sum)[2][N / 2], const item &at, Use use) {
    const int lane = (int)threadIdx.x & 31, warp = (int)threadIdx.x / 32;
#pragma unroll
    for (int j = 0; j < N / 8; j++)
#pragma unroll
        for (int v = 0; v < 4; v++) {
            const int row = at.row + j * 8 + lane % 4 * 2 + v % 2;
            if (row < at.end) use(row, warp * 16 + lane / 4 + v / 2 * 8, sum[0][j * 4 + v],
                                  sum[1][j * 4 + v]);
        }
}

__device__ __forceinline__ void store_h(const args_experts &args, const maps &m,
                                        const float (&sum)[2][N / 2], const item &at) {
    each_sum(sum, at, [&](int row, int column, float first, float second) {
% if p.weigh == "input" then
        const float scale = args.weights[m.slot[row]]; // up(w * x) = w * up(x)
        first *= scale;
        second *= scale;
% end
        column += at.block * UP_N;
        XT *out = args.h + (long long)row * F;
% if p.bias_up then
        const WT *bias = args.up_bias + (long long)at.expert * HALVES * F;
% end
% if p.gated then
        if (column >= F) return;
%   if p.bias_up then
        first += to_float(bias[$(interleaved and "2 * column" or "column")]);
        second += to_float(bias[$(interleaved and "2 * column + 1" or "F + column")]);
%   end
        out[column] = from_float<XT>(activate(first, second));
% else
        const float both[2] = {first, second};
#pragma unroll
        for (int half = 0; half < 2; half++) {
            const int at_column = column + half * 64;
            if (at_column < F)
                out[at_column] = from_float<XT>(activate(
                    both[half]$(p.bias_up and " + to_float(bias[at_column])" or "")));
        }
% end
    });
}

__device__ __forceinline__ void store_y_rows(const args_experts &args,
                                             const float (&sum)[2][N / 2], const item &at) {
    each_sum(sum, at, [&](int row, int column, float first, float second) {
        const float both[2] = {first, second};
#pragma unroll
        for (int half = 0; half < 2; half++) {
            const int to = at.block * ROWS + column + half * 64;
            if (to >= D) continue;
% if p.bias_down then
            const float bias = to_float(args.down_bias[(long long)at.expert * D + to]);
% else
            const float bias = 0.0f;
% end
            args.y_rows[(long long)row * D + to] = from_float<XT>(both[half] + bias);
        }
    });
}

__device__ __forceinline__ void multipliers_sync() {
    asm volatile("bar.sync 1, 128;" ::: "memory");
}

// Counts what this block has written; true for all multipliers where it was the last of `all`.
__device__ __forceinline__ bool hand_over(int *flag, int all, int *last) {
    multipliers_sync();
    if (threadIdx.x == 0) {
        __threadfence();
        *last = atomicAdd(flag, 1) == all - 1;
        __threadfence();
    }
    multipliers_sync();
    return *last;
}

// Sums the rows of every token in one column block: 16 bytes a thread.
__device__ __forceinline__ void combine(const args_experts &args, const maps &m, int block) {
    constexpr int PER = $(16 // p.xbytes), CHUNKS = ROWS / PER;
    for (int i = threadIdx.x; i < args.tokens * CHUNKS; i += MULTIPLIERS) {
        const int t = i / CHUNKS, column = block * ROWS + i % CHUNKS * PER;
        float sum[PER] = {};
        if (column >= D) continue;
        for (int j = 0; j < K; j++) {
            const int row = m.row[j * args.tokens + t];
            float value[PER];
            if (row < 0) continue; // dropped
            const float weight = $(p.weigh == "input" and "1.0f" or "args.weights[t * K + j]");
            unpack_chunk<XT>(load_chunk(args.y_rows + (long long)row * D + column).word, value);
#pragma unroll
            for (int e = 0; e < PER; e++) sum[e] = fmaf(weight, value[e], sum[e]);
        }
        chunk out;
        pack_chunk<XT>(sum, out.word);
        store_chunk(args.y + (long long)t * D + column, out);
    }
}

__device__ __forceinline__ void make(const args_experts &args, const maps &m, unsigned ring) {
    ring_place from;
    item at;
    for (int i = blockIdx.x; find_item(m, i, at); i += gridDim.x) {
        float sum[2][N / 2];
        multiply(sum, ring, steps_of(at), from);
        if (at.up) {
            store_h(args, m, sum, at);
            hand_over(args.flags + at.tile, UP_BLOCKS, m.last);
        } else {
            store_y_rows(args, sum, at);
            if (hand_over(args.flags + SUMMED + at.block, *m.tiles, m.last))
                combine(args, m, at.block);
        }
    }
    // Without any row, nobody is last: y is zero.
    for (int block = blockIdx.x; *m.tiles == 0 && block < DOWN_BLOCKS; block += gridDim.x)
        combine(args, m, block);
}

extern "C" __global__ void __launch_bounds__(THREADS, 1)
$(moe.symbol())(const __grid_constant__ args_experts args) {
    extern __shared__ __align__(1024) unsigned char memory[];
    const unsigned ring = shared_address(memory);

    if (threadIdx.x == 0) {
        tensor_prefetch(args.map[0]);
        tensor_prefetch(args.map[1]);
    }
    if (threadIdx.x < STAGES) {
        barrier_init(ring + FULL + threadIdx.x * 8, 1 + 32);
        barrier_init(ring + EMPTY + threadIdx.x * 8, 1);
        barrier_init_fence();
    }
    dependency_wait();
    const maps m = make_maps(args, (int *)(memory + TABLES));
    dependents_launch();

    if (threadIdx.x < MULTIPLIERS)
        make(args, m, ring);
    else if (threadIdx.x == MULTIPLIERS)
        fetch(args, m, ring);
    else if (threadIdx.x >= MULTIPLIERS + 32)
        gather(args, m, ring);
}
