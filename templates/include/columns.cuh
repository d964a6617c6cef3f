// columns.cuh - what rules share in which an expert looks at all tokens: the logits of a tile of
// tokens, turned so that an expert's tokens are neighbours, and the sums of probabilities. Needs
// route.cuh with SPLIT = 0.

static_assert(SPLIT == 0, "a block has all logits of its tokens");

// Logits of BT tokens from `first` on in `shared`, [BT][PITCH]. Ends with a barrier.
__device__ __forceinline__ const float *tile_logits(const op_args &a, unsigned char *shared,
                                                    int first) {
    float *logits = (float *)(shared + (OVER_RING ? 0 : RING));
    if (a.logits) {
        const int given = min(BT, a.tokens - first) * E;
        for (int i = threadIdx.x; i < given; i += THREADS)
            logits[i / E * PITCH + i % E] = a.logits[(size_t)first * E + i];
    } else {
        make_logits(a, shared_address(shared), logits, first, 0, BLOCKS_E, 0, STEPS_D,
                    LOGIT_BIAS ? a.router_bias : nullptr);
    }
    __syncthreads();
    return logits;
}

// Softmax of a token: its largest logit, and 1 / the sum of exponentials.
struct token_scale {
    float most, factor;
};

// Behind the logits, counts and all: [BT].
__device__ __forceinline__ token_scale *scales_in(unsigned char *shared) {
    return (token_scale *)(shared + END + E * 4);
}

// Scales of the tile's tokens, a warp each. Ends with a barrier.
__device__ __forceinline__ void make_scales(const float *logits, int tokens, token_scale *scale) {
    const int lane = (int)threadIdx.x % 32;
    for (int token = (int)threadIdx.x / 32; token < tokens; token += WARPS) {
        const float *row = logits + token * PITCH;
        unsigned key = 0;
        for (int e = lane; e < E; e += 32) key = max(key, order_key(finite(row[e])));
        const float most = key_value(__reduce_max_sync(~0u, key));
        const float sum = exp_sum(row, most);
        if (lane == 0) scale[token] = {most, 1.0f / sum};
    }
    __syncthreads();
}

__device__ __forceinline__ float probability(float logit, const token_scale &scale) {
    return expf(finite(logit) - scale.most) * scale.factor;
}

// Adds the tile's probabilities to prob_sums, in units of 2^-32: integers, so that the order of
// blocks does not matter.
__device__ __forceinline__ void add_probabilities(const op_args &a, const float *logits,
                                                  int tokens, const token_scale *scale) {
    for (int e = threadIdx.x; e < E; e += THREADS) {
        unsigned long long sum = 0;
        for (int token = 0; token < tokens; token++)
            sum += __float2ull_rn(probability(logits[token * PITCH + e], scale[token]) *
                                  4294967296.0f);
        atomicAdd(&a.prob_sums[e], sum);
    }
}

// out[e * T + t] = value(logit, t within the tile) of the tile's tokens: each expert's are
// neighbours.
template <typename Value>
__device__ __forceinline__ void store_columns(const op_args &a, const float *logits, int first,
                                              int tokens, float *out, Value value) {
    for (int i = threadIdx.x; i < BT * E; i += THREADS) {
        const int e = i / BT, token = i % BT;
        if (token < tokens)
            out[(size_t)e * a.tokens + first + token] = value(logits[token * PITCH + e], token);
    }
}
