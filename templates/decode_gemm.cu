// Few rows an expert, on sm_80 and up: the weights are the 16-row operand of mma.sync and are read
// once; the rows of x or h are its n, eight at a time.
//
//   gemm_up       h[row]      = act(x[token of row] @ up[expert]^T + bias)      rows are gathered
//   gemm_down     y_rows[row] = h[row] @ down[expert]^T + bias
//   down_combine  y[token]    = sum of weight * (h[row] @ down[expert]^T + bias)
//
// A block makes N rows x OUT_N columns. Its warps share K: warp w takes the K tiles w, w + WARPS,
// ... of all ROWS weight rows, through a ring of its own, so that no warp ever waits for another
// one's copies. At the end the warps' sums meet in shared memory and are added in the warps' order.
// SPLIT blocks may share the K tiles in turn, see split.cuh, or arrivals.cuh for down_combine.
//
// With a gate, each 16-row product has eight gate rows and then the eight up rows that pair with
// them.
% local up = p.kind == "gemm_up"
% local summed = p.kind == "down_combine"
% local gated = up and p.gated
% local s = t.lib.shape(p, c, d)
% local clustered, scratched = t.lib.split.clustered(p, c, d), t.lib.split.scratched(p, c, d)
% local meets = clustered or scratched
% local weights = up and "args.up" or "args.down"
% local bias = (up and p.bias_up or not up and p.bias_down) and weights .. "_bias"
% local result = up and "args.h" or "args.y_rows"
% local weighs = up and p.weigh == "input"
% moe.include("types.cuh")
% moe.include("memory.cuh")
% moe.include("tiles.cuh")
% moe.include("mma.cuh")
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

constexpr int BK = 64, ROW_BYTES = BK * $(p.wbytes);
constexpr int DEPTH = $(up and "D" or "F");  // of the sums
constexpr int WIDTH = $(up and "F" or "D");  // columns of the result
constexpr int WEIGHT_ROWS = $(gated and "2 * F" or up and "F" or "D"); // of one expert
constexpr int HALVES = $(s.halves);          // gate and up, or one
constexpr int OUT_N = ROWS / HALVES;         // columns of a block
constexpr int N_BLOCKS = (WIDTH + OUT_N - 1) / OUT_N;
constexpr int K_TILES = (DEPTH + BK - 1) / BK;
constexpr int THREADS = WARPS * 32;
constexpr int MI = ROWS / 16, NI = N / 8;    // products of a 16-element step

constexpr int WEIGHT_BYTES = ROWS * ROW_BYTES, STAGE_BYTES = WEIGHT_BYTES + N * ROW_BYTES;
constexpr int RING_BYTES = STAGES * STAGE_BYTES; // of a warp
constexpr int STEP = 4;                      // rows that a warp copies at once
constexpr int SUMS = MI * NI * 4;            // of a lane
constexpr int BLOCK_SUMS = SUMS * 32;        // of a warp, and of all together
% moe.include("weights.cuh")
% moe.include("split.cuh")

% if summed then
$(moe.include("arrivals.cuh"))

% end
// The block's place: rows row .. end-1 are the expert's, at most N of them ours.
struct place {
    int expert, row, end, column;
};

// Of tile number `number`. Row tiles of an expert that share their weights are neighbours.
__device__ __forceinline__ bool find_place(const args_$(p.kind) &args, int number, int *shared,
                                           place &out) {
    row_tile tile;
    const int *starts = args.tile_start + $(moe.tile(c.n)) * (LISTED + 1);
    if (!find_tile<THREADS, LISTED>(starts, args.expert_start, args.expert_rows,
                               number / N_BLOCKS, shared, tile))
        return false;
    const int local = tile.index * N_BLOCKS + number % N_BLOCKS;
    out.expert = tile.expert;
    out.row = tile.start + local % tile.count * N;
    out.end = tile.start + tile.rows;
    out.column = local / tile.count * OUT_N;
    return true;
}

// Row of the expert's weights that stands in row r of a stage; column: the result's, of it.
__device__ __forceinline__ int column_of(int r) {
    return HALVES == 2 ? r / 16 * 8 + r % 8 : r;
}

__device__ __forceinline__ int half_of(int r) {
    return HALVES == 2 ? r / 8 % 2 : 0;
}

