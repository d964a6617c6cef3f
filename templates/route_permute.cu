// route_permute.cu - router and index maps in two kernels: from tokens, given logits or given
// experts to the rows of every expert.
//
// BLOCKS = 1: for few tokens. The first kernel routes, and the second is one block that makes all
//             maps. SPLIT > 0: the first makes the slices' logits, the blocks of the second select,
//             and the last of them to finish makes the maps.
// BLOCKS > 1: for many tokens. A block of the first kernel routes a share of the tokens and counts
//             its choices; of the second, a block ranks one choice of a group of shares from what
//             all have counted, and writes its part of the maps.
//
// Ranks follow the choice-major order whatever the config (permute.cuh), so all configs, and the
// template permute, write the same maps.

$(moe.include("types.cuh"))
$(moe.include("pdl.cuh"))
using XT = $(p.x);
using WT = $(p.w);
using RT = $(p.router_w);
$(moe.args())
$(moe.include("route.cuh"))
$(moe.include("permute.cuh"))
% if c.blocks > 1 then

constexpr int PAIRS = (LOCAL + 1) / 2;
// most groups of shares that the second kernel forms
constexpr int SHARE_GROUPS = $(t.lib.groups(p));
constexpr int TOGETHER = K < END / (LOCAL * 4) ? K : END / (LOCAL * 4); // choices counted at once

static_assert(TOGETHER > 0, "the router's memory holds one choice's counts");

// Shares of the tokens: `tokens` each, whole tiles, but for the last. There are at most BLOCKS, or
// as many as keep what a share counts below 2^16.
struct shares {
    int tokens, count;
};

__device__ __forceinline__ shares deal(int tokens) {
    constexpr int MOST = 65535 / K / BT * BT;
    const int even = ((tokens + BLOCKS - 1) / BLOCKS + BT - 1) / BT * BT;
    const int each = min(even, MOST);
    return {each, (tokens + each - 1) / each};
}

// Word `pair` of what share `share` has counted for choices 0..j together: experts 2*pair and, in
// the upper half, 2*pair + 1.
__device__ __forceinline__ unsigned &counted(const op_args &a, int share, int j, int pair) {
    return ((unsigned *)a.scratch)[((size_t)share * K + j) * PAIRS + pair];
}

// Counts the choices of tokens first .. end-1, which this block has written or was given. `table`
// [TOGETHER][LOCAL] is shared scratch. Begins and ends with a barrier.
__device__ __forceinline__ void count_share(const op_args &a, int *table, int share, int first,
                                            int end) {
    constexpr int AT_ONCE = 4; // loads in flight
    const int slots = (end - first) * K;
    const int *ids = a.ids + (size_t)first * K;
    for (int j0 = 0; j0 < K; j0 += TOGETHER) {
        const int choices = min(TOGETHER, K - j0);
        __syncthreads();
        for (int i = threadIdx.x; i < choices * LOCAL; i += THREADS) table[i] = 0;
        __syncthreads();
        for (int i = threadIdx.x; i < slots; i += THREADS * AT_ONCE) {
            int expert[AT_ONCE];
#pragma unroll
            for (int n = 0; n < AT_ONCE; n++)
                expert[n] = i + n * THREADS < slots ? own_number(a, ids[i + n * THREADS]) : -1;
#pragma unroll
            for (int n = 0; n < AT_ONCE; n++) {
                const int j = (i + n * THREADS) % K - j0;
                if (is_expert(expert[n]) && j >= 0 && j < choices)
                    atomicAdd(&table[j * LOCAL + expert[n]], 1);
            }
        }
        __syncthreads();
        for (int pair = threadIdx.x; pair < PAIRS; pair += THREADS) {
            unsigned sum = j0 > 0 ? counted(a, share, j0 - 1, pair) : 0;
            for (int j = 0; j < choices; j++) {
                const int *at = table + j * LOCAL + 2 * pair;
                sum += (unsigned)at[0] + (2 * pair + 1 < LOCAL ? (unsigned)at[1] << 16 : 0);
                counted(a, share, j0 + j, pair) = sum;
            }
        }
    }
    __syncthreads();
}

extern "C" __global__ void __launch_bounds__(THREADS, 1)
$(moe.symbol("route"))(const args_route_permute a) {
    extern __shared__ __align__(128) unsigned char shared[];
    dependency_wait();
    dependents_launch();
    clear_flags(a);
    const int each = deal(a.tokens).tokens;
    for (int token = (int)blockIdx.x * each; token < a.tokens;) {
        if (!a.given) route_tokens(a, shared, token, false);
        __syncthreads();
        token += BT;
        if (token % each > 0 && token < a.tokens) continue; // the share goes on
        const int share = (token - 1) / each;
        count_share(a, (int *)shared, share, share * each, min(a.tokens, token));
        constexpr int OTHERS = BLOCKS - 1;
        if (a.tokens - token <= OTHERS * each) break;
        token += OTHERS * each;
    }
}

