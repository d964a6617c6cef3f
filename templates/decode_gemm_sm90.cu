// Few rows an expert: the weights are the 64-row operand of wgmma and stream through shared memory
// once; the rows of x or h are its n.
//
//   gemm_up       h[row]      = act(x[token of row] @ up[expert]^T + bias)      rows are gathered
//   gemm_down     y_rows[row] = h[row] @ down[expert]^T + bias
//   down_combine  y[token]    = sum of weight * (h[row] @ down[expert]^T + bias)
//
// A persistent block makes tiles of N rows x OUT_N columns, one after the other. A ring of STAGES x
// (ROWS + N) rows of 64 elements, with the 128-byte swizzle, keeps as many bytes on their way as
// memory's latency asks for, across tiles. One warp fetches weights and another one rows, so that
// weights never wait for the rows or their tokens; one warpgroup multiplies. gemm_down fills its
// ring with weights before the rows of h are there: the maps that it needs are older than gemm_up.
//
// SPLIT blocks may share a tile's K. As parts of tokens their sums need no meeting, see
// arrivals.cuh; else they are a cluster that makes one tile, see split.cuh, and no block has a
// second one.
//
// Sums come out as [column][row]; with a gate, eight gate columns and the eight up columns that
// pair with them lie in one thread's registers. 8x8 transposes turn the results around before they
// are stored; parts of sums are floats and stored as they are.
% local up = p.kind == "gemm_up"
% local summed = p.kind == "down_combine"
% local gated = up and p.gated
% local s = t.lib.shape(p, c)
% local meets = t.lib.split.meets(p, c)
% local bias = up and p.bias_up and "args.up_bias" or not up and p.bias_down and "args.down_bias"
% local result = up and "args.h" or "args.y_rows"
% local shared = p.shared_experts > 0
% local weight_maps = shared and "args.map[0], args.map[1]" or "args.map[0]"
% local weighs = up and p.weigh == "input"
% -- The sum that becomes (or, for half 1 of a gated result, scales) column group i of a warp.
% local function sum_of(half)
%     local scale = up and p.weigh == "input" and "scale[v] * " or ""
%     if not gated then return scale .. "sum[i / 2][j * 4 + i % 2 * 2 + v]" end
%     if s.box == 8 then return scale .. "sum[0][j * 4 + " .. half * 2 .. " + v]" end
%     return scale .. "sum[" .. half .. "][j * 4 + i * 2 + v]"
% end
% moe.include("types.cuh")
% moe.include("memory.cuh")
% moe.include("mbarrier.cuh")
% moe.include("tma.cuh")
% moe.include("wgmma.cuh")
% moe.include("pdl.cuh")
% moe.include("transpose.cuh")
% if up then
%   moe.include("activate.cuh")
% end

using XT = $(p.x);
using WT = $(p.w);
$(moe.args())
% if weighs then
%   moe.include("input_weight.cuh")
% end

constexpr int BK = 64, ROW_BYTES = BK * $(p.wbytes);
constexpr int DEPTH = $(up and "D" or "F");  // of the sums
constexpr int WIDTH = $(up and "F" or "D");  // columns of the result
constexpr int WEIGHT_ROWS = $(gated and "2 * F" or up and "F" or "D"); // of one expert
constexpr int HALVES = $(s.halves);          // gate and up, or one
constexpr int OUT_N = ROWS / HALVES;         // columns of a tile
constexpr int N_BLOCKS = (WIDTH + OUT_N - 1) / OUT_N;
constexpr int K_TILES = (DEPTH + BK - 1) / BK;
constexpr int M_BLOCKS = ROWS / 64;          // products of 64 weight rows
constexpr int GROUPS = OUT_N / 32;           // of eight columns, that a warp makes
constexpr int BOX = $(s.box);                // columns of a weight copy
constexpr int BLOCK_SUMS = ROWS * N;

