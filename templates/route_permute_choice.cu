// Experts that choose their tokens, with the index maps that follow from it.
//
// scores: probabilities of a tile of tokens, stored by expert; sums of probabilities.
// choose: a block an expert takes the C largest, of equal ones the earlier token, and ranks them in
//         token order. Every expert has C rows, so a rank is a row at once. Of a shard all experts
//         choose, and those that are held get rows.
// maps:   what experts have taken, turned round to slots (t,j) of token t and expert j, 32 of each
// at
//         once, and the tables. Given experts may be any: then one block makes the maps as
//         permute_small does, and the others have nothing to do.

$(moe.include("types.cuh"))
$(moe.include("pdl.cuh"))
using XT = $(p.x);
using WT = $(p.w);
using RT = $(p.router_w);
$(moe.args())
$(moe.include("route.cuh"))
$(moe.include("columns.cuh"))
constexpr int PICKERS = CHOOSERS, MAP_THREADS = 256, ITEMS = 4;
$(moe.include("nth.cuh"))
$(moe.include("permute.cuh"))

// In scratch: probabilities [E][T], then the ranks of what is taken [E][T], -1 elsewhere.
__device__ __forceinline__ float *probabilities(const op_args &a) { return (float *)a.scratch; }
__device__ __forceinline__ int *ranks(const op_args &a) { return a.scratch + (size_t)E * a.tokens; }

// Rows of an expert that chooses, and from its first to the next one's.
__device__ __forceinline__ int rows_each(const op_args &a) { return min(a.capacity, a.tokens); }
__device__ __forceinline__ int stride_of(const op_args &a) {
    return (rows_each(a) + a.row_align - 1) & -a.row_align;
}

// Tiles of some height ahead of the device's e-th expert, shared ones last.
__device__ __forceinline__ int tiles_before(const op_args &a, int e, int height) {
    const int choosing = min(e, LOCAL);
    return choosing * ((rows_each(a) + height - 1) / height) +
           (e - choosing) * ((a.tokens + height - 1) / height);
}
__device__ __forceinline__ int start_of(const op_args &a, int e) {
    return tiles_before(a, e, a.row_align) * a.row_align;
}

extern "C" __global__ void __launch_bounds__(THREADS, 1)
$(moe.symbol("scores"))(const args_route_permute a) {
    extern __shared__ __align__(128) unsigned char shared[];
    dependency_wait();
    dependents_launch();
    if (blockIdx.x == 0)
        for (int i = threadIdx.x; a.flags && i < 1024; i += THREADS) a.flags[i] = 0;
    if (a.given) return;
    const int first = (int)blockIdx.x * BT, tokens = min(BT, a.tokens - first);
    const float *logits = tile_logits(a, shared, first);
    token_scale *scale = scales_in(shared);
    make_scales(logits, tokens, scale);
    store_columns(a, logits, first, tokens, probabilities(a),
                  [&](float v, int token) { return probability(v, scale[token]); });
    if (a.prob_sums) add_probabilities(a, logits, tokens, scale);
}

extern "C" __global__ void __launch_bounds__(CHOOSERS)
$(moe.symbol("choose"))(const args_route_permute a) {
    __shared__ pick_tables pick;
    dependency_wait();
    dependents_launch();
    if (a.given) return;
    const int e = (int)blockIdx.x, own = own_number(a, e), rows = rows_each(a);
    const bool held = is_expert(own);
    int *slots = a.row_slots + (held ? start_of(a, own) : 0);
    const float *mine = probabilities(a) + (size_t)e * a.tokens;
    int *rank = ranks(a) + (size_t)e * a.tokens;
    // probabilities are no less than 0
    auto key = [&](int t) { return __float_as_uint(mine[t]) + 1; };
    const pick_limit last = rows ? pick_nth(pick, a.tokens, rows, key) : pick_limit{~0u, 0};
    pick_all(pick, a.tokens, last.key, last.equal, key, [&](int t, int r) {
        rank[t] = r;
        if (held && r >= 0) slots[r] = t * K + e;
    });
    for (int i = rows + (int)threadIdx.x; held && i < stride_of(a); i += CHOOSERS) slots[i] = -1;
}

// The tables, where every expert that chooses has as many rows.
__device__ __forceinline__ void write_tables(const op_args &a) {
    constexpr int HEIGHT[7] = {8, 16, 32, 64, 128, 192, 256};
    for (int e = threadIdx.x; e <= LISTED; e += MAP_THREADS) {
        a.expert_start[e] = start_of(a, e);
#pragma unroll
        for (int i = 0; i < 7; i++)
            a.tile_start[i * (LISTED + 1) + e] = tiles_before(a, e, HEIGHT[i]);
        if (e < LISTED) a.expert_rows[e] = e < LOCAL ? rows_each(a) : a.tokens;
    }
    for (int e = threadIdx.x; e < E; e += MAP_THREADS) {
        if (a.counts) a.counts[e] = rows_each(a);
        if (a.mean_probs)
            a.mean_probs[e] = (float)a.prob_sums[e] * 2.3283064365386963e-10f / (float)a.tokens;
    }
}
% if p.shared_experts > 0 then

// Rows of shared experts for 32 tokens from `first` on; the last tokens' block marks the gaps.
__device__ __forceinline__ void write_shared_rows(const op_args &a, int first) {
    for (int e = LOCAL + (int)threadIdx.x / 32; e < LISTED; e += MAP_WARPS) {
        const int lane = (int)threadIdx.x % 32, t = first + lane, start = start_of(a, e);
        const int end = first + 32 < a.tokens ? 0 : start_of(a, e + 1);
        if (t < a.tokens) a.row_slots[start + t] = t * K;
        for (int row = start + a.tokens + lane; row < end; row += 32) a.row_slots[row] = -1;
    }
}
% end

// Slots of 32 tokens from `first` on, for all experts.
__device__ __forceinline__ void write_slots(const op_args &a, int first) {
    __shared__ int rank[32][33];
    __shared__ float probability[32][33];
    const int lane = (int)threadIdx.x % 32, warp = (int)threadIdx.x / 32, tokens = a.tokens - first;
    for (int expert = 0; expert < E; expert += 32) {
        for (int i = warp; i < 32 && expert + i < E; i += MAP_WARPS) {
            if (lane >= tokens) continue;
            const size_t at = (size_t)(expert + i) * a.tokens + first + lane;
            rank[lane][i] = ranks(a)[at];
            probability[lane][i] = probabilities(a)[at];
        }
        __syncthreads();
        for (int i = warp; i < min(32, tokens) && expert + lane < E; i += MAP_WARPS) {
            const int r = rank[i][lane];
            const size_t slot = (size_t)(first + i) * K + expert + lane;
            a.ids[slot] = r < 0 ? -1 : expert + lane;
            a.weights[slot] = r < 0 ? 0.0f : probability[i][lane];
            const int own = own_number(a, expert + lane);
            a.slot_rows[slot] = r < 0 || !is_expert(own) ? -1 : own * stride_of(a) + r;
        }
        __syncthreads();
    }
}

extern "C" __global__ void __launch_bounds__(MAP_THREADS)
$(moe.symbol("maps"))(const args_route_permute a) {
    extern __shared__ int tables[];
    dependency_wait();
    dependents_launch();
    if (a.given) {
        if (blockIdx.x == 0) write_maps_alone(a, tables_in(tables));
        return;
    }
    if (blockIdx.x == 0) write_tables(a);
    write_slots(a, (int)blockIdx.x * 32);
% if p.shared_experts > 0 then
    write_shared_rows(a, (int)blockIdx.x * 32);
% end
}
