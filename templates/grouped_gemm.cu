// One block makes BM rows x OUT_N columns of one expert's product with its weights, fp32 inside.
//
//   gemm_up       h[row]         = act(x[token of row] @ up[expert]^T + bias)      rows are
//   gathered gemm_down     y_rows[row]    = h[row] @ down[expert]^T + bias
//   down_combine  y[token of row] += weight of row * (h[row] @ down[expert]^T + bias)
//
// Both operands are K-contiguous, so one ring of STAGES x (BM + BN) rows of BK elements in shared
// memory, filled by 16-byte asynchronous copies, feeds either kind of inner loop: 16 or 32 bytes of
// K at a time. Chunks are swizzled, so that neither copies nor ldmatrix meet bank conflicts. With a
// gate, the BN weight rows of a tile are BN/2 gate rows and the BN/2 up rows that pair with them;
// eight-column tiles alternate gate, up, gate, up, so each pair meets in one thread's registers.
% local up = p.kind == "gemm_up"
% local summed = p.kind == "down_combine"
% local staged = summed and c.bulk == 1 -- rows are added from shared memory, else by lanes
% local by_lanes = summed and not staged
% local gated = up and p.gated
% local fma = p.x == "f32" and c.math == 0
% local s = t.lib.shape(p, c, d)
% local weights = up and "args.up" or "args.down"
% local bias = (up and p.bias_up or not up and p.bias_down) and weights .. "_bias"
% local result = up and "args.h" or "args.y_rows" -- or the sums
% local weighs = up and p.weigh == "input"
% -- What becomes of the sums of output tile j, with `at` behind sum[i][j] and `of` behind add[j].
% local function finish(at, of)
%     local function sum(j)
%         return (weighs and "scale * " or "") .. "sum[i][" .. j .. "]" .. at ..
%                (bias and " + add[" .. j .. "]" .. of or "")
%     end
%     if gated then return "activate(" .. sum("2 * j") .. ", " .. sum("2 * j + 1") .. ")" end
%     return (up and "activate(" or summed and "target.weight * (" or "(") .. sum("j") .. ")"
% end
% local store_one = by_lanes and "atomicAdd(out + column, " .. finish("", "") .. ")"
%                   or "out[column] = " .. finish("", "")
% local out_row = staged and "(sum_type *)(ring_memory + (row - at.row) * PITCH) - at.column"
%                 or "sums_of(args) + (long long)target.token * WIDTH"
% moe.include("types.cuh")
% moe.include("memory.cuh")
% moe.include("tiles.cuh")
% moe.include("exchange.cuh")
% moe.include("pdl.cuh")
% if not fma then
%   moe.include("mma.cuh")
% end
% if up then
%   moe.include("activate.cuh")
% end

using XT = $(p.x);
using WT = $(p.w);
$(moe.args())
% if weighs then
%   moe.include("input_weight.cuh")
% end

% if summed then
$(moe.include("sums.cuh"))
% end
constexpr int DEPTH = $(up and "D" or "F");  // of the sums
constexpr int WIDTH = $(up and "F" or "D");  // columns of the result
constexpr int WEIGHT_ROWS = $(gated and "2 * F" or up and "F" or "D"); // of one expert
constexpr int HALVES = $(gated and 2 or 1);  // gate and up, or one

constexpr int THREADS = WARPS * 32;
constexpr int WN = WARPS / WM;               // warps along N; WM along M
constexpr int WARP_M = BM / WM, WARP_N = BN / WN;
constexpr int OUT_N = BN / HALVES;           // columns that a block makes,
constexpr int WARP_OUT = WARP_N / HALVES;    // and a warp
constexpr int N_BLOCKS = (WIDTH + OUT_N - 1) / OUT_N;
constexpr int NI = WARP_N / 8, OUT_I = NI / HALVES; // eight-column tiles of a warp; of its output

constexpr int PER = per_chunk<XT>();
constexpr int ROW_BYTES = BK * (int)sizeof(XT), ROW_CHUNKS = ROW_BYTES / 16;
constexpr int A_BYTES = BM * ROW_BYTES, STAGE_BYTES = A_BYTES + BN * ROW_BYTES;
constexpr int SLICES = ROW_BYTES / 32;       // 32-byte steps of K in a stage
constexpr int K_TILES = (DEPTH + BK - 1) / BK;
constexpr int STEP = THREADS / ROW_CHUNKS;   // rows that all threads copy at once
constexpr int A_COPIES = (BM + STEP - 1) / STEP, B_COPIES = (BN + STEP - 1) / STEP;

