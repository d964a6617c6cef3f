// A persistent block of a producer warpgroup and WGS consumer warpgroups makes tiles of BM rows x
// OUT_N columns, one after the other:
//
//   gemm_up    h[row]      = act(x[token of row] @ up[expert]^T + bias)      rows are gathered
//   gemm_down  y_rows[row] = h[row] @ down[expert]^T + bias
//
// A ring of STAGES x (BM + BN) rows of BK elements, in slices of SLICE elements, each with the
// swizzle of its row length, stands between them. The weights of a slice come by one bulk copy:
// with a gate, it brings BN/2 gate rows and then the BN/2 up rows that pair with them (two copies,
// where the layout interleaves them), so that both meet in one thread's registers. Rows of h come
// by bulk copies too; rows of x are gathered by 16-byte copies of all producer threads, which
// arrive at the stage's barrier by themselves.
//
// Two blocks of a cluster take row tiles that follow one another in an expert. Each fetches half of
// the weights of a stage, for both.
% local up = p.kind == "gemm_up"
% local gated = up and p.gated
% local s = t.lib.shape(p, c, d)
% local bias = up and p.bias_up and "args.up_bias" or not up and p.bias_down and "args.down_bias"
% local weighs = up and p.weigh == "input"
% local apart = up and p.gated and p.layout == "interleaved" -- a copy brings one half
% local shared = p.shared_experts > 0
% local result = up and "args.h" or "args.y_rows"
% local wait_empty = c.cluster == 2 and "barrier_wait_cluster" or "barrier_wait"
% moe.include("types.cuh")
% moe.include("memory.cuh")
% moe.include("mbarrier.cuh")
% moe.include("tma.cuh")
% moe.include("wgmma.cuh")
% moe.include("pdl.cuh")
% if c.store == 0 then
%   moe.include("exchange.cuh")
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

constexpr int DEPTH = $(up and "D" or "F");  // of the sums
constexpr int WIDTH = $(up and "F" or "D");  // columns of the result
constexpr int WEIGHT_ROWS = $(gated and "2 * F" or up and "F" or "D"); // of one expert
constexpr int HALVES = $(s.halves);          // gate and up, or one
constexpr int OUT_N = BN / HALVES;           // columns of a tile
constexpr int N_BLOCKS = (WIDTH + OUT_N - 1) / OUT_N;
constexpr int K_TILES = (DEPTH + BK - 1) / BK;
constexpr int GROUP_THREADS = 128;
constexpr int M_BLOCKS = $(s.m_blocks);      // of 64 rows, of a consumer
constexpr int HEIGHT = BM * CLUSTER;         // rows of a cluster's tile

constexpr int SLICE = BK < 64 ? BK : 64, SLICES = BK / SLICE, ROW_BYTES = SLICE * $(p.wbytes);
constexpr int A_SLICE = BM * ROW_BYTES, B_SLICE = BN * ROW_BYTES;
constexpr int A_BYTES = A_SLICE * SLICES, B_BYTES = B_SLICE * SLICES;
constexpr int STAGE_BYTES = A_BYTES + B_BYTES;

// What stands behind the ring.
constexpr int STAGING = STAGES * STAGE_BYTES, TABLES = STAGING + $(s.staging);
constexpr int FULL = TABLES + $(s.tables), EMPTY = FULL + STAGES * 8;

% moe.include("ring.cuh")
% if c.cluster == 1 then
%   moe.include("weights_box.cuh")
% end
% if bias then
%   moe.include("weights.cuh")
% end
% moe.include("stripes.cuh")
% if c.store > 0 then
constexpr int PIECE = $(s.piece);
%   moe.include("stage.cuh")
% end

// Gives a stage back to whoever fills it: a consumer's first lane does, or one for each block.
__device__ __forceinline__ void release_stage(unsigned empty) {
    const int tid = (int)threadIdx.x % GROUP_THREADS;
% if c.cluster == 2 then
    if (tid == 0 || tid == 32) barrier_arrive_remote(empty, tid / 32);
% else
    if (tid == 0) barrier_arrive(empty);
% end
    __syncwarp(); // wgmma wants whole warps
}

