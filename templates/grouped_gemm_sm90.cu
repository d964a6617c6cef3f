// A persistent block of a producer warpgroup and WGS consumer warpgroups makes tiles of BM rows x
// OUT_N columns, one after the other:
//
//   gemm_up    h[row]      = act(x[token of row] @ up[expert]^T + bias)      rows are gathered
//   gemm_down  y_rows[row] = h[row] @ down[expert]^T + bias
//
// A ring of STAGES x (BM + BN) rows of 64 elements, each with the 128-byte swizzle, stands between
// them. The weights of a stage come by one bulk copy: with a gate, its box holds BN/2 gate rows and
// then the BN/2 up rows that pair with them, so that both meet in one thread's registers. Rows of h
// come by bulk copies too; rows of x are gathered by 16-byte copies of all producer threads, which
// arrive at the stage's barrier by themselves.
//
// Two blocks of a cluster take row tiles that follow one another in an expert. Each fetches half of
// the weights of a stage, for both.
% local up = p.kind == "gemm_up"
% local gated = up and p.gated
% local s = t.lib.shape(p, c, d)
% local bias = up and p.bias_up and "args.up_bias" or not up and p.bias_down and "args.down_bias"
% local result = up and "args.h" or "args.y_rows"
% local wait_empty = c.cluster == 2 and "barrier_wait_cluster" or "barrier_wait"
% moe.include("types.cuh")
% moe.include("memory.cuh")
% moe.include("mbarrier.cuh")
% moe.include("tma.cuh")
% moe.include("wgmma.cuh")
% moe.include("pdl.cuh")
% moe.include("exchange.cuh")
% if up then
%   moe.include("activate.cuh")
% end

using XT = $(p.x);
using WT = $(p.w);
$(moe.args())

constexpr int BK = 64;
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

constexpr int ROW_BYTES = BK * 2;
constexpr int A_BYTES = BM * ROW_BYTES, B_BYTES = BN * ROW_BYTES, STAGE_BYTES = A_BYTES + B_BYTES;

// What stands behind the ring.
constexpr int TABLES = STAGES * STAGE_BYTES, FULL = TABLES + $(s.tables), EMPTY = FULL + STAGES * 8;

% moe.include("ring.cuh")
% moe.include("walk.cuh")

struct place {
    int expert, row, end; // rows row .. end-1 are the expert's; at most BM of them are ours
    int column;
};

// Tile number `at` of all, for whole warps; see walk.cuh. Tiles of an expert are taken in stripes of
// GROUP row tiles, all columns of a stripe before the next: blocks that run together share weights,
// and the rows of a stripe stay in L2.
__device__ __forceinline__ bool find_place(const tile_map &map, int at, int &expert, place &out) {
    const int row_tile = at / N_BLOCKS;
    if (row_tile >= map.tiles[E]) return false;
    find_expert(map, row_tile, expert);
    const int local = at - map.tiles[expert] * N_BLOCKS;
    const int stripe = local / (GROUP * N_BLOCKS), in_stripe = local % (GROUP * N_BLOCKS);
    const int left = map.tiles[expert + 1] - map.tiles[expert] - stripe * GROUP;
    const int height = left < GROUP ? left : GROUP;
    out.expert = expert;
    out.row = map.start[expert] + (stripe * GROUP + in_stripe % height) * HEIGHT;
    out.end = map.start[expert] + map.rows[expert];
    out.column = in_stripe / height * OUT_N;
% if c.cluster == 2 then
    out.row += (int)cluster_rank() * BM;
% end
    return true;
}

// Gives a stage back to whoever fills it.
__device__ __forceinline__ void release_stage(unsigned empty) {
% if c.cluster == 2 then
    barrier_arrive_remote(empty, 0);
    barrier_arrive_remote(empty, 1);
% else
    barrier_arrive(empty);
% end
}