constexpr int WEIGHT_BYTES = ROWS * ROW_BYTES, STAGE_BYTES = WEIGHT_BYTES + N * ROW_BYTES;
constexpr int MULTIPLIERS = 128, WEIGHT_WARP = 4, THREADS = MULTIPLIERS + 64;

// What stands behind the ring.
constexpr int TABLES = STAGES * STAGE_BYTES, FULL = TABLES + $(s.tables), EMPTY = FULL + STAGES * 8;

% moe.include("ring.cuh")
% moe.include("walk.cuh")
% moe.include("weights.cuh")
% moe.include("weights_box.cuh")
% moe.include("split.cuh")
% if summed then
%   moe.include("arrivals.cuh")
% end

// One lane brings the weights of all items, each a share of a tile.
__device__ __forceinline__ void fetch_weights(const args_$(p.kind) &args, const tile_map &map,
                                              unsigned ring) {
    ring_place to;
    int expert = 0;
    walk_place at;
    for (int item = blockIdx.x; find_place<N>(map, item / SPLIT, expert, at); item += gridDim.x) {
        if (threadIdx.x % 32 != 0) continue;
        const depth_range range = range_of(item % SPLIT, K_TILES);
#pragma unroll 1
        for (int k = range.first * BK; k < range.end * BK; k += BK, to.advance()) {
            const unsigned stage = ring + to.stage * STAGE_BYTES, full = ring + FULL + to.stage * 8;
            barrier_wait(ring + EMPTY + to.stage * 8, to.phase ^ 1);
            barrier_arrive_expect(full, WEIGHT_BYTES);
#pragma unroll
            for (int i = 0; i < OUT_N / BOX; i++)
                $(up and "load_up_rows<BOX>" or "load_down_rows")(
                    stage + i * HALVES * BOX * ROW_BYTES, $(weight_maps), full, k,
                    at.block * OUT_N + i * BOX, at.expert);
        }
    }
}

