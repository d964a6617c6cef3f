// topk.cuh - the K largest of a token's E logits, by one warp, with everything in registers.
//
// Larger logits come first; of equal ones (-0 equals 0) the lower expert. Infinities count as the
// largest finite values of their sign and NaN as the lowest, so that softmaxes always exist; the K
// experts are distinct and in 0..E-1 whatever the logits are.

constexpr int PER_LANE = (E + 31) / 32;

__device__ __forceinline__ float finite_logit(float v) {
    constexpr float MOST = 3.402823466e+38f;
    return fminf(fmaxf(v, -MOST), MOST) + 0.0f; // -0 + 0 is +0
}

// Unsigned integers in the order of the floats; above 0 for every float.
__device__ __forceinline__ unsigned order_key(float v) {
    const unsigned bits = __float_as_uint(v);
    return bits >> 31 ? ~bits : bits | 0x80000000u;
}

__device__ __forceinline__ float key_value(unsigned key) {
    return __uint_as_float(key >> 31 ? key ^ 0x80000000u : ~key);
}

__device__ __forceinline__ float warp_sum(float v) {
#pragma unroll
    for (int step = 16; step > 0; step /= 2) v += __shfl_xor_sync(~0u, v, step);
    return v;
}

struct choice {
    int expert;
    float logit;
    float most; // the largest logit, in every lane
};

// Lane j < K gets choice j. `logits` [E] may be shared or global memory.
__device__ __forceinline__ choice choose(const float *logits) {
    const int lane = (int)threadIdx.x % 32;
    unsigned key[PER_LANE]; // of experts lane, lane+32, ...; 0: taken, or none
#pragma unroll
    for (int i = 0; i < PER_LANE; i++) {
        const int expert = i * 32 + lane;
        key[i] = E % 32 == 0 || expert < E ? order_key(finite_logit(logits[expert])) : 0;
    }
    choice mine = {};
    unsigned mine_key = 0;
#pragma unroll 1
    for (int j = 0; j < K; j++) {
        unsigned best = key[0];
        int own = lane;
#pragma unroll
        for (int i = 1; i < PER_LANE; i++) {
            if (key[i] > best) own = i * 32 + lane;
            best = max(best, key[i]);
        }
        const unsigned top = __reduce_max_sync(~0u, best);
        const int expert = (int)__reduce_min_sync(~0u, best == top ? (unsigned)own : ~0u);
        if (j == lane) {
            mine.expert = expert;
            mine_key = top;
        }
#pragma unroll
        for (int i = 0; i < PER_LANE; i++)
            if (i * 32 + lane == expert) key[i] = 0;
    }
    mine.logit = key_value(mine_key);
    mine.most = __shfl_sync(~0u, mine.logit, 0);
    return mine;
}

// Sum over all experts of exp(logit - most), in every lane.
__device__ __forceinline__ float exp_sum(const float *logits, float most) {
    const int lane = (int)threadIdx.x % 32;
    float sum = 0.0f;
#pragma unroll(PER_LANE < 8 ? PER_LANE : 8)
    for (int i = 0; i < PER_LANE; i++) {
        const int expert = i * 32 + lane;
        if (E % 32 == 0 || expert < E) sum += expf(finite_logit(logits[expert]) - most);
    }
    return warp_sum(sum);
}
