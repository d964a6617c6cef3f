% local s = t.lib.shape(p, c)
// From tokens, or from given logits, to chosen experts and their weights, with the sums that load
// balancing needs: the router of sm_90a. Logits are x @ router_weight^T in fp32, plus router_bias
// unless that joins the keys.
% if s.exact then
// The weights are f32 and reach the tensor cores in parts of bf16, from registers (wgmma_f32.cuh).
% end
//
// A block makes one tile: BT tokens and all experts. One lane copies weights, which may be there
// before the kernel ahead has ended, and another one tokens into a ring of STAGES stages of BK
// elements; WGS warpgroups multiply. One operand is tall: its rows are taken 64 by 64 by products
// of N rows of the other, wide one. Logits then take the ring's place in shared memory, and all
// warps select, one token each (select.cuh).
//
% if c.split == 1 then
// The blocks of a cluster share a tile: each multiplies a part of K and selects for a part of the
// tokens, whose sums it adds up from all blocks in their order.
% elseif c.cluster > 1 then
// The blocks of a cluster take neighbouring tiles; each fetches a part of a stage's weights, for
// all.
% end
% local shares_weights = c.cluster > 1 and c.split == 0
% local wait_empty = shares_weights and "barrier_wait_cluster" or "barrier_wait"
% moe.include("types.cuh")
% moe.include("memory.cuh")
% moe.include("mbarrier.cuh")
% moe.include("tma.cuh")
% moe.include("wgmma.cuh")
% moe.include("pdl.cuh")
% if s.exact then
%   moe.include("wgmma_f32.cuh")
% end
% if c.split == 1 then
%   moe.include("cluster.cuh")
% end

using XT = $(p.x);
using WT = $(p.w);
using RT = $(p.router_w);
$(moe.args())

constexpr int THREADS = $(s.threads), WARPS = THREADS / 32, MULTIPLIERS = 4 * WGS; // warps
constexpr int WEIGHT_WARP = MULTIPLIERS, TOKEN_WARP = WEIGHT_WARP + 1;
constexpr int ROW_BYTES = BK * $(p.xbytes), K_TILES = (D + BK - 1) / BK;
constexpr int EXPERTS = $(s.experts); // of a tile: those behind E are zeros
constexpr int SLICE = $(s.slice), SLICES = BK / SLICE; // elements of a swizzled row of weights
constexpr int SLICE_ROW = SLICE * (int)sizeof(RT), SLICE_BYTES = EXPERTS * SLICE_ROW;
constexpr int WEIGHT_BYTES = SLICES * SLICE_BYTES, TOKEN_BYTES = BT * ROW_BYTES;
constexpr int STAGE_BYTES = $(s.stage);                  // weights, then tokens
constexpr int N = $(s.n), M_BLOCKS = $(s.m_blocks);     // of a warpgroup's products
// experts that a block fetches, of a copy
constexpr int PART = $(s.part), BOX = $(t.lib.box(s.part));
constexpr int OWN = $(s.own);                           // tokens that a block selects for
constexpr int RELEASERS = $(s.exact and "32" or "128"); // threads, one of which gives a stage back
constexpr int PITCH = $(s.pitch); // floats of a token's logits, so that stores meet all banks
constexpr bool LOGIT_BIAS = $(p.bias_router);

// What stands behind the ring, or the logits.
constexpr int FULL = $(s.tables), EMPTY = FULL + STAGES * 8, SCALES = EMPTY + STAGES * 8;
constexpr int COUNTS = SCALES + OWN * 8;

% moe.include("select.cuh")
% moe.include("ring.cuh")

// Where a warpgroup's operands and sums start, in rows.
struct share {
    int tall, wide;

    __device__ __forceinline__ explicit share(int group)
        : tall($(s.share_tall and "group * M_BLOCKS * 64" or "0")),
          wide($(s.share_tall and "0" or "group * N")) {}
};

