// One or a few rows an expert: products of matrix and vector, in fp32 FMAs.
//
//   gemm_up    h[row]      = act(x[token of row] @ up[expert]^T + bias)      rows are gathered
//   gemm_down  y_rows[row] = h[row] @ down[expert]^T + bias
//
// A warp makes COLUMNS columns of the result for up to 8 rows of an expert. Its lanes share K: lane
// l takes the 16-byte chunks l, l + 32, ... of each weight row, UNROLL of them on their way at a
// time, and multiplies them with the same chunks of every row. Weights come past L1, rows through
// it. SPLIT blocks may share K in turn, see split.cuh.
% local clustered, scratched = t.lib.split.clustered(p, c, d), t.lib.split.scratched(p, c, d)
% local meets = clustered or scratched
% local up = p.kind == "gemm_up"
% local gated = up and p.gated
% local weights = up and "args.up" or "args.down"
% local bias = (up and p.bias_up or not up and p.bias_down) and weights .. "_bias"
% local input = up and "args.x" or "args.h"
% local result = up and "args.h" or "args.y_rows"
% local weighs = up and p.weigh == "input"
% local value = gated and "activate(value[0], value[1])" or up and "activate(value[0])"
%     or "value[0]"
% moe.include("types.cuh")
% moe.include("memory.cuh")
% moe.include("tiles.cuh")
% moe.include("pdl.cuh")
% if up then
%   moe.include("activate.cuh")
% end

using XT = $(p.x);
using WT = $(p.w);
$(moe.args())
% if weighs then
%   moe.include("input_weight.cuh")
% end

constexpr int DEPTH = $(up and "D" or "F");  // of the sums
constexpr int WIDTH = $(up and "F" or "D");  // columns of the result
constexpr int WEIGHT_ROWS = $(gated and "2 * F" or up and "F" or "D"); // of one expert
constexpr int HALVES = $(gated and 2 or 1);  // gate and up, or one
constexpr int THREADS = WARPS * 32, OUT_N = WARPS * COLUMNS;
constexpr int N_BLOCKS = (WIDTH + OUT_N - 1) / OUT_N;
constexpr int PER = per_chunk<WT>(), CHUNKS = DEPTH / PER;
constexpr int K_STEPS = (CHUNKS + 31) / 32;  // of a chunk a lane
constexpr int ROWS = 8;                      // that a block serves at most
constexpr int BLOCK_SUMS = ROWS * OUT_N * HALVES;

% moe.include("weights.cuh")
% moe.include("split.cuh")

static_assert(DEPTH % PER == 0, "rows are whole chunks");

// The block's place: its rows are first .. first + rows - 1, its columns column .. column + OUT_N -
// 1.
struct place {
    int expert, first, rows, column;
};

// Of tile number `number`. Row tiles of an expert that share their weights are neighbours.
__device__ __forceinline__ bool find_place(const args_$(p.kind) &args, int number, int *shared,
                                           place &out) {
    row_tile tile;
    if (!find_tile<THREADS, LISTED>(args.tile_start + $(moe.tile(8)) * (LISTED + 1),
                                    args.expert_start,
                               args.expert_rows, number / N_BLOCKS, shared, tile))
        return false;
    const int local = tile.index * N_BLOCKS + number % N_BLOCKS;
    out.expert = tile.expert;
    out.first = tile.start + local % tile.count * ROWS;
    out.rows = min(ROWS, tile.start + tile.rows - out.first);
    out.column = local / tile.count * OUT_N;
    return true;
}

// The same chunk of the warp's weight rows; zeros from chunk `end` on.
struct weight_chunk {
    chunk of[COLUMNS][HALVES];
};

__device__ __forceinline__ weight_chunk load_weights(const WT *from, int half_step, int k_step,
                                                     int columns, int at, int end) {
    weight_chunk out = {};
#pragma unroll
    for (int c = 0; c < COLUMNS; c++)
#pragma unroll
        for (int half = 0; half < HALVES; half++)
            if (at < end && c < columns)
                out.of[c][half] = load_chunk_once(
                    from + (long long)(half * half_step + c * COLUMN_ROWS) * k_step + at * PER);
    return out;
}

// sum += products of one chunk with those of all live rows.
__device__ __forceinline__ void add_products(const weight_chunk &weight, const XT *from,
                                             const int (&row)[ROWS], int rows, int at, int end,
                                             float (&sum)[ROWS][COLUMNS][HALVES]) {
    if (at >= end) return;
#pragma unroll
    for (int r = 0; r < ROWS; r++) {
        if (r >= rows) break;
        float x[PER];
        unpack_chunk<XT>(load_chunk(from + (long long)row[r] * DEPTH + at * PER).word, x);
#pragma unroll
        for (int c = 0; c < COLUMNS; c++)
#pragma unroll
            for (int half = 0; half < HALVES; half++) {
                float w[PER];
                unpack_chunk<WT>(weight.of[c][half].word, w);
#pragma unroll
                for (int i = 0; i < PER; i++)
                    sum[r][c][half] = fmaf(x[i], w[i], sum[r][c][half]);
            }
    }
}