// One stage's rows of weights, and the rows of h where they are not gathered.
__device__ __forceinline__ void fetch(const args_$(p.kind) &args, unsigned stage, unsigned full,
                                      const place &at, int k) {
    barrier_arrive_expect(full, $(up and "B_BYTES" or "STAGE_BYTES"));
% if c.cluster == 2 then
    constexpr int PART = OUT_N / 2; // columns that this block fetches
    const int first = (int)cluster_rank() * PART;
%   for half = 0, s.halves - 1 do
    tensor_load_multicast(stage + A_BYTES + ($(half) * OUT_N + first) * ROW_BYTES, args.map[0],
                          full, 3, k, at.column + first, $(up and half .. ", " or "")at.expert);
%   end
% else
    tensor_load(stage + A_BYTES, args.map[0], full, k, at.column, $(up and "0, " or "")at.expert);
% end
% if not up then
#pragma unroll
    for (int i = 0; i < BM / 64; i++)
        tensor_load(stage + i * 64 * ROW_BYTES, args.map[1], full, k, at.row + i * 64);
% end
}

__device__ __forceinline__ void produce(const args_$(p.kind) &args, const tile_map &map,
                                        unsigned ring) {
    const int tid = (int)threadIdx.x;
% if up then
    // This thread copies chunk tid%8 of rows tid/8, tid/8 + 16, ...
    constexpr int STEP = GROUP_THREADS / 8, COPIES = BM / STEP;
    const int my_row = tid / 8, my_chunk = tid % 8;
    const unsigned my_place = my_row * ROW_BYTES + swizzle<ROW_BYTES>(my_row, my_chunk) * 16;
% else
    if (tid >= 32) return; // one warp walks the tiles, and one lane of it copies
% end
    ring_place to;
    int expert = 0;
    place at;
    for (int tile = blockIdx.x / CLUSTER; find_place(map, tile, expert, at);
         tile += gridDim.x / CLUSTER) {
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
            const int k = k_tile * BK + my_chunk * 8;
            const bool inside = DEPTH % BK == 0 || k < DEPTH;
#pragma unroll
            for (int i = 0; i < COPIES; i++)
                copy_async(stage + my_place + i * STEP * ROW_BYTES,
                           args.x + (long long)token[i] * DEPTH + (inside ? k : 0),
                           inside && i * STEP < my_rows);
            barrier_arrive_copies(full);
% end
            to.advance();
        }
    }
    // The copies that are still under way need this block's shared memory: the consumers wait for
    // all of them before they end.
}

// Sums of one tile: the products of all K tiles.
__device__ __forceinline__ void multiply(float (&sum)[M_BLOCKS][BN / 2], unsigned ring,
                                         int first_row, ring_place &from, bool elected) {
    unsigned release = 0;
    for (int k_tile = 0; k_tile < K_TILES; k_tile++) {
        const unsigned stage = ring + from.stage * STAGE_BYTES;
        barrier_wait(ring + FULL + from.stage * 8, from.phase);
% if up then
        async_proxy_fence(); // the gathered rows were written by ordinary copies
% end
        const unsigned long long a = matrix_of(stage + first_row * ROW_BYTES);
        const unsigned long long b = matrix_of(stage + A_BYTES);
        wgmma_fence();
#pragma unroll
        for (int k = 0; k < BK / 16; k++)
#pragma unroll
            for (int m = 0; m < M_BLOCKS; m++)
                wgmma(sum[m], a + m * (64 * ROW_BYTES >> 4) + k * 2, b + k * 2, k_tile + k > 0);
        wgmma_commit();
        // One step stays under way; the stage of the one before is free.
        if (k_tile > 0) {
            wgmma_wait<1>();
            if (elected) release_stage(release);
            __syncwarp(); // wgmma wants whole warps
        }
        release = ring + EMPTY + from.stage * 8;
        from.advance();
    }
    wgmma_wait<0>();
    if (elected) release_stage(release);
    __syncwarp();
}