// The sums of this warp's K tiles among those of `range`: rows lane/4 and lane/4 + 8 of each 16,
// tokens 2*(lane%4) and the next of each 8.
__device__ __forceinline__ void multiply(const args_$(p.kind) &args, const place &at,
                                         depth_range range, unsigned ring,
                                         float (&sum)[MI][NI][4]) {
    const int lane = (int)threadIdx.x & 31, first = range.first + ((int)threadIdx.x >> 5);
    // This lane copies chunk lane%8 of rows lane/8, lane/8 + 4, ...
    const int my_row = lane / 8, my_chunk = lane % 8;
    const int my_rows = at.end - at.row - my_row;
    const WT *weights = expert_weights(args, at.expert) + my_chunk * $(16 // p.wbytes);
    const int half_step = half_rows(at.expert), k_step = row_step(at.expert);
% if up then
    int token[N / STEP];
#pragma unroll
    for (int i = 0; i < N / STEP; i++)
        token[i] =
            i * STEP < my_rows ? (unsigned)args.row_slots[at.row + my_row + i * STEP] / K : 0;
    const XT *rows = args.x + my_chunk * $(16 // p.xbytes);
% else
    const XT *rows = args.h + my_chunk * $(16 // p.xbytes) + (long long)(at.row + my_row) * DEPTH;
% end

    auto copy = [&](int stage, int k_tile) {
        const unsigned to = ring + stage * STAGE_BYTES;
        const int k = k_tile * BK;
        const bool inside = DEPTH % BK == 0 || k + my_chunk * $(16 // p.xbytes) < DEPTH;
#pragma unroll
        for (int i = 0; i < ROWS / STEP; i++) {
            const int r = my_row + i * STEP, column = at.column + column_of(r);
            const bool live = inside && (WIDTH % OUT_N == 0 || column < WIDTH);
            const WT *from =
                weights + (long long)(half_of(r) * half_step + column * COLUMN_ROWS) * k_step + k;
            copy_async(to + r * ROW_BYTES + swizzle<ROW_BYTES>(r, my_chunk) * 16,
                       live ? from : weights, live);
        }
#pragma unroll
        for (int i = 0; i < N / STEP; i++) {
            const int r = my_row + i * STEP;
            const bool live = inside && i * STEP < my_rows;
            const XT *from = rows + (long long)$(up and "token[i]" or "i * STEP") * DEPTH + k;
            copy_async(to + WEIGHT_BYTES + r * ROW_BYTES + swizzle<ROW_BYTES>(r, my_chunk) * 16,
                       live ? from : rows, live);
        }
    };

    const unsigned a_at =
        ring + (lane & 15) * ROW_BYTES + swizzle<ROW_BYTES>(lane & 7, lane >> 4) * 16;
    const unsigned b_at = ring + WEIGHT_BYTES + (lane & 7) * ROW_BYTES +
                          swizzle<ROW_BYTES>(lane & 7, lane >> 3) * 16;
    auto step = [&](int stage) {
        const unsigned offset = stage * STAGE_BYTES;
#pragma unroll
        for (int pair = 0; pair < BK / 32; pair++) { // of 16-element steps
            unsigned b[NI][4];
#pragma unroll
            for (int j = 0; j < NI; j++)
                load_matrix(b[j], (b_at + offset ^ pair * 64) + j * 8 * ROW_BYTES);
#pragma unroll
            for (int m = 0; m < MI; m++)
#pragma unroll
                for (int k = 0; k < 2; k++) {
                    unsigned a[4];
                    load_matrix(a, (a_at + offset ^ pair * 64 + k * 32) + m * 16 * ROW_BYTES);
#pragma unroll
                    for (int j = 0; j < NI; j++)
                        mma_16bit<XT>(sum[m][j], a, b[j][2 * k], b[j][2 * k + 1]);
                }
        }
    };

#pragma unroll
    for (int i = 0; i < STAGES - 1; i++) {
        if (first + i * WARPS < range.end) copy(i, first + i * WARPS);
        copy_commit();
    }
    int read = 0, write = STAGES - 1;
#pragma unroll 1
    for (int k_tile = first; k_tile < range.end; k_tile += WARPS) {
        copy_wait<STAGES - 2>();
        __syncwarp(); // the stage is there for all lanes, and none reads the one before any more
        if (k_tile + (STAGES - 1) * WARPS < range.end) copy(write, k_tile + (STAGES - 1) * WARPS);
        copy_commit();
        step(read);
        read = read + 1 == STAGES ? 0 : read + 1;
        write = write + 1 == STAGES ? 0 : write + 1;
    }
}

// Where a sum stands among the BLOCK_SUMS of a warp: sum i of lane l at [i][l].
__device__ __forceinline__ int sum_at(int column, int half, int token) {
    const int m = HALVES == 2 ? column / 8 : column / 16;
    const int eight = HALVES == 2 ? half : column / 8 % 2;
    const int i = (m * NI + token / 8) * 4 + eight * 2 + token % 2;
    return i * 32 + column % 8 * 4 + token % 8 / 2;
}

__device__ __forceinline__ float add_warps(const float *sums, int at) {
    float total = 0.0f;
#pragma unroll
    for (int warp = 0; warp < WARPS; warp++) total += sums[warp * BLOCK_SUMS + at];
    return total;
}

// One value of the result, of the block's column and row.
__device__ __forceinline__ float value_of(const args_$(p.kind) &args, const place &at,
                                          const float *sums, int column, int token) {
    float value[HALVES];
#pragma unroll
    for (int half = 0; half < HALVES; half++) {
        value[half] = $(meets and "add_shares" or "add_warps")(sums, sum_at(column, half, token));
% if weighs then
        value[half] *= input_weight(args, at.expert, at.row + token, at.end);
% end
% if bias then
        $(summed and "if (share_of_block() == 0) " or "")value[half] += to_float(
            $(bias)[(long long)at.expert * WEIGHT_ROWS + half * half_rows(at.expert) +
                                        (at.column + column) * COLUMN_ROWS]);
% end
    }
    return $(gated and "activate(value[0], value[1])" or up and "activate(value[0])" or "value[0]");
}

% if summed then
// What the block notes of its rows.
struct row_notes {
    int *slot; // [N]
    // [N] first how many parts its counter waits for, at the end the counter if it is full
    int *full;
};

__device__ __forceinline__ void note_rows(const args_down_combine &args, const place &at,
                                          const row_notes &notes) {
    for (int i = threadIdx.x; i < min(N, at.end - at.row); i += THREADS) {
        notes.slot[i] = args.row_slots[at.row + i];
        notes.full[i] = parts_of(args, counter_of(notes.slot[i]));
    }
}

// Counts the block's parts, which are stored, and sums the tokens that are complete by them.
__device__ __forceinline__ void count_parts(const args_down_combine &args, const place &at,
                                            const row_notes &notes) {
    const int rows = min(N, at.end - at.row), block = at.column / OUT_N;
    __syncthreads();
    for (int i = threadIdx.x; i < rows; i += THREADS) {
        const int counter = counter_of(notes.slot[i]);
        notes.full[i] = arrive(args, counter, block, notes.full[i]) ? counter : -1;
    }
    __syncthreads();
    for (int i = 0; i < rows; i++)
        if (notes.full[i] >= 0) sum_tokens(args, notes.full[i], block, threadIdx.x, THREADS);
}

% end
// Writes the results first, first + step, ... of a tile, of column pairs of rows.
__device__ __forceinline__ void finish(const args_$(p.kind) &args, const place &at,
                                       const float *sums, int first,
                                       int step$(summed and ", const int *slot" or "")) {
    const int rows = min(N, at.end - at.row);
    for (int i = first; i < rows * (OUT_N / 2); i += step) {
        const int token = i / (OUT_N / 2), column = i % (OUT_N / 2) * 2;
        if (WIDTH % OUT_N != 0 && at.column + column >= WIDTH) continue;
        const float low = value_of(args, at, sums, column, token);
        const float high = value_of(args, at, sums, column + 1, token);
% if summed then
        *(float2 *)(part_of(args, share_of_block(), slot[token]) + at.column + column) =
            make_float2(low, high);
% else
        *(unsigned *)($(result) + (long long)(at.row + token) * WIDTH + at.column + column) =
            pack2<XT>(low, high);
% end
    }
}

extern "C" __global__ void __launch_bounds__(THREADS)
$(moe.symbol(scratched and "share" or nil))(const args_$(p.kind) args) {
    extern __shared__ __align__(1024) unsigned char memory[];
    const int tile = (int)blockIdx.x / SPLIT;
    place at;
    dependency_wait();
    dependents_launch();
% if summed then
    if (!find_place(args, tile, (int *)(memory + $(s.body)), at)) {
        clear_dropped(args, threadIdx.x, THREADS);
        return;
    }
    int *at_notes = (int *)(memory + $(s.body) + 32);
    const row_notes notes = {at_notes, at_notes + N};
    note_rows(args, at, notes);
% else
    if (!find_place(args, tile, (int *)(memory + $(s.body)), at)) return;
% end

    float sum[MI][NI][4] = {};
    multiply(args, at, range_of(share_of_block(), K_TILES),
             shared_address(memory) + threadIdx.x / 32 * RING_BYTES, sum);

    float *sums = (float *)memory; // over the rings, when all warps are done with them
    __syncthreads();
    float *mine = sums + threadIdx.x / 32 * BLOCK_SUMS + threadIdx.x % 32;
#pragma unroll
    for (int i = 0; i < SUMS; i++) mine[i * 32] = sum[i / 4 / NI][i / 4 % NI][i % 4];
    __syncthreads();
% if meets then
    float *share =
        $(scratched and "shares_of(args, tile) + share_of_block() * BLOCK_SUMS" or "sums");
    for (int i = threadIdx.x; i < BLOCK_SUMS; i += THREADS) share[i] = add_warps(sums, i);
% end
% if clustered then
    cluster_sync();
    finish(args, at, sums, share_of_block() * THREADS + threadIdx.x, SPLIT * THREADS);
    cluster_sync();
% elseif not meets then
    finish(args, at, sums, threadIdx.x, THREADS$(summed and ", notes.slot" or ""));
% end
% if summed then
    count_parts(args, at, notes);
    clear_dropped(args, threadIdx.x, THREADS);
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