% if up then
// One warp gathers the rows of x: 16 bytes a lane and step, four rows at once.
__device__ __forceinline__ void fetch_rows(const args_gemm_up &args, const tile_map &map,
                                           unsigned ring) {
    constexpr int STEP = 4, COPIES = N / STEP;
    const int my_row = (int)threadIdx.x % 32 / 8, my_chunk = (int)threadIdx.x % 8;
    ring_place to;
    int expert = 0;
    walk_place at;
    for (int item = blockIdx.x; find_place<N>(map, item / SPLIT, expert, at); item += gridDim.x) {
        const int my_rows = at.end - at.row - my_row; // my_row + i*STEP is live if i*STEP < this
        int token[COPIES];
#pragma unroll
        for (int i = 0; i < COPIES; i++)
            token[i] = i * STEP < my_rows ? (unsigned)args.row_slots[at.row + my_row + i * STEP] / K
                                          : 0;
        const depth_range range = range_of(item % SPLIT, K_TILES);
#pragma unroll 1
        for (int k_tile = range.first; k_tile < range.end; k_tile++, to.advance()) {
            const unsigned stage = ring + to.stage * STAGE_BYTES + WEIGHT_BYTES;
            const int k = k_tile * BK + my_chunk * $(16 // p.xbytes);
            const bool inside = DEPTH % BK == 0 || k < DEPTH;
            barrier_wait(ring + EMPTY + to.stage * 8, to.phase ^ 1);
#pragma unroll
            for (int i = 0; i < COPIES; i++) {
                const int row = my_row + i * STEP;
                copy_async(stage + row * ROW_BYTES + swizzle<ROW_BYTES>(row, my_chunk) * 16,
                           args.x + (long long)token[i] * DEPTH + (inside ? k : 0),
                           inside && i * STEP < my_rows);
            }
            barrier_arrive_copies(ring + FULL + to.stage * 8);
        }
    }
}
% else
// One lane brings the rows of h.
__device__ __forceinline__ void fetch_rows(const args_$(p.kind) &args, const tile_map &map,
                                           unsigned ring) {
    ring_place to;
    int expert = 0;
    walk_place at;
    for (int item = blockIdx.x; find_place<N>(map, item / SPLIT, expert, at); item += gridDim.x) {
        if (threadIdx.x % 32 != 0) continue;
        const depth_range range = range_of(item % SPLIT, K_TILES);
#pragma unroll 1
        for (int k = range.first * BK; k < range.end * BK; k += BK, to.advance()) {
            const unsigned full = ring + FULL + to.stage * 8;
            barrier_wait(ring + EMPTY + to.stage * 8, to.phase ^ 1);
            barrier_arrive_expect(full, N * ROW_BYTES);
            tensor_load(ring + to.stage * STAGE_BYTES + WEIGHT_BYTES,
                        args.map[$(shared and 2 or 1)], full, k, at.row);
        }
    }
}
% end

// Sums of one item: the products of its K tiles.
__device__ __forceinline__ void multiply(float (&sum)[M_BLOCKS][N / 2], depth_range range,
                                         unsigned ring, ring_place &from) {
    const bool elected = threadIdx.x == 0;
    unsigned release = 0;
#pragma unroll 1 // a short kernel starts with a cold instruction cache
    for (int k_tile = range.first; k_tile < range.end; k_tile++) {
        const unsigned stage = ring + from.stage * STAGE_BYTES;
        barrier_wait(ring + FULL + from.stage * 8, from.phase);
% if up then
        async_proxy_fence(); // the gathered rows were written by ordinary copies
% end
        const unsigned long long a = matrix_of(stage), b = matrix_of(stage + WEIGHT_BYTES);
        wgmma_fence();
#pragma unroll
        for (int k = 0; k < BK / 16; k++)
#pragma unroll
            for (int m = 0; m < M_BLOCKS; m++)
                wgmma(sum[m], a + m * (64 * ROW_BYTES >> 4) + k * 2, b + k * 2,
                      k_tile + k > range.first);
        wgmma_commit();
        // One step stays under way; the stage of the one before is free.
        if (k_tile > range.first) {
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

% if summed or meets then
__device__ __forceinline__ void multipliers_sync() {
    __syncwarp(); // lanes come here from branches
    asm volatile("bar.sync 1, $("%")0;" ::"n"(MULTIPLIERS) : "memory");
}

% end
% if summed then
// What the multipliers share of a tile.
struct tile_notes {
    int *slots; // [N] of its rows
    int *full;  // [N] the counter of which a row's part was the last, or -1
};

// Stores a tile's part of the rows.
__device__ __forceinline__ void store_parts(const args_down_combine &args,
                                            const float (&sum)[M_BLOCKS][N / 2], int share,
                                            const int *slots, const walk_place &at) {
    const int lane = (int)threadIdx.x & 31, warp = (int)threadIdx.x / 32;
#pragma unroll
    for (int m = 0; m < M_BLOCKS; m++)
#pragma unroll
        for (int eight = 0; eight < 2; eight++) {
            const int column = at.block * OUT_N + m * 64 + warp * 16 + eight * 8 + lane / 4;
            if (WIDTH % OUT_N != 0 && column >= WIDTH) continue;
%   if bias then
            const float first = to_float($(bias)[(long long)at.expert * WIDTH + column]);
            const float bias = share == 0 ? first : 0.0f;
%   end
#pragma unroll
            for (int i = 0; i < N / 4; i++) {
                const int row = i / 2 * 8 + lane % 4 * 2 + i % 2;
                if (at.row + row < at.end)
                    part_of(args, share, slots[row])[column] =
                        sum[m][i / 2 * 4 + eight * 2 + i % 2]$(bias and " + bias" or "");
            }
        }
}

__device__ __forceinline__ void make(const args_down_combine &args, const tile_map &map,
                                     const tile_notes &notes, unsigned ring) {
    const int mine = threadIdx.x; // a row of the tile
    ring_place from;
    int expert = 0;
    walk_place at;
    for (int item = blockIdx.x; find_place<N>(map, item / SPLIT, expert, at); item += gridDim.x) {
        const bool live = mine < N && at.row + mine < at.end;
        int counter = 0, parts = 0;
        if (live) {
            const int slot = args.row_slots[at.row + mine];
            notes.slots[mine] = slot;
            counter = counter_of(slot);
            parts = parts_of(args, counter);
        }
        float sum[M_BLOCKS][N / 2];
        multiply(sum, range_of(item % SPLIT, K_TILES), ring, from);
        multipliers_sync();
        store_parts(args, sum, item % SPLIT, notes.slots, at);
        multipliers_sync();
        if (mine < N)
            notes.full[mine] = live && arrive(args, counter, at.block, parts) ? counter : -1;
        multipliers_sync();
        for (int i = 0; i < min(N, at.end - at.row); i++)
            if (notes.full[i] >= 0)
                sum_tokens(args, notes.full[i], at.block, threadIdx.x, MULTIPLIERS);
    }
    clear_dropped(args, threadIdx.x, MULTIPLIERS);
}
% else
// Writes a tile: bias, activation, conversion, transposes; 16 bytes a lane pair or, of one group, a
// quad.
__device__ __forceinline__ void finish(const args_$(p.kind) &args,
                                       const float (&sum)[M_BLOCKS][N / 2], const walk_place &at) {
    const int lane = (int)threadIdx.x & 31, warp = (int)threadIdx.x / 32, q = lane & 3;
    constexpr int COUNT = GROUPS == 1 ? 1 : 2;
% if bias then
    float bias[GROUPS][HALVES];
#pragma unroll
    for (int i = 0; i < GROUPS; i++) {
        const int column = at.block * OUT_N + i / 2 * 64 + warp * COUNT * 8 + i % 2 * 8 + lane / 4;
#pragma unroll
        for (int half = 0; half < HALVES; half++)
            bias[i][half] = column < WIDTH ? to_float($(bias)[(long long)at.expert * WEIGHT_ROWS +
                                                              half * half_rows(at.expert) +
                                                              column * COLUMN_ROWS])
                                           : 0.0f;
    }
% end
#pragma unroll
    for (int j = 0; j < N / 8; j++) {
        const int row = at.row + j * 8 + lane / 4;
        if (at.row + j * 8 >= at.end) break;
% if weighs then
        float scale[2]; // of the rows whose sums this lane has
#pragma unroll
        for (int v = 0; v < 2; v++)
            scale[v] = input_weight(args, at.expert, at.row + j * 8 + 2 * q + v, at.end);
% end
#pragma unroll
        for (int i0 = 0; i0 < GROUPS; i0 += COUNT) {
            unsigned word[COUNT];
#pragma unroll
            for (int i = i0; i < i0 + COUNT; i++) {
                float value[2];
#pragma unroll
                for (int v = 0; v < 2; v++)
% local first = sum_of(0) .. (bias and " + bias[i][0]" or "")
% if gated then
                    value[v] = activate($(first),
                                        $(sum_of(1))$(bias and " + bias[i][1]" or ""));
% else
                    value[v] = $(up and "activate(" or "(")$(first));
% end
                word[i - i0] = transpose(pack2<XT>(value[0], value[1]));
            }
            exchange<COUNT>(word, q);
            const int column = at.block * OUT_N + i0 / 2 * 64 + warp * COUNT * 8 +
                               (COUNT == 2 ? (q & 1) * 8 + (q >> 1) * 4 : q * 2);
            if (row < at.end && column < WIDTH)
                store_words<COUNT>($(result) + (long long)row * WIDTH + column, word);
        }
    }
}

% if meets then
// The total of all shares, in a warp that finishes its part of the tile.
__device__ __forceinline__ void add_up(float (&sum)[M_BLOCKS][N / 2], const float *sums) {
#pragma unroll
    for (int i = 0; i < M_BLOCKS * N / 2; i++)
        sum[i / (N / 2)][i % (N / 2)] = add_shares(sums, i * MULTIPLIERS + threadIdx.x);
}

// The multipliers' part of the block's only item. `sums` take the place of the ring.
__device__ __forceinline__ void make(const args_$(p.kind) &args, const tile_map &map, float *sums,
                                     unsigned ring) {
    const int share = share_of_block(), warp = (int)threadIdx.x / 32;
    ring_place from;
    int expert = 0;
    walk_place at;
    const bool live = find_place<N>(map, blockIdx.x / SPLIT, expert, at);
    float sum[M_BLOCKS][N / 2];
    if (live) {
        multiply(sum, range_of(share, K_TILES), ring, from);
        multipliers_sync(); // nobody's products read the ring any more
#pragma unroll
        for (int i = 0; i < M_BLOCKS * N / 2; i++)
            sums[i * MULTIPLIERS + threadIdx.x] = sum[i / (N / 2)][i % (N / 2)];
    }
    cluster_sync();
    if (live && warp % SPLIT == share) {
        add_up(sum, sums);
        finish(args, sum, at);
    }
    __syncwarp();
    cluster_sync();
}

// The other warps take part in its two barriers.
__device__ __forceinline__ void attend() {
    __syncwarp();
    cluster_sync();
    cluster_sync();
}
% else
__device__ __forceinline__ void make(const args_$(p.kind) &args, const tile_map &map,
                                     unsigned ring) {
    ring_place from;
    int expert = 0;
    walk_place at;
    for (int item = blockIdx.x; find_place<N>(map, item / SPLIT, expert, at); item += gridDim.x) {
        float sum[M_BLOCKS][N / 2];
        multiply(sum, range_of(item % SPLIT, K_TILES), ring, from);
        finish(args, sum, at);
    }
}
% end
% end

extern "C" __global__ void __launch_bounds__(THREADS, BLOCKS)
$(moe.symbol())(const __grid_constant__ args_$(p.kind) args) {
    extern __shared__ __align__(1024) unsigned char memory[];
    const unsigned ring = shared_address(memory);

    if (threadIdx.x == 0) {
        tensor_prefetch(args.map[0]);
% if not up then
        tensor_prefetch(args.map[$(shared and 2 or 1)]);
% end
    }
    if (threadIdx.x < STAGES) {
        barrier_init(ring + FULL + threadIdx.x * 8, $(up and "1 + 32" or "2")); // weights and rows
        barrier_init(ring + EMPTY + threadIdx.x * 8, 1);
        barrier_init_fence();
    }
% if up then
    dependency_wait(); // for the maps; gemm_down's are older than the kernel ahead
% end
    const tile_map map = load_map(args.tile_start + $(moe.tile(c.n)) * (LISTED + 1),
                                  args.expert_start,
                                  args.expert_rows, (int *)(memory + TABLES));
    __syncthreads();
    if (threadIdx.x / 32 == WEIGHT_WARP) {
        fetch_weights(args, map, ring);
% if meets then
        attend();
% end
        return;
    }
% if not up then
    dependency_wait();
% end
    dependents_launch();

    // Copies that are still under way need this block's shared memory: the multipliers wait for all
    // of them before they end.
% if summed then
    int *at_notes = (int *)(memory + TABLES) + TILE_MAP_INTS;
    const tile_notes notes = {at_notes, at_notes + N};
% end
    if (threadIdx.x < MULTIPLIERS) {
        make(args, map, $(meets and "(float *)memory, " or summed and "notes, " or "")ring);
        return;
    }
    fetch_rows(args, map, ring);
% if meets then
    attend();
% end
}