// K tiles first .. end-1 are this block's.
struct depth_range {
    int first, end;

    __device__ __forceinline__ explicit depth_range(int rank)
        : first($(c.split == 1 and "rank * K_TILES / CLUSTER" or "0")),
          end($(c.split == 1 and "(rank + 1) * K_TILES / CLUSTER" or "K_TILES")) {}
};

__device__ __forceinline__ void start_barriers(unsigned ring) {
    if (threadIdx.x >= STAGES) return;
    barrier_init(ring + FULL + threadIdx.x * 8, 2); // weights and tokens
    barrier_init(ring + EMPTY + threadIdx.x * 8,
                 MULTIPLIERS * 32 / RELEASERS$(shares_weights and " * CLUSTER" or ""));
    barrier_init_fence();
}

// One lane brings the weights of all stages.
__device__ __forceinline__ void fetch_weights(const args_route &a, unsigned ring, int rank) {
    const depth_range range(rank);
    ring_place to;
#pragma unroll 1
    for (int k_tile = range.first; k_tile < range.end; k_tile++, to.advance()) {
        const unsigned stage = ring + to.stage * STAGE_BYTES, full = ring + FULL + to.stage * 8;
        $(wait_empty)(ring + EMPTY + to.stage * 8, to.phase ^ 1);
        barrier_arrive_expect(full, WEIGHT_BYTES);
#pragma unroll
        for (int i = 0; i < SLICES * PART; i += BOX) {
            const int slice = i / PART, row = i % PART$(shares_weights and " + rank * PART" or "");
            $(shares_weights and "tensor_load_multicast" or "tensor_load")(
                stage + slice * SLICE_BYTES + row * SLICE_ROW, a.map[0], full,
                $(shares_weights and "(1 << CLUSTER) - 1, " or "")k_tile * BK + slice * SLICE, row);
        }
    }
}

// One lane brings the tokens of all stages.
__device__ __forceinline__ void fetch_tokens(const args_route &a, unsigned ring, int rank,
                                             int first) {
    const depth_range range(rank);
    ring_place to;
#pragma unroll 1
    for (int k_tile = range.first; k_tile < range.end; k_tile++, to.advance()) {
        const unsigned full = ring + FULL + to.stage * 8;
        $(wait_empty)(ring + EMPTY + to.stage * 8, to.phase ^ 1);
        barrier_arrive_expect(full, TOKEN_BYTES);
        tensor_load(ring + to.stage * STAGE_BYTES + WEIGHT_BYTES, a.map[1], full, k_tile * BK,
                    first);
    }
}

% if s.exact then
// Gives a stage back to whoever fills it: every warp does, behind its lanes' own reads.
% else
// Gives a stage back to whoever fills it: one warp of a warpgroup does.
% end
__device__ __forceinline__ void release_stage(unsigned empty) {
    const int tid = (int)threadIdx.x % RELEASERS;
% if s.exact then
    __syncwarp();
% end
% if shares_weights then
    if (tid < CLUSTER) barrier_arrive_remote(empty, tid);
% else
    if (tid == 0) barrier_arrive(empty);
% end
    __syncwarp(); // wgmma wants whole warps
}

using sums = float[M_BLOCKS][N / 2];

