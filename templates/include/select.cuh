// select.cuh - what becomes of the logits of a block's tokens: choices, weights, counts and sums.
// Needs E, K, THREADS and the op's arguments.
% moe.include("rule.cuh")

using op_args = args_$(p.kind);

// The flags of a kernel behind the router start at zero; one block sees to it.
__device__ __forceinline__ void clear_flags(const op_args &a) {
    if (!a.flags || blockIdx.x > 0) return;
    for (int i = threadIdx.x; i < 1024; i += THREADS) a.flags[i] = 0;
}

constexpr float FIXED_ONE = 4294967296.0f; // 2^32

// Adds up a warp's values, by one atomic.
__device__ __forceinline__ void add_warp(unsigned long long *to, unsigned long long v, int lane) {
#pragma unroll
    for (int step = 16; step > 0; step /= 2) v += __shfl_xor_sync(~0u, v, step);
    if (lane == 0) atomicAdd(to, v);
}

// What the tokens of a warp add to loss_sums: integers, so that the order does not matter.
struct loss_terms {
    unsigned long long square = 0, entropy = 0; // of lane 0

    // Weights may be below 0: their sums are two's complement.
    __device__ __forceinline__ void add(const op_args &a, const routed &mine, int lane) {
        const float rest = logf(mine.over.all), whole = mine.over.most + rest;
        if (lane == 0) {
            square += __float2ull_rn(fminf(whole * whole, 8388608.0f) * 1048576.0f);
            entropy += __float2ull_rn(rest * FIXED_ONE);
        }
        if (lane >= K || mine.expert < 0) return;
        if (lane == 0) atomicAdd(&a.loss_sums[mine.expert], 1ull);
        atomicAdd(&a.loss_sums[E + mine.expert], 1ull);
        atomicAdd(&a.loss_sums[2 * E + mine.expert],
                  (unsigned long long)__float2ll_rn(mine.weight * FIXED_ONE));
    }

    __device__ __forceinline__ void store(const op_args &a, int lane) const {
        if (lane) return;
        atomicAdd(&a.loss_sums[3 * E], square);
        atomicAdd(&a.loss_sums[3 * E + 1], entropy);
    }
};

__device__ __forceinline__ token_facts facts_of(const op_args &a, int token) {
% if p.router_pick == "hash" then
    const int id = a.token_ids[token];
    const bool there = (unsigned)id < (unsigned)a.vocab;
    return {there ? a.expert_table + (size_t)id * K : nullptr, a.seed, token};
% else
    return {nullptr, a.seed, token};
% end
}

// Selects for TOKENS tokens from `first` on, one of the block's COUNT warps a token. `logits`
// [TOKENS][pitch]; `counts` [E], or NULL where choices are not counted, and `scale` [TOKENS][2] are
// shared scratch; the latter holds each token's largest logit and what turns its exponentials into
// probabilities in units of 2^-32.
template <int TOKENS, int COUNT>
__device__ __forceinline__ void select_tokens(const op_args &a, const float *logits, int pitch,
                                              int first, int *counts, float (*scale)[2]) {
    const int lane = (int)threadIdx.x % 32, tokens = min(TOKENS, a.tokens - first);
    loss_terms losses;
    if (counts)
        for (int e = threadIdx.x; e < E; e += COUNT * 32) counts[e] = 0;
    __syncthreads(); // the logits, too
    for (int token = (int)threadIdx.x / 32; token < tokens; token += COUNT) {
        const routed mine = route_token(logits + token * pitch, a.router_bias, a.prob_sums,
                                        facts_of(a, first + token));
        if (lane < K) {
            a.ids[(size_t)(first + token) * K + lane] = mine.expert;
            a.weights[(size_t)(first + token) * K + lane] = mine.weight;
            if (counts && mine.expert >= 0) atomicAdd(&counts[mine.expert], 1);
        }
        if (lane == 0) {
            scale[token][0] = mine.over.most;
            scale[token][1] = FIXED_ONE / mine.over.all;
        }
        if (a.loss_sums) losses.add(a, mine, lane);
    }
    if (a.loss_sums) losses.store(a, lane);
    if (!counts && !a.prob_sums) return;
    unsigned long long below_sum = 0; // of p * (largest logit - logit), a part of the entropy
    __syncthreads();
    for (int e = threadIdx.x; e < E; e += COUNT * 32) {
        if (counts && counts[e]) atomicAdd(&a.counts[e], counts[e]);
        if (!a.prob_sums) continue;
        unsigned long long sum = 0; // an integer, so that the order of blocks does not matter
#pragma unroll 2
        for (int token = 0; token < tokens; token++) {
            const float below = finite(logits[token * pitch + e]) - scale[token][0];
            const float prob = expf(below) * scale[token][1];
            sum += __float2ull_rn(prob);
            if (a.loss_sums && prob > 0.0f) below_sum += __float2ull_rn(prob * -below);
        }
        atomicAdd(&a.prob_sums[e], sum);
    }
    if (a.loss_sums) add_warp(&a.loss_sums[3 * E + 1], below_sum, lane);
}