// Blocks of 64 rows from `first` on that have a row of the expert; may be negative.
__device__ __forceinline__ int live_blocks(const place &at, int first) {
    return (at.end - at.row - first + 63) / 64;
}

// One stage's rows of weights, and the rows of h where they are not gathered.
__device__ __forceinline__ void fetch(const args_$(p.kind) &args, unsigned stage, unsigned full,
                                      const place &at, int k) {
% if up then
    barrier_arrive_expect(full, B_BYTES);
% else
    const int live = max(0, min(live_blocks(at, 0), BM / 64));
    barrier_arrive_expect(full, B_BYTES + live * SLICES * 64 * ROW_BYTES);
% end
#pragma unroll
    for (int i = 0; i < SLICES; i++) {
        const unsigned weights = stage + A_BYTES + i * B_SLICE;
% if c.cluster == 2 then
        constexpr int PART = OUT_N / 2; // columns that this block fetches
        const int first = (int)cluster_rank() * PART;
%   for half = 0, s.halves - 1 do
%     local to = "weights + (" .. half .. " * OUT_N + first) * ROW_BYTES, "
%     local column, slice = "at.column + first", "at.expert - LOCAL"
%     local order = not up and column or apart and half .. ", " .. column or column .. ", " .. half
%     local sliced = not up and slice .. ", " .. column or apart and order .. ", " .. slice
%         or column .. ", " .. slice .. ", " .. half
%     if shared then
        if (at.expert >= LOCAL)
            tensor_load_multicast($(to)args.map[1], full, 3, k + i * SLICE, $(sliced));
        else
%     end
        tensor_load_multicast($(to)args.map[0], full, 3, k + i * SLICE, $(order), at.expert);
%   end
% else
        $(up and "load_up_rows<OUT_N>" or "load_down_rows")(
            weights, args.map[0], $(shared and "args.map[1], " or "")full,
                                  k + i * SLICE, at.column, at.expert);
% end
% if not up then
        for (int m = 0; m < live; m++)
            tensor_load(stage + i * A_SLICE + m * 64 * ROW_BYTES,
                        args.map[$(shared and 2 or 1)], full,
                        k + i * SLICE, at.row + m * 64);
% end
    }
}