% if s.exact then
// A warpgroup's sums over this block's part of K. Tensor cores cut off what does not fit an
// addition; the short sums of a stage, added up by rounding ones, keep that from growing with D.
__device__ __forceinline__ void multiply(sums &sum, unsigned ring, const share &mine, int rank) {
    const depth_range range(rank);
    const int row = mine.tall + (int)threadIdx.x / 32 % 4 * 16; // of this warp
    ring_place from;
#pragma unroll
    for (int i = 0; i < M_BLOCKS * N / 2; i++) sum[i / (N / 2)][i % (N / 2)] = 0.0f;
#pragma unroll 1
    for (int k_tile = range.first; k_tile < range.end; k_tile++, from.advance()) {
        const unsigned stage = ring + from.stage * STAGE_BYTES;
        barrier_wait(ring + FULL + from.stage * 8, from.phase);
        const unsigned long long wide = matrix_of<ROW_BYTES>(stage + WEIGHT_BYTES +
                                                             mine.wide * ROW_BYTES);
        sums part;
#pragma unroll
        for (int k = 0; k < BK; k += 16)
#pragma unroll
            for (int m = 0; m < M_BLOCKS; m++) {
                unsigned weights[3][4];
                load_parts(stage + k / SLICE * SLICE_BYTES + (row + m * 64) * SLICE_ROW, k % SLICE,
                           weights);
                wgmma_fence();
#pragma unroll
                for (int p = 2; p >= 0; p--) // the least first
                    wgmma(part[m], weights[p], wide + k / 8, k > 0 || p < 2);
                wgmma_commit();
                wgmma_wait<1>(); // the parts before these make room for the next
            }
        wgmma_wait<0>();
        release_stage(ring + EMPTY + from.stage * 8);
#pragma unroll
        for (int i = 0; i < M_BLOCKS * N / 2; i++)
            sum[i / (N / 2)][i % (N / 2)] += part[i / (N / 2)][i % (N / 2)];
    }
}
% else
// A warpgroup's sums over this block's part of K.
__device__ __forceinline__ void multiply(sums &sum, unsigned ring, const share &mine, int rank) {
    constexpr int TALL_AT = $(c.tall == 1 and "WEIGHT_BYTES" or "0");
    constexpr int WIDE_AT = WEIGHT_BYTES - TALL_AT;
    const depth_range range(rank);
    ring_place from;
    unsigned release = 0;
#pragma unroll 1
    for (int k_tile = range.first; k_tile < range.end; k_tile++, from.advance()) {
        const unsigned stage = ring + from.stage * STAGE_BYTES;
        barrier_wait(ring + FULL + from.stage * 8, from.phase);
        const unsigned long long tall = matrix_of<ROW_BYTES>(stage + TALL_AT +
                                                             mine.tall * ROW_BYTES);
        const unsigned long long wide = matrix_of<ROW_BYTES>(stage + WIDE_AT +
                                                             mine.wide * ROW_BYTES);
        wgmma_fence();
#pragma unroll
        for (int k = 0; k < BK / 16; k++)
#pragma unroll
            for (int m = 0; m < M_BLOCKS; m++)
                wgmma(sum[m], tall + m * (64 * ROW_BYTES >> 4) + k * 2, wide + k * 2,
                      k_tile + k > range.first);
        wgmma_commit();
        // One step stays under way; the stage of the one before is free.
        if (k_tile > range.first) {
            wgmma_wait<1>();
            release_stage(release);
        }
        release = ring + EMPTY + from.stage * 8;
    }
    wgmma_wait<0>();
    release_stage(release);
}
% end

// Puts a warpgroup's sums into `logits` [BT][PITCH], with zeros behind E up to whole four experts.
// `bias` [E] or NULL.
__device__ __forceinline__ void store_logits(const sums &sum, float *logits, const share &mine,
                                             const float *bias) {
    constexpr int KEPT = (E + 3) / 4 * 4;
    const int lane = (int)threadIdx.x % 32, warp = (int)threadIdx.x / 32 % 4;
    const auto biased = [&](float v, int expert) {
        return bias && expert < E ? v + bias[expert] : v;
    };
#pragma unroll
    for (int m = 0; m < M_BLOCKS; m++)
#pragma unroll
        for (int i = 0; i < N / 4; i++) { // two neighbours of the wide operand
            const int row = mine.tall + m * 64 + warp * 16 + i % 2 * 8 + lane / 4;
            const int column = mine.wide + i / 2 * 8 + lane % 4 * 2;
            const float *v = sum[m] + 2 * i;
% if c.tall == 1 then
            if (column < KEPT)
                *(float2 *)(logits + row * PITCH + column) =
                    make_float2(biased(v[0], column), biased(v[1], column + 1));
% else
            if (row >= KEPT) continue;
            logits[column * PITCH + row] = biased(v[0], row);
            logits[(column + 1) * PITCH + row] = biased(v[1], row);
% end
        }
}