// Writes the rows of one consumer: bias, activation, conversion, 16 bytes a lane.
__device__ __forceinline__ void finish(const args_$(p.kind) &args,
                                       const float (&sum)[M_BLOCKS][BN / 2], const place &at,
                                       int first_row) {
    const int lane = (int)threadIdx.x & 31, warp = (int)threadIdx.x / 32 % 4, q = lane & 3;
    constexpr int OUT_I = OUT_N / 8, COUNT = OUT_I % 4 == 0 ? 4 : OUT_I % 2 == 0 ? 2 : 1;
% if bias then
    const WT *bias = $(bias) + (long long)at.expert * WEIGHT_ROWS + at.column;
% end
#pragma unroll
    for (int m = 0; m < M_BLOCKS; m++) {
#pragma unroll
        for (int half = 0; half < 2; half++) {
            const int row = at.row + first_row + m * 64 + warp * 16 + half * 8 + lane / 4;
            XT *out = $(result) + (long long)row * WIDTH + at.column;
#pragma unroll
            for (int j = 0; j < OUT_I; j += COUNT) {
                unsigned word[COUNT];
#pragma unroll
                for (int i = 0; i < COUNT; i++) {
                    float v[2], gate[2];
#pragma unroll
                    for (int e = 0; e < 2; e++) {
                        gate[e] = sum[m][(j + i) * 4 + half * 2 + e];
% if gated then
                        v[e] = sum[m][(OUT_I + j + i) * 4 + half * 2 + e];
% end
% if bias then
                        const int from = (j + i) * 8 + 2 * q + e;
                        if (WIDTH % OUT_N == 0 || at.column + from < WIDTH) {
                            gate[e] += to_float(bias[from]);
%   if gated then
                            v[e] += to_float(bias[F + from]);
%   end
                        }
% end
% if gated then
                        v[e] = activate(gate[e], v[e]);
% elseif up then
                        v[e] = activate(gate[e]);
% else
                        v[e] = gate[e];
% end
                    }
                    word[i] = pack2<XT>(v[0], v[1]);
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
    const int consumer = (int)threadIdx.x / GROUP_THREADS - 1;
    const bool elected = threadIdx.x % GROUP_THREADS == 0;
    ring_place from;
    int expert = 0;
    place at;
% if c.pingpong == 1 then
    constexpr int FIRST_ROW = 0, TURNS = 2;
    from.skip(consumer * K_TILES);
    if (consumer == 1) turn_give(0);
% else
    constexpr int TURNS = 1;
    const int FIRST_ROW = consumer * M_BLOCKS * 64;
% end
    const int clusters = gridDim.x / CLUSTER;
    for (int tile = blockIdx.x / CLUSTER + (TURNS - 1) * consumer * clusters;
         find_place(map, tile, expert, at); tile += TURNS * clusters) {
        float sum[M_BLOCKS][BN / 2];
% if c.pingpong == 1 then
        turn_wait(consumer);
        multiply(sum, ring, FIRST_ROW, from, elected);
        turn_give(1 - consumer);
        from.skip(K_TILES);
% else
        multiply(sum, ring, FIRST_ROW, from, elected);
% end
        finish(args, sum, at, FIRST_ROW);
    }
}

extern "C" __global__ void __launch_bounds__($(s.threads), 1)
$(moe.symbol())(const __grid_constant__ args_$(p.kind) args) {
    extern __shared__ __align__(1024) unsigned char memory[];
    const unsigned ring = shared_address(memory);

    if (threadIdx.x == 0) {
        tensor_prefetch(args.map[0]);
% if not up then
        tensor_prefetch(args.map[1]);
% end
        for (int i = 0; i < STAGES; i++) {
            barrier_init(ring + FULL + i * 8, $(up and "1 + GROUP_THREADS" or "1"));
            barrier_init(ring + EMPTY + i * 8, $(c.pingpong == 1 and "1" or "WGS") * CLUSTER);
        }
        barrier_init_fence();
    }
    dependency_wait();
    const tile_map map = load_map(args.tile_start + $(moe.tile(c.bm * c.cluster)) * (E + 1), args.expert_start,
                                  args.expert_rows, (int *)(memory + TABLES));
    __syncthreads();
% if c.cluster == 2 then
    cluster_sync(); // the other block's barriers are ready too
% end
    dependents_launch();

    if (threadIdx.x < GROUP_THREADS) {
% if c.wgs == 2 then
        registers_lower<$(up and 56 or 40)>();
% end
        produce(args, map, ring);
    } else {
% if c.wgs == 2 then
        registers_raise<$(up and 224 or 232)>();
% end
        consume(args, map, ring);
    }
% if c.cluster == 2 then
    cluster_sync(); // the other block may still copy to this one's memory
% end
}