__device__ __forceinline__ void produce(const args_$(p.kind) &args, const tile_map &map,
                                        unsigned ring) {
    const int tid = (int)threadIdx.x;
% if up then
    // This thread copies chunk tid%CHUNKS of rows tid/CHUNKS, tid/CHUNKS + STEP, ...
    constexpr int CHUNKS = SLICE / 8, STEP = GROUP_THREADS / CHUNKS, COPIES = BM / STEP;
    const int my_row = tid / CHUNKS, my_chunk = tid % CHUNKS;
    const unsigned my_place = my_row * ROW_BYTES + swizzle<ROW_BYTES>(my_row, my_chunk) * 16;
% else
    if (tid >= 32) return; // one warp walks the tiles, and one lane of it copies
% end
    ring_place to;
    tile_walk walk;
    const place &at = walk.at;
    while (walk.next(map)) {
% if up then
        int token[COPIES];
        const int my_rows = at.end - at.row - my_row; // my_row + i*STEP is live if i*STEP < this
#pragma unroll
        for (int i = 0; i < COPIES; i++)
            token[i] = i * STEP < my_rows ? (unsigned)args.row_slots[at.row + my_row + i * STEP] / K
                                          : 0;
% end
        for (int k_tile = 0; k_tile < K_TILES; k_tile++) {
            const unsigned stage = ring + to.stage * STAGE_BYTES, full = ring + FULL + to.stage * 8;
% if not up then
            if (tid == 0) {
                $(wait_empty)(ring + EMPTY + to.stage * 8, to.phase ^ 1);
                fetch(args, stage, full, at, k_tile * BK);
            }
% else
            $(wait_empty)(ring + EMPTY + to.stage * 8, to.phase ^ 1);
            if (tid == 0) fetch(args, stage, full, at, k_tile * BK);
#pragma unroll
            for (int slice = 0; slice < SLICES; slice++) {
                const int k = k_tile * BK + slice * SLICE + my_chunk * $(16 // p.xbytes);
                const bool inside = DEPTH % BK == 0 || k < DEPTH;
#pragma unroll
                for (int i = 0; i < COPIES; i++)
                    copy_async(stage + slice * A_SLICE + my_place + i * STEP * ROW_BYTES,
                               args.x + (long long)token[i] * DEPTH + (inside ? k : 0),
                               inside && i * STEP < my_rows);
            }
            barrier_arrive_copies(full);
% end
            to.advance();
        }
    }
    // The copies that are still under way need this block's shared memory: the consumers wait for
    // all of them before they end.
}

// Sums of one tile: the products of all K tiles, for the first LIVE blocks of rows.
template <int LIVE>
__device__ __forceinline__ void multiply(float (&sum)[M_BLOCKS][BN / 2], unsigned ring,
                                         int first_row, ring_place &from) {
    unsigned release = 0;
#pragma unroll 1
    for (int k_tile = 0; k_tile < K_TILES; k_tile++) {
        const unsigned stage = ring + from.stage * STAGE_BYTES;
        barrier_wait(ring + FULL + from.stage * 8, from.phase);
% if up then
        async_proxy_fence(); // the gathered rows were written by ordinary copies
% end
        const unsigned long long a = matrix_of<ROW_BYTES>(stage + first_row * ROW_BYTES);
        const unsigned long long b = matrix_of<ROW_BYTES>(stage + A_BYTES);
        wgmma_fence();
#pragma unroll
        for (int k = 0; k < BK / 16; k++) {
            const int slice = k * 16 / SLICE, step = k % (SLICE / 16) * 2;
#pragma unroll
            for (int m = 0; m < LIVE; m++)
                wgmma(sum[m], a + (slice * A_SLICE + m * 64 * ROW_BYTES >> 4) + step,
                      b + (slice * B_SLICE >> 4) + step, k_tile + k > 0);
        }
        wgmma_commit();
        // One step stays under way; the stage of the one before is free.
        if (k_tile > 0) {
            wgmma_wait<1>();
            release_stage(release);
        }
        release = ring + EMPTY + from.stage * 8;
        from.advance();
    }
    wgmma_wait<0>();
    release_stage(release);
}

% if s.idle then
// The same where no row is anybody's. One thread sees every phase pass; the others wait for it, so
// that none takes an older phase for the one that it waits for next.
__device__ __forceinline__ void pass_over(unsigned ring, ring_place &from, int consumer) {
    if (threadIdx.x % GROUP_THREADS == 0) {
        ring_place at = from;
        for (int k_tile = 0; k_tile < K_TILES; k_tile++) {
            barrier_wait(ring + FULL + at.stage * 8, at.phase);
%   for block = 0, c.cluster - 1 do
            $(c.cluster == 2 and "barrier_arrive_remote" or "barrier_arrive")(
                ring + EMPTY + at.stage * 8$(c.cluster == 2 and ", " .. block or ""));
%   end
            at.advance();
        }
    }
    from.skip(K_TILES);
    __syncwarp();
    asm volatile("bar.sync %0, 128;" ::"r"(consumer + 3) : "memory");
}

% end
% if bias then
// What is added to two neighbouring columns of both halves.
struct addends {
    float half[HALVES][2];

    __device__ __forceinline__ addends(const WT *bias, const place &at, int column) {
        const bool inside = WIDTH % OUT_N == 0 || at.column + column < WIDTH;
        const WT *from = bias + (long long)at.expert * WEIGHT_ROWS;
#pragma unroll
        for (int h = 0; h < HALVES; h++)
#pragma unroll
            for (int e = 0; e < 2; e++)
% local in_half = "h * half_rows(at.expert) + (at.column + column + e) * COLUMN_ROWS"
                half[h][e] =
                    inside ? to_float(from[$(up and in_half or "at.column + column + e")]) : 0.0f;
    }
};

% end
% local takes = (weighs and ", float scale" or "") .. (bias and ", const addends &add" or "")
// Two neighbouring results of a thread: columns 8j + 2q and the next, in row lane/4 + 8*half of the
// warp's 16.
__device__ __forceinline__ unsigned two_results(const float (&sum)[BN / 2], int j,
                                                int half$(takes)) {
    float v[2];
#pragma unroll
    for (int e = 0; e < 2; e++) {
        float of[HALVES];
#pragma unroll
        for (int h = 0; h < HALVES; h++)
            of[h] = $(weighs and "scale * " or "")sum[(h * OUT_N / 8 + j) * 4 + half * 2 + e]
                    $(bias and " + add.half[h][e]" or "");
        v[e] = $(gated and "activate(of[0], of[1])" or up and "activate(of[0])" or "of[0]");
    }
    return pack2<XT>(v[0], v[1]);
}

% if c.store > 0 then
// Writes the rows of one consumer: a warp's 16 rows, piece after piece.
__device__ __forceinline__ void finish(const args_$(p.kind) &args,
                                       const float (&sum)[M_BLOCKS][BN / 2], const place &at,
                                       int first_row, outbox &out) {
#pragma unroll
    for (int m = 0; m < M_BLOCKS; m++) {
        const int row = at.row + first_row + m * 64 + (int)threadIdx.x / 32 % 4 * 16;
        if (row >= at.end) break;
%   if weighs then
        const int lane_row = row + (int)threadIdx.x % 32 / 4;
        const float scale[2] = {input_weight(args, at.expert, lane_row, at.end),
                                input_weight(args, at.expert, lane_row + 8, at.end)};
%   end
#pragma unroll
        for (int i = 0; i < PIECES; i++) {
            const int column = i * PIECE;
            if (WIDTH % OUT_N != 0 && at.column + column >= WIDTH) break;
            out.fill([&](int j, unsigned &low, unsigned &high) {
                j += column / 8;
%   if bias then
                const addends add($(bias), at, j * 8 + (int)threadIdx.x % 4 * 2);
%   end
                low = two_results(sum[m], j,
                                  0$(weighs and ", scale[0]" or "")$(bias and ", add" or ""));
                high = two_results(sum[m], j,
                                   1$(weighs and ", scale[1]" or "")$(bias and ", add" or ""));
            });
            out.send(args.map[$(s.maps - 1)], $(result), row, at.column + column, at.end - row);
        }
    }
}
% else
// Writes the rows of one consumer, 16 bytes a lane.
__device__ __forceinline__ void finish(const args_$(p.kind) &args,
                                       const float (&sum)[M_BLOCKS][BN / 2], const place &at,
                                       int first_row) {
    const int lane = (int)threadIdx.x & 31, warp = (int)threadIdx.x / 32 % 4, q = lane & 3;
    constexpr int OUT_I = OUT_N / 8, COUNT = OUT_I % 4 == 0 ? 4 : OUT_I % 2 == 0 ? 2 : 1;
#pragma unroll
    for (int m = 0; m < M_BLOCKS; m++) {
#pragma unroll
        for (int half = 0; half < 2; half++) {
            const int row = at.row + first_row + m * 64 + warp * 16 + half * 8 + lane / 4;
            XT *out = $(result) + (long long)row * WIDTH + at.column;
%   if weighs then
            const float scale = input_weight(args, at.expert, row, at.end);
%   end
#pragma unroll
            for (int j = 0; j < OUT_I; j += COUNT) {
                unsigned word[COUNT];
#pragma unroll
                for (int i = 0; i < COUNT; i++) {
%   if bias then
                    const addends add($(bias), at, (j + i) * 8 + q * 2);
%   end
                    word[i] = two_results(
                        sum[m], j + i, half$(weighs and ", scale" or "")$(bias and ", add" or ""));
                }
                exchange<COUNT>(word, q);
                const int column = COUNT == 4 ? (j + q) * 8
                                   : COUNT == 2 ? (j + (q & 1)) * 8 + (q >> 1) * 4
                                                : j * 8 + q * 2;
                if (row < at.end && (WIDTH % OUT_N == 0 || at.column + column < WIDTH))
                    store_words<COUNT>(out + column, word);
            }
        }
    }
}
% end

% if c.pingpong == 1 then
// Consumers take turns to multiply: turn w waits for the other's mainloop to end.
__device__ __forceinline__ void turn_wait(int w) {
    asm volatile("bar.sync %0, 256;" ::"r"(w + 1) : "memory");
}

__device__ __forceinline__ void turn_give(int w) {
    asm volatile("bar.arrive %0, 256;" ::"r"(w + 1) : "memory");
}

% end
__device__ __forceinline__ void consume(const args_$(p.kind) &args, const tile_map &map,
                                        unsigned ring) {
    // From a shuffle, so that descriptors stay in uniform registers.
    const int consumer = __shfl_sync(~0u, (int)threadIdx.x / GROUP_THREADS, 0) - 1;
    ring_place from;
    tile_walk walk;
    const place &at = walk.at;
% if c.store > 0 then
    outbox out{ring + STAGING + ((int)threadIdx.x - GROUP_THREADS) / 32 * STORE * PIECE_BYTES, 0};
% end
% if c.pingpong == 1 then
    constexpr int FIRST_ROW = 0;
    if (consumer == 1) {
        turn_give(0);
        from.skip(K_TILES);
        walk.next(map); // the other's tile
    }
% else
    const int FIRST_ROW = consumer * M_BLOCKS * 64;
% end
    while (walk.next(map)) {
        float sum[M_BLOCKS][BN / 2];
        const int live = live_blocks(at, FIRST_ROW);
% if c.pingpong == 1 then
        turn_wait(consumer);
% end
% for m = s.m_blocks, 2, -1 do
        if (live >= $(m)) multiply<$(m)>(sum, ring, FIRST_ROW, from); else
% end
% if s.idle then
        if (live <= 0) pass_over(ring, from, consumer); else
% end
        multiply<1>(sum, ring, FIRST_ROW, from);
% if c.pingpong == 1 then
        turn_give(1 - consumer);
        from.skip(K_TILES);
% end
        if (live > 0) finish(args, sum, at, FIRST_ROW$(c.store > 0 and ", out" or ""));
% if c.pingpong == 1 then
        walk.next(map);
% end
    }
% if c.store > 0 then
    tensor_store_wait_read<0>(); // the block's shared memory goes when it ends
% end
}

extern "C" __global__ void __launch_bounds__($(s.threads), 1)
$(moe.symbol())(const __grid_constant__ args_$(p.kind) args) {
    extern __shared__ __align__(1024) unsigned char memory[];
    const unsigned ring = shared_address(memory);

    if (threadIdx.x == 0) {
% for i = 0, s.maps - 1 do
        tensor_prefetch(args.map[$(i)]);
% end
        for (int i = 0; i < STAGES; i++) {
            barrier_init(ring + FULL + i * 8, $(up and "1 + GROUP_THREADS" or "1"));
            barrier_init(ring + EMPTY + i * 8, $(c.pingpong == 1 and "1" or "WGS") * CLUSTER);
        }
        barrier_init_fence();
    }
% if up then
    dependency_wait(); // for the maps; gemm_down's are older than the kernel ahead
% end
    const tile_map map = load_units(args.expert_start, args.expert_rows, (int *)(memory + TABLES));
    __syncthreads();
% if c.cluster == 2 then
    cluster_sync(); // the other block's barriers are ready too
% end
% if not up then
    dependency_wait();
% end
    dependents_launch();

    if (threadIdx.x < GROUP_THREADS) {
% if c.wgs == 2 then
        registers_lower<REGS>();
% end
        produce(args, map, ring);
    } else {
% if c.wgs == 2 then
        registers_raise<(504 - REGS) / 2>(); // of 168 for each of three warpgroups
% end
        consume(args, map, ring);
    }
% if c.cluster == 2 then
    __syncwarp(); // the lane that copies may be ahead
    cluster_sync(); // the other block may still copy to this one's memory
% end
}