// The sum over all lanes, in every lane.
__device__ __forceinline__ float add_lanes(float v) {
#pragma unroll
    for (int distance = 16; distance > 0; distance /= 2)
        v += __shfl_xor_sync(~0u, v, distance);
    return v;
}

// Makes a result of its sums.
__device__ __forceinline__ void store_result(const args_$(p.kind) &args, const place &at, int r,
                                             int c,
                                             float (&value)[HALVES]) {
    const int column = at.column + c;
    if (column >= WIDTH) return;
#pragma unroll
    for (int half = 0; half < HALVES; half++) {
% if weighs then
        value[half] *= input_weight(args, at.expert, at.first + r, at.first + at.rows);
% end
% if bias then
        value[half] += to_float($(bias)[(long long)at.expert * WEIGHT_ROWS +
                                        half * half_rows(at.expert) + column * COLUMN_ROWS]);
% end
    }
    $(result)[(long long)(at.first + r) * WIDTH + column] = from_float<XT>($(value));
}

// The sums of this warp's columns over the lane's chunks of steps `range`.
__device__ __forceinline__ void multiply(const args_$(p.kind) &args, const place &at,
                                         depth_range range, float (&sum)[ROWS][COLUMNS][HALVES]) {
    const int end = min(range.end * 32, CHUNKS);
    const int lane = (int)threadIdx.x & 31, column = at.column + (int)threadIdx.x / 32 * COLUMNS;
    const int columns = WIDTH - column;
    const int half_step = half_rows(at.expert), k_step = row_step(at.expert);
    const WT *weights = expert_weights(args, at.expert) + (long long)column * COLUMN_ROWS * k_step;
    int row[ROWS]; // of the input
#pragma unroll
    for (int r = 0; r < ROWS; r++) {
        const int from = at.first + (r < at.rows ? r : 0);
        row[r] = $(up and "(int)((unsigned)args.row_slots[from] / K)" or "from");
    }
#pragma unroll 1
    for (int chunk = range.first * 32 + lane; chunk < end && columns > 0; chunk += 32 * UNROLL) {
        weight_chunk weight[UNROLL];
#pragma unroll
        for (int u = 0; u < UNROLL; u++)
            weight[u] = load_weights(weights, half_step, k_step, columns, chunk + u * 32, end);
#pragma unroll
        for (int u = 0; u < UNROLL; u++)
            add_products(weight[u], $(input), row, at.rows, chunk + u * 32, end, sum);
    }
    __syncwarp();
}

% if meets then
// Where the sum of a row, column and half of the block stands among BLOCK_SUMS.
__device__ __forceinline__ int sum_at(int r, int c, int half) {
    return (r * OUT_N + c) * HALVES + half;
}

// Makes the results first, first + step, ... of a tile.
__device__ __forceinline__ void finish(const args_$(p.kind) &args, const place &at,
                                       const float *sums, int first, int step) {
    for (int i = first; i < at.rows * OUT_N; i += step) {
        float value[HALVES];
#pragma unroll
        for (int half = 0; half < HALVES; half++)
            value[half] = add_shares(sums, sum_at(i / OUT_N, i % OUT_N, half));
        store_result(args, at, i / OUT_N, i % OUT_N, value);
    }
}

% end
// The 1 keeps ptxas from spilling a few registers for the sake of one more block an SM.
extern "C" __global__ void __launch_bounds__(THREADS, 1)
$(moe.symbol(scratched and "share" or nil))(const args_$(p.kind) args) {
    __shared__ int shared[5];
    const int lane = (int)threadIdx.x & 31, warp = (int)threadIdx.x >> 5;
    const int tile = (int)blockIdx.x / SPLIT;
    place at;
    dependency_wait();
    dependents_launch();
    if (!find_place(args, tile, shared, at)) return;

    float sum[ROWS][COLUMNS][HALVES] = {};
    multiply(args, at, range_of(share_of_block(), K_STEPS), sum);
% if clustered then
    __shared__ float sums[BLOCK_SUMS];
% elseif scratched then
    float *sums = shares_of(args, tile) + share_of_block() * BLOCK_SUMS;
% end
#pragma unroll
    for (int r = 0; r < ROWS; r++) {
        if (r >= at.rows) break;
#pragma unroll
        for (int c = 0; c < COLUMNS; c++) {
            float value[HALVES];
#pragma unroll
            for (int half = 0; half < HALVES; half++) value[half] = add_lanes(sum[r][c][half]);
            if (lane != 0) continue;
% if meets then
#pragma unroll
            for (int half = 0; half < HALVES; half++)
                sums[sum_at(r, warp * COLUMNS + c, half)] = value[half];
% else
            store_result(args, at, r, warp * COLUMNS + c, value);
% end
        }
    }
% if clustered then
    __syncwarp();
    cluster_sync();
    finish(args, at, sums, share_of_block() * THREADS + threadIdx.x, SPLIT * THREADS);
    __syncwarp();
    cluster_sync();
% end
}
% if scratched then

extern "C" __global__ void __launch_bounds__(THREADS)
$(moe.symbol("add"))(const args_$(p.kind) args) {
    __shared__ int shared[5];
    place at;
    if (find_place(args, blockIdx.x, shared, at))
        finish(args, at, shares_of(args, blockIdx.x), threadIdx.x, THREADS);
}
% end