// Into m.running what lies ahead of choice j of share `first`: its earlier tokens' choice j and all
// tokens' choices before j. Into m.total all. Ends with a barrier.
__device__ __forceinline__ void sum_counts(const op_args &a, const map_tables &m, int count, int j,
                                           int first) {
    constexpr int LANES = MAP_THREADS > PAIRS ? MAP_THREADS / PAIRS : 1; // threads of a pair
    constexpr int AT_ONCE = 8;                                         // shares in flight
    for (int e = threadIdx.x; e < LOCAL; e += MAP_THREADS) m.running[e] = m.total[e] = 0;
    __syncthreads();
    for (int i = threadIdx.x; i < LANES * PAIRS; i += MAP_THREADS) {
        const int pair = i % PAIRS;
        int before[2] = {}, all[2] = {};
        for (int share = i / PAIRS; share < count; share += LANES * AT_ONCE) {
            unsigned ahead[AT_ONCE], whole[AT_ONCE];
#pragma unroll
            for (int n = 0; n < AT_ONCE; n++) {
                const int at = share + n * LANES, upto = at < first ? j : j - 1;
                ahead[n] = at < count && upto >= 0 ? counted(a, at, upto, pair) : 0;
                whole[n] = at < count ? counted(a, at, K - 1, pair) : 0;
            }
#pragma unroll
            for (int n = 0; n < AT_ONCE; n++) {
                before[0] += ahead[n] & 0xffff, before[1] += ahead[n] >> 16;
                all[0] += whole[n] & 0xffff, all[1] += whole[n] >> 16;
            }
        }
#pragma unroll
        for (int half = 0; half < 2; half++) {
            if (before[half]) atomicAdd(&m.running[2 * pair + half], before[half]);
            if (all[half]) atomicAdd(&m.total[2 * pair + half], all[half]);
        }
    }
    __syncthreads();
}

extern "C" __global__ void __launch_bounds__(MAP_THREADS, 1)
$(moe.symbol("maps"))(const args_route_permute a) {
    extern __shared__ int memory[];
    dependency_wait();
    dependents_launch();
    const shares all = deal(a.tokens);
    const int deep = (all.count + SHARE_GROUPS - 1) / SHARE_GROUPS; // shares of a group
    const int groups = (all.count + deep - 1) / deep;
    const int j = (int)blockIdx.x / SHARE_GROUPS, group = (int)blockIdx.x % SHARE_GROUPS;
    if (group >= groups) return;
    const int token = group * deep * all.tokens;
    const unsigned first = (unsigned)j * a.tokens + token;
    const unsigned end = first + min((unsigned)(a.tokens - token), (unsigned)deep * all.tokens);
    const map_tables m = tables_in(memory);
    tile_slots mine;
    tile_load(mine, a, first, end);
    sum_counts(a, m, all.count, j, group * deep);
    write_maps(a, m, mine, first, end, j * groups + group, K * groups);
}
% elseif c.split > 0 then

// How many blocks of the second kernel have selected; behind the slices.
__device__ __forceinline__ int *selected(const op_args &a) {
    return a.scratch + (size_t)SPLIT * a.tokens * ROUTERS * E;
}

// Whether all other blocks came here before; then what they wrote is visible to this one.
__device__ __forceinline__ bool is_last(int *arrived) {
    __shared__ bool last;
    __syncthreads();
    if (threadIdx.x == 0) {
        __threadfence();
        last = atomicAdd(arrived, 1) == (int)gridDim.x - 1;
        __threadfence();
    }
    __syncthreads();
    return last;
}

extern "C" __global__ void __launch_bounds__(THREADS, 1)
$(moe.symbol("route"))(const args_route_permute a) {
    extern __shared__ __align__(128) unsigned char shared[];
    dependency_wait();
    dependents_launch();
    clear_flags(a);
    if (blockIdx.x == 0 && threadIdx.x == 0) *selected(a) = 0;
    if (!a.given && !a.logits) slice_logits(a, shared);
}

extern "C" __global__ void __launch_bounds__(MAP_THREADS, 1)
$(moe.symbol("maps"))(const args_route_permute a) {
    extern __shared__ int memory[];
    dependency_wait();
    dependents_launch();
    if (!a.given)
        select_from_slices<MAP_WARPS>(a, (float *)memory, (int)blockIdx.x * MAP_WARPS, false);
    if (is_last(selected(a))) write_maps_alone(a, tables_in(memory));
}
% else

extern "C" __global__ void __launch_bounds__(THREADS, 1)
$(moe.symbol("route"))(const args_route_permute a) {
    extern __shared__ __align__(128) unsigned char shared[];
    dependency_wait();
    dependents_launch();
    clear_flags(a);
    if (!a.given) route_tokens(a, shared, (int)blockIdx.x * BT, false);
}

extern "C" __global__ void __launch_bounds__(MAP_THREADS, 1)
$(moe.symbol("maps"))(const args_route_permute a) {
    extern __shared__ int memory[];
    dependency_wait();
    dependents_launch();
    write_maps_alone(a, tables_in(memory));
}
% end