% moe.include("weights.cuh")

% if staged then
constexpr int PITCH = $(s.pitch);            // bytes from a row of staged sums to the next
% end
static_assert(STEP % 8 == 0, "a thread's rows must share their swizzle");
static_assert(SLICES >= 2, "the loop loads one slice ahead");

// The block's place: which expert, which rows, which columns.
struct place {
    int expert, row, end; // rows row .. end-1 are the expert's; at most BM of them are ours
    int column;
};

// Blocks of an expert go through its tiles in stripes of GROUP row tiles, all columns of a stripe
// before the next: the weights of a column tile are read by neighbours in time, and a stripe's
// rows stay in L2.
__device__ __forceinline__ bool find_place(const args_$(p.kind) &args, int *shared, place &out) {
    row_tile tile;
    const int *starts = args.tile_start + $(moe.tile(c.bm)) * (LISTED + 1);
    if (!find_tile<THREADS, LISTED, $(summed)>(starts, args.expert_start, args.expert_rows,
                                      (int)blockIdx.x / N_BLOCKS, shared, tile))
        return false;
    const int local = tile.index * N_BLOCKS + (int)blockIdx.x % N_BLOCKS;
    const int stripe = local / (GROUP * N_BLOCKS), in_stripe = local % (GROUP * N_BLOCKS);
    const int left = tile.count - stripe * GROUP, height = left < GROUP ? left : GROUP;
    out.expert = tile.expert;
    out.row = tile.start + (stripe * GROUP + in_stripe % height) * BM;
    out.end = tile.start + tile.rows;
    out.column = in_stripe / height * OUT_N;
    return true;
}