% if c.split == 1 then
// Adds up what all blocks have of this one's tokens, from `own` on, where its own part stands.
__device__ __forceinline__ void add_parts(float *logits, int own) {
    constexpr int FOURS = (E + 3) / 4;
    for (int i = threadIdx.x; i < OWN * FOURS; i += THREADS) {
        float *at = logits + (own + i / FOURS) * PITCH + i % FOURS * 4;
        float4 part[CLUSTER];
#pragma unroll
        for (int rank = 0; rank < CLUSTER; rank++)
            part[rank] = load_from_cluster(address_in(shared_address(at), rank));
#pragma unroll
        for (int rank = 1; rank < CLUSTER; rank++) {
            part[0].x += part[rank].x, part[0].y += part[rank].y;
            part[0].z += part[rank].z, part[0].w += part[rank].w;
        }
        *(float4 *)at = part[0];
    }
}

% end
// The block's logits of its tile from x and the weights; of a part of K, if it has that. A barrier
// must follow.
__device__ __forceinline__ void make_logits(const args_route &a, unsigned ring, float *logits,
                                            int rank, int first) {
    // From a shuffle, so that descriptors stay in uniform registers.
    const int warp = __shfl_sync(~0u, (int)threadIdx.x / 32, 0);
    if (warp < MULTIPLIERS) {
        const share mine(warp / 4);
        sums sum;
        multiply(sum, ring, mine, rank);
        __syncthreads(); // all of the ring is read
        store_logits(sum, logits, mine,
                     LOGIT_BIAS$(c.split == 1 and " && rank == 0" or "") ? a.router_bias : nullptr);
        return;
    }
    if (warp == TOKEN_WARP && threadIdx.x % 32 == 0) fetch_tokens(a, ring, rank, first);
    __syncthreads();
}

extern "C" __global__ void __launch_bounds__(THREADS, BLOCKS)
$(moe.symbol())(const __grid_constant__ args_route a) {
    extern __shared__ __align__(1024) unsigned char memory[];
    const unsigned ring = shared_address(memory);
    const int rank = $(c.cluster > 1 and "(int)cluster_rank()" or "0");
    // token of the tile,
    const int first = (int)blockIdx.x$(c.split == 1 and " / CLUSTER" or "") * BT;
    // and of this block behind it
    const int own = $(c.split == 1 and "rank * OWN" or "0");
    start_barriers(ring);
    $(shares_weights and "cluster_sync" or "__syncthreads")();
    if (threadIdx.x == WEIGHT_WARP * 32 && !a.logits) fetch_weights(a, ring, rank);
    __syncwarp();
    dependency_wait();
    dependents_launch();
    clear_flags(a);

    float *logits = (float *)memory;
    if (a.logits) {
        const int given = min(OWN, a.tokens - first - own) * E;
        for (int i = threadIdx.x; i < given; i += THREADS)
            logits[(own + i / E) * PITCH + i % E] = a.logits[(size_t)(first + own) * E + i];
    } else {
        make_logits(a, ring, logits, rank, first);
% if c.split == 1 then
        cluster_sync(); // all parts are there
        add_parts(logits, own);
% end
    }
    select_tokens<OWN, WARPS>(a, logits + own * PITCH, PITCH, first + own,
                              a.counts ? (int *)(memory + COUNTS) : nullptr,
                              (float(*)[2])(memory + SCALES));
% if c.cluster > 1 then
    cluster_sync(); // the others may still use this block's memory
% end
}
