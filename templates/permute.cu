// permute.cu - index maps from tokens to expert rows, for any number of tokens.
//
// count:   every block counts the experts of its share of the slots.       [blocks][LOCAL]
// scan:    (SCAN) turns each expert's column into its prefix sums and adds the total.
// scatter: a block ranks its slots from what the blocks before it counted, and writes the maps.
// gate:    (priority=gate) masks the ids whose slots are dropped; the others then take these.
//
// The shares grow with T, so that at most BLOCKS blocks read each other's counts. Ranks follow the
// choice-major order whatever the config, so all configs write the same maps.

$(moe.args())
constexpr int MAP_THREADS = THREADS;
$(moe.include("pdl.cuh"))
$(moe.include("permute.cuh"))
% if p.priority == "gate" then
%   moe.include("gate.cuh")
% end

// Places that a block takes: whole tiles.
__device__ __forceinline__ unsigned share_of(unsigned places) {
    constexpr unsigned ROUND = (unsigned)BLOCKS * TILE;
    return (places + ROUND - 1) / ROUND * TILE;
}

// [blocks][LOCAL] and, with SCAN, the totals [LOCAL].
__device__ __forceinline__ int *block_counts(const args_permute &a) {
    return a.scratch$(p.priority == "gate" and " + (size_t)a.tokens * K" or "");
}
% if p.priority == "gate" then

extern "C" __global__ void __launch_bounds__(GATE_THREADS)
$(moe.symbol("gate"))(const args_permute a) {
    dependency_wait();
    dependents_launch();
    mask_ids(a, a.scratch);
}
% end

extern "C" __global__ void __launch_bounds__(THREADS, 1)
$(moe.symbol("count"))(const args_permute a) {
    extern __shared__ int shared[];
    int *counts = shared; // [LOCAL]
    const unsigned places = (unsigned)a.tokens * K, share = share_of(places);
    const unsigned first = blockIdx.x * share, end = min(places, first + share);
    dependency_wait();
    dependents_launch();
    if (first >= places) return;
    for (int e = threadIdx.x; e < LOCAL; e += THREADS) counts[e] = 0;
    __syncthreads();
    for (unsigned tile = first; tile < end; tile += TILE) {
        tile_slots mine;
        tile_load(mine, a, tile, end);
#pragma unroll
        for (int i = 0; i < ITEMS; i++)
            if (is_expert(mine.expert[i])) atomicAdd(&counts[mine.expert[i]], 1);
    }
    __syncthreads();
    for (int e = threadIdx.x; e < LOCAL; e += THREADS)
        block_counts(a)[(size_t)blockIdx.x * LOCAL + e] = counts[e];
}
% if c.scan == 1 then

// A lane an expert, a warp a run of blocks.
extern "C" __global__ void __launch_bounds__(1024)
$(moe.symbol("scan"))(const args_permute a) {
    constexpr int PER_WARP = (BLOCKS + 31) / 32;
    __shared__ int sums[32][33];
    const unsigned places = (unsigned)a.tokens * K, share = share_of(places);
    const int live = (int)((places + share - 1) / share);
    const int warp = (int)threadIdx.x / 32, lane = (int)threadIdx.x % 32;
    const int expert = (int)blockIdx.x * 32 + lane;
    int count[PER_WARP], sum = 0;
    dependency_wait();
    dependents_launch();
#pragma unroll
    for (int i = 0; i < PER_WARP; i++) {
        const int block = warp * PER_WARP + i;
        count[i] =
            block < live && expert < LOCAL ? block_counts(a)[(size_t)block * LOCAL + expert] : 0;
        sum += count[i];
    }
    sums[warp][lane] = sum;
    __syncthreads();
    int before = 0;
    for (int i = 0; i < warp; i++) before += sums[i][lane];
    if (expert >= LOCAL) return;
#pragma unroll
    for (int i = 0; i < PER_WARP; i++) {
        const int block = warp * PER_WARP + i;
        if (block < live) block_counts(a)[(size_t)block * LOCAL + expert] = before;
        before += count[i];
    }
    if (warp == 31) block_counts(a)[(size_t)BLOCKS * LOCAL + expert] = before;
}

// [LOCAL] from global to shared memory, with four loads of a thread in flight.
__device__ __forceinline__ void load_counts(const int *from, int *to) {
    for (int e = threadIdx.x; e < LOCAL; e += 4 * THREADS) {
        int count[4];
#pragma unroll
        for (int i = 0; i < 4; i++) count[i] = e + i * THREADS < LOCAL ? from[e + i * THREADS] : 0;
#pragma unroll
        for (int i = 0; i < 4; i++)
            if (e + i * THREADS < LOCAL) to[e + i * THREADS] = count[i];
    }
}
% end

extern "C" __global__ void __launch_bounds__(THREADS, 1)
$(moe.symbol("scatter"))(const args_permute a) {
    extern __shared__ int shared[];
    const map_tables m = tables_in(shared);
    const unsigned places = (unsigned)a.tokens * K, share = share_of(places);
    const int live = (int)((places + share - 1) / share), block = (int)blockIdx.x;
    dependency_wait();
    dependents_launch();
    if (block >= live) return;
    const unsigned first = block * share, end = min(places, first + share);
    tile_slots mine;
    tile_load(mine, a, first, end);
% if c.scan == 1 then
    load_counts(block_counts(a) + (size_t)block * LOCAL, m.running);
    load_counts(block_counts(a) + (size_t)BLOCKS * LOCAL, m.total);
% else
    for (int e = threadIdx.x; e < LOCAL; e += THREADS) m.running[e] = m.total[e] = 0;
    __syncthreads();
    // A thread takes an expert and every GROUPS-th block, with AT_ONCE loads in flight.
    constexpr int GROUPS = THREADS > LOCAL ? THREADS / LOCAL : 1, AT_ONCE = 16;
    for (int i = threadIdx.x; i < GROUPS * LOCAL; i += THREADS) {
        const int e = i % LOCAL;
        int before = 0, all = 0;
        for (int other = i / LOCAL; other < live; other += GROUPS * AT_ONCE) {
            int count[AT_ONCE];
#pragma unroll
            for (int j = 0; j < AT_ONCE; j++) {
                const int at = other + j * GROUPS;
                count[j] = at < live ? block_counts(a)[(size_t)at * LOCAL + e] : 0;
            }
#pragma unroll
            for (int j = 0; j < AT_ONCE; j++) {
                all += count[j];
                if (other + j * GROUPS < block) before += count[j];
            }
        }
        if (before) atomicAdd(&m.running[e], before);
        if (all) atomicAdd(&m.total[e], all);
    }
% end
    __syncthreads();
    write_maps(a, m, mine, first, end, block, live);
}