extern "C" __global__ void __launch_bounds__(THREADS, $(s.blocks))
$(summed and moe.symbol("add") or moe.symbol())(const args_$(p.kind) args) {
    extern __shared__ __align__(1024) unsigned char ring_memory[];
    place at;
% if summed then
    // What is read here is older than the kernel ahead, which clears the sums.
    if (!find_place(args, (int *)(ring_memory + $(s.body)), at)) {
        dependency_wait();
        return;
    }
% else
    dependency_wait();
    dependents_launch();
    if (!find_place(args, (int *)(ring_memory + $(s.body)), at)) return;
% end

    const unsigned ring = shared_address(ring_memory);
    const int tid = (int)threadIdx.x, lane = tid & 31, warp = tid >> 5;

    // What this thread copies: chunk my_chunk of rows my_row, my_row + STEP, ... of A and of B.
    const int my_row = tid / ROW_CHUNKS, my_chunk = tid % ROW_CHUNKS;
    const unsigned my_place = my_row * ROW_BYTES + swizzle<ROW_BYTES>(my_row, my_chunk) * 16;
    const int my_rows = at.end - at.row - my_row; // of A, my_row + i*STEP is live if i*STEP < this
% if up then
    const XT *a_from = args.x + my_chunk * PER;
    int token[A_COPIES]; // of those rows; 0 where there is none
% else
    const XT *a_from = args.h + (long long)(at.row + my_row) * DEPTH + my_chunk * PER;
% end
    // Row r of B is that of column + r; with a gate, rows from OUT_N on are those of half 1. Where
    // STEP > OUT_N, one copy spans both halves.
    constexpr bool SPLIT = STEP <= OUT_N;
    const int my_half = SPLIT ? 0 : my_row / OUT_N, my_column = SPLIT ? my_row : my_row % OUT_N;
    const int my_columns = WIDTH - at.column - my_column;
    const int half_step = half_rows(at.expert), k_step = row_step(at.expert);
    const int my_weights = my_half * half_step + (at.column + my_column) * COLUMN_ROWS;
    const WT *b_from = expert_weights(args, at.expert) + my_chunk * PER +
                       (long long)my_weights * k_step;

    // Copies of one K tile, or a share of them: the inner loop spreads them over its slices.
    constexpr int ALL = -1, SHARES = SLICES - 1;
    auto copy_b = [&](int stage, int k_tile, int share) {
        const unsigned to = ring + stage * STAGE_BYTES + A_BYTES + my_place;
        const int k = k_tile * BK;
        const bool inside = DEPTH % BK == 0 || k + my_chunk * PER < DEPTH;
#pragma unroll
        for (int i = 0; i < B_COPIES; i++) {
            if (share != ALL && i % SHARES != share) continue;
            constexpr int WRAP = SPLIT ? OUT_N : BN;
            const int column = i * STEP % WRAP, half = i * STEP / WRAP;
            const WT *from =
                b_from + (long long)(half * half_step + column * COLUMN_ROWS) * k_step + k;
            if (BN % STEP == 0 || my_row + i * STEP < BN)
                copy_async(to + i * STEP * ROW_BYTES, from,
                           inside && (WIDTH % OUT_N == 0 || column < my_columns));
        }
    };
    auto copy_a = [&](int stage, int k_tile, int share) {
        const unsigned to = ring + stage * STAGE_BYTES + my_place;
        const int k = k_tile * BK;
        const bool inside = DEPTH % BK == 0 || k + my_chunk * PER < DEPTH;
#pragma unroll
        for (int i = 0; i < A_COPIES; i++) {
            if (share != ALL && i % SHARES != share) continue;
            const XT *from = a_from + k + (long long)$(up and "token[i]" or "i * STEP") * DEPTH;
            if (BM % STEP == 0 || my_row + i * STEP < BM)
                copy_async(to + i * STEP * ROW_BYTES, from, inside && i * STEP < my_rows);
        }
    };

    // The weights first, as the rows' addresses have yet to come. All weights of the prologue are
    // then in the first group, which is no loss: the first rows arrive later.
#pragma unroll
    for (int i = 0; i < STAGES - 1 && i < K_TILES; i++) copy_b(i, i, ALL);
% if up then
    __syncwarp(); // keeps the compiler from waiting for the slots between the copies above
#pragma unroll
    for (int i = 0; i < A_COPIES; i++) {
        const bool live = i * STEP < my_rows && (BM % STEP == 0 || my_row + i * STEP < BM);
        token[i] = live ? (unsigned)args.row_slots[at.row + my_row + i * STEP] / K : 0;
    }
% end
#pragma unroll
    for (int i = 0; i < STAGES - 1; i++) {
        if (i < K_TILES) copy_a(i, i, ALL);
        copy_commit();
    }
% if summed then
    row_target *targets = (row_target *)(ring_memory + $(s.body) + 32);
    for (int i = tid; i < min(BM, at.end - at.row); i += THREADS)
        targets[i] = find_target(args, at.row + i);
% end

    // What this warp computes: WARP_M rows from warp_row, WARP_OUT columns from warp_column.
    const int warp_row = warp % WM * WARP_M, warp_column = warp / WM * WARP_OUT;
    // Tile row of B that holds column 0 of the warp's eight-column tile j, from the warp's first.
    auto b_row = [](int j) { return HALVES == 2 ? j % 2 * OUT_N + j / 2 * 8 : j * 8; };

% if fma then
    // A lane owns rows lane/8 + 4i and column lane%8 of each tile j.
    constexpr int MI = WARP_M / 4;
    const int lane_row = lane >> 3, lane_column = lane & 7;
    const unsigned a_at = (warp_row + lane_row) * ROW_BYTES;
    const unsigned b_at = A_BYTES + (warp_column + lane_column) * ROW_BYTES;
    const unsigned a_swizzle = swizzle<ROW_BYTES>(lane_row, 0) * 16;
    const unsigned b_swizzle = swizzle<ROW_BYTES>(lane_column, 0) * 16;

    float sum[MI][NI] = {};
    int read = 0, write = STAGES - 1;
    for (int k_tile = 0; k_tile < K_TILES; k_tile++) {
        copy_wait<STAGES - 2>();
        __syncthreads();
        if (k_tile + STAGES - 1 < K_TILES) {
            copy_b(write, k_tile + STAGES - 1, ALL);
            copy_a(write, k_tile + STAGES - 1, ALL);
        }
        copy_commit();
        const unsigned char *stage = ring_memory + read * STAGE_BYTES;
#pragma unroll 2
        for (int kc = 0; kc < ROW_CHUNKS; kc++) {
            float b[NI][4];
#pragma unroll
            for (int j = 0; j < NI; j++)
                unpack_chunk<WT>(load_chunk(stage + b_at + b_row(j) * ROW_BYTES +
                                            (b_swizzle ^ kc * 16)).word, b[j]);
#pragma unroll
            for (int i = 0; i < MI; i++) {
                const int chunk_at = a_swizzle ^ swizzle<ROW_BYTES>(i * 4, kc) * 16;
                float a[4];
                unpack_chunk<XT>(load_chunk(stage + a_at + i * 4 * ROW_BYTES + chunk_at).word, a);
#pragma unroll
                for (int j = 0; j < NI; j++)
#pragma unroll
                    for (int k = 0; k < 4; k++) sum[i][j] = fmaf(a[k], b[j][k], sum[i][j]);
            }
        }
        read = read + 1 == STAGES ? 0 : read + 1;
        write = write + 1 == STAGES ? 0 : write + 1;
    }

% if staged then
    __syncthreads(); // the sums take the ring's place
% elseif summed then
    dependency_wait();
    dependents_launch();
% end
% if bias then
    float add[NI];
#pragma unroll
    for (int j = 0; j < NI; j++) {
        const int column = at.column + warp_column + j / HALVES * 8 + lane_column;
        add[j] = WIDTH % OUT_N == 0 || column < WIDTH
                     ? $(bias)[(long long)at.expert * WEIGHT_ROWS + j % HALVES * half_step +
                               column * COLUMN_ROWS]
                     : 0.0f;
    }
% end
#pragma unroll
    for (int i = 0; i < MI; i++) {
        const int row = at.row + warp_row + lane_row + i * 4;
% if summed then
        const row_target target = row < at.end ? targets[row - at.row] : row_target{0, 0.0f};
        sum_type *out = $(out_row);
% else
        XT *out = $(result) + (long long)row * WIDTH;
% end
%   if weighs then
        const float scale = input_weight(args, at.expert, row, at.end);
%   end
#pragma unroll
        for (int j = 0; j < OUT_I; j++) {
            const int column = at.column + warp_column + j * 8 + lane_column;
            if (row < at.end && (WIDTH % OUT_N == 0 || column < WIDTH))
                $(store_one);
        }
    }
% else
    // A lane owns rows lane/4 and lane/4 + 8 of each 16-row tile i and columns 2q, 2q+1 of each j.
    constexpr int MI = WARP_M / 16;
    const int lane_row = lane >> 2, q = lane & 3;
    const unsigned a_at = ring + (warp_row + (lane & 15)) * ROW_BYTES +
                          swizzle<ROW_BYTES>(lane & 7, lane >> 4) * 16;
    const int lane_b_row = b_row(lane >> 4) + (lane & 7);
    const unsigned b_at = ring + A_BYTES + (warp_column + lane_b_row) * ROW_BYTES +
                          swizzle<ROW_BYTES>(lane & 7, lane >> 3 & 1) * 16;

    float sum[MI][NI][4] = {};

    // Fragments are loaded one slice ahead of their products.
    unsigned a[2][MI][4], b[2][NI / 2][4];
    auto load_slice = [&](int stage, int slice, int to) {
        const unsigned offset = stage * STAGE_BYTES, k = slice * 32;
#pragma unroll
        for (int i = 0; i < MI; i++)
            load_matrix(a[to][i], (a_at + offset ^ k) + i * 16 * ROW_BYTES);
#pragma unroll
        for (int j = 0; j < NI / 2; j++)
            load_matrix(b[to][j], (b_at + offset ^ k) + b_row(2 * j) * ROW_BYTES);
    };
    auto multiply = [&](int from) {
%   if p.x == "f32" then
        unsigned a_big[MI][4], a_small[MI][4];
#pragma unroll
        for (int i = 0; i < MI; i++)
#pragma unroll
            for (int v = 0; v < 4; v++) split_tf32(a[from][i][v], a_big[i][v], a_small[i][v]);
#pragma unroll
        for (int j = 0; j < NI; j++) {
            unsigned big[2], small[2];
            split_tf32(b[from][j / 2][j % 2 * 2], big[0], small[0]);
            split_tf32(b[from][j / 2][j % 2 * 2 + 1], big[1], small[1]);
#pragma unroll
            for (int i = 0; i < MI; i++) mma_tf32(sum[i][j], a_small[i], big[0], big[1]);
#pragma unroll
            for (int i = 0; i < MI; i++) mma_tf32(sum[i][j], a_big[i], small[0], small[1]);
#pragma unroll
            for (int i = 0; i < MI; i++) mma_tf32(sum[i][j], a_big[i], big[0], big[1]);
        }
%   else
#pragma unroll
        for (int j = 0; j < NI; j++)
#pragma unroll
            for (int i = 0; i < MI; i++)
                mma_16bit<XT>(sum[i][j], a[from][i], b[from][j / 2][j % 2 * 2],
                              b[from][j / 2][j % 2 * 2 + 1]);
%   end
    };

    copy_wait<STAGES - 2>();
    __syncthreads();
    load_slice(0, 0, 0);
    int read = 0, write = STAGES - 1;
    for (int k_tile = 0; k_tile < K_TILES; k_tile++) {
#pragma unroll
        for (int slice = 0; slice < SLICES; slice++) {
            if (slice + 1 < SLICES) {
                load_slice(read, slice + 1, (slice + 1) % 2);
            } else if (k_tile + 1 < K_TILES) {
                // Behind this barrier the next stage is there, and nobody reads this one any more.
                copy_wait<STAGES - 2>();
                __syncthreads();
                read = read + 1 == STAGES ? 0 : read + 1;
                load_slice(read, 0, 0);
            }
            if (slice < SHARES && k_tile + STAGES - 1 < K_TILES) {
                copy_b(write, k_tile + STAGES - 1, slice);
                copy_a(write, k_tile + STAGES - 1, slice);
            }
            if (slice + 1 == SHARES) {
                copy_commit();
                write = write + 1 == STAGES ? 0 : write + 1;
            }
            multiply(slice % 2);
        }
    }

% if staged then
    __syncthreads(); // the sums take the ring's place
% elseif summed then
    dependency_wait();
    dependents_launch();
% end
% if bias then
    // Sums do not start from it: tensor cores cut each step's products off at the sum's last bit.
    float add[NI][2] = {};
#pragma unroll
    for (int j = 0; j < NI; j++) {
        const int column = at.column + warp_column + j / HALVES * 8 + 2 * q;
        const WT *bias = $(bias) + (long long)at.expert * WEIGHT_ROWS + j % HALVES * half_step +
                         column * COLUMN_ROWS;
        if (WIDTH % OUT_N == 0 || column < WIDTH) {
            add[j][0] = to_float(bias[0]);
            add[j][1] = to_float(bias[COLUMN_ROWS]);
        }
    }
% end
#pragma unroll
    for (int i = 0; i < MI; i++) {
#pragma unroll
        for (int half = 0; half < 2; half++) {
            const int row = at.row + warp_row + i * 16 + half * 8 + lane_row;
% if summed then
            const row_target target = row < at.end ? targets[row - at.row] : row_target{0, 0.0f};
            sum_type *out = $(out_row);
% else
            XT *out = $(result) + (long long)row * WIDTH;
% end
%   if weighs then
            const float scale = input_weight(args, at.expert, row, at.end);
%   end
            float value[OUT_I][2];
#pragma unroll
            for (int j = 0; j < OUT_I; j++)
#pragma unroll
                for (int v = 0; v < 2; v++)
                    value[j][v] = $(finish("[half * 2 + v]", "[v]"));
%   if p.x == "f32" or summed and c.wide == 1 then
#pragma unroll
            for (int j = 0; j < OUT_I; j++) {
                const int column = at.column + warp_column + j * 8 + 2 * q;
                if (row < at.end && (WIDTH % OUT_N == 0 || column < WIDTH))
%     if by_lanes then
                    add_pair(out + column, value[j][0], value[j][1]);
%     else
                    *(float2 *)(out + column) = make_float2(value[j][0], value[j][1]);
%     end
            }
%   else
            constexpr int COUNT = OUT_I % 4 == 0 ? 4 : OUT_I % 2 == 0 ? 2 : 1;
#pragma unroll
            for (int j = 0; j < OUT_I; j += COUNT) {
                unsigned word[COUNT];
#pragma unroll
                for (int v = 0; v < COUNT; v++)
                    word[v] = pack2<XT>(value[j + v][0], value[j + v][1]);
                exchange<COUNT>(word, q);
                const int column = at.column + warp_column + (j + q % COUNT) * 8 +
                                   q / COUNT * COUNT * 2;
                if (row < at.end && (WIDTH % OUT_N == 0 || column < WIDTH))
                    $(by_lanes and "add_words" or "store_words")(out + column, word);
            }
%   end
        }
    }
% end
% if staged then
    async_proxy_fence();
    __syncthreads();
    dependency_wait();
    dependents_launch();
    for (int i = tid; i < min(BM, at.end - at.row); i += THREADS)
        add_row(args, targets[i].token, ring + i * PITCH, at.column, min(OUT_N, WIDTH - at.column));
    tensor_store_commit();
    tensor_store_wait<0>();
% end
}
