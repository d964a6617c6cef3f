// One or a few rows an expert: products of matrix and vector, in fp32 FMAs.
//
//   gemm_up    h[row]      = act(x[token of row] @ up[expert]^T + bias)      rows are gathered
//   gemm_down  y_rows[row] = h[row] @ down[expert]^T + bias
//
// A warp makes COLUMNS columns of the result for up to 8 rows of an expert. Its lanes share K: lane l
// takes the 16-byte chunks l, l + 32, ... of each weight row, UNROLL of them on their way at a time,
// and multiplies them with the same chunks of every row. Weights come past L1, rows through it.
% local up = p.kind == "gemm_up"
% local gated = up and p.gated
% local weights = up and "args.up" or "args.down"
% local bias = (up and p.bias_up or not up and p.bias_down) and weights .. "_bias"
% local input = up and "args.x" or "args.h"
% local result = up and "args.h" or "args.y_rows"
% local weighs = up and p.weigh == "input"
% local value = gated and "activate(value[0], value[1])" or up and "activate(value[0])" or "value[0]"
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
constexpr int ROWS = 8;                      // that a block serves at most

% moe.include("weights.cuh")

static_assert(DEPTH % PER == 0, "rows are whole chunks");

// The same chunk of the warp's weight rows; zeros where `inside` is false.
struct weight_chunk {
    chunk of[COLUMNS][HALVES];
};

__device__ __forceinline__ weight_chunk load_weights(const WT *from, int half_step, int k_step,
                                                     int columns, int at) {
    weight_chunk out = {};
#pragma unroll
    for (int c = 0; c < COLUMNS; c++)
#pragma unroll
        for (int half = 0; half < HALVES; half++)
            if (at < CHUNKS && c < columns)
                out.of[c][half] = load_chunk_once(
                    from + (long long)(half * half_step + c * COLUMN_ROWS) * k_step + at * PER);
    return out;
}

// sum += products of one chunk with those of all live rows.
__device__ __forceinline__ void add_products(const weight_chunk &weight, const XT *from,
                                             const int (&row)[ROWS], int rows, int at,
                                             float (&sum)[ROWS][COLUMNS][HALVES]) {
    if (at >= CHUNKS) return;
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

// The 1 keeps ptxas from spilling a few registers for the sake of one more block an SM.
extern "C" __global__ void __launch_bounds__(THREADS, 1)
$(moe.symbol())(const args_$(p.kind) args) {
    __shared__ int shared[5];
    dependency_wait();
    dependents_launch();
    row_tile tile;
    if (!find_tile<THREADS, LISTED>(args.tile_start + $(moe.tile(8)) * (LISTED + 1), args.expert_start,
                               args.expert_rows, (int)blockIdx.x / N_BLOCKS, shared, tile))
        return;
    // Row tiles of an expert that share their weights are neighbours.
    const int lane = (int)threadIdx.x & 31, warp = (int)threadIdx.x >> 5;
    const int local = tile.index * N_BLOCKS + (int)blockIdx.x % N_BLOCKS;
    const int first = tile.start + local % tile.count * ROWS;
    const int rows = min(ROWS, tile.start + tile.rows - first);
    const int column = local / tile.count * OUT_N + warp * COLUMNS, columns = WIDTH - column;
    if (columns <= 0) return;

    const int half_step = half_rows(tile.expert), k_step = row_step(tile.expert);
    const WT *weights = expert_weights(args, tile.expert) + (long long)column * COLUMN_ROWS * k_step;
    int row[ROWS]; // of the input
#pragma unroll
    for (int r = 0; r < ROWS; r++) {
        const int at = first + (r < rows ? r : 0);
% if up then
        row[r] = (int)((unsigned)args.row_slots[at] / K);
% else
        row[r] = at;
% end
    }

    float sum[ROWS][COLUMNS][HALVES] = {};
#pragma unroll 1
    for (int at = lane; at < CHUNKS; at += 32 * UNROLL) {
        weight_chunk weight[UNROLL];
#pragma unroll
        for (int u = 0; u < UNROLL; u++) weight[u] = load_weights(weights, half_step, k_step, columns, at + u * 32);
#pragma unroll
        for (int u = 0; u < UNROLL; u++) add_products(weight[u], $(input), row, rows, at + u * 32, sum);
    }
    __syncwarp();

#pragma unroll
    for (int r = 0; r < ROWS; r++) {
        if (r >= rows) break;
#pragma unroll
        for (int c = 0; c < COLUMNS; c++) {
            float value[HALVES];
#pragma unroll
            for (int half = 0; half < HALVES; half++) {
                value[half] = add_lanes(sum[r][c][half]);
% if weighs then
                value[half] *= input_weight(args, tile.expert, first + r, first + rows);
% end
% if bias then
                if (c < columns)
                    value[half] += to_float($(bias)[(long long)tile.expert * WEIGHT_ROWS +
                                                    half * half_step +
                                                    (column + c) * COLUMN_ROWS]);
% end
            }
            if (lane != 0 || c >= columns) continue;
            $(result)[(long long)(first + r) * WIDTH + column + c] = from_float<XT>($(value));
        }
    }
}
