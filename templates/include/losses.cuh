// losses.cuh - how evenly the router loads its experts, from its sums over all tokens (see moe_loss
// and loss_sums): for ops that follow the router. One warp does it, in a fixed order.

constexpr float FIXED_SHARE = 2.3283064365386963e-10f; // 2^-32

__device__ __forceinline__ float loss_sum(float v) {
#pragma unroll
    for (int step = 16; step > 0; step /= 2) v += __shfl_xor_sync(~0u, v, step);
    return v;
}

// The sum over experts of f(e), in every lane.
template <typename F> __device__ __forceinline__ float over_experts(const F &f) {
    float sum = 0.0f;
#pragma unroll 8
    for (int e = threadIdx.x % 32; e < E; e += 32) sum += f(e);
    return loss_sum(sum);
}

// var / (mean^2 + 1e-10) over experts.
template <typename F> __device__ __forceinline__ float cv_squared(const F &f) {
    const float mean = over_experts(f) / E;
    const float variance = over_experts([&](int e) { return (f(e) - mean) * (f(e) - mean); }) / E;
    return variance / (mean * mean + 1e-10f);
}

// By whole warps.
__device__ __forceinline__ void write_losses(const args_$(p.kind) &a) {
    const unsigned long long *sums = a.loss_sums;
    const float share = 1.0f / (float)a.tokens;
    const auto first = [&](int e) { return (float)sums[e]; };
    const auto all = [&](int e) { return (float)sums[E + e]; };
    const auto weight = [&](int e) { return (float)(long long)sums[2 * E + e] * FIXED_SHARE; };
    const auto prob = [&](int e) { return (float)a.prob_sums[e] * FIXED_SHARE * share; };
    const float losses[] = {
        // ORDER MOE_LOSS
        E * share * over_experts([&](int e) { return first(e) * prob(e); }),
        E * share * over_experts([&](int e) { return all(e) * prob(e); }),
        cv_squared(weight),
        cv_squared(all),
        (float)sums[3 * E] * 0x1p-20f * share,
        (float)sums[3 * E + 1] * FIXED_SHARE * share,
    };
    if (threadIdx.x % 32) return;
#pragma unroll
    for (int i = 0; i < (int)(sizeof losses / sizeof *losses); i++) a.losses[i] = losses[i];
}

// Moves every expert's bias towards an even load (DeepSeek-V3's loss-free balancing).
__device__ __forceinline__ void write_next_bias(const args_$(p.kind) &a) {
    const float rate = __int_as_float(a.bias_rate);
    const long long slots = (long long)a.tokens * K;
    for (int e = threadIdx.x % 32; e < E; e += 32) {
        const long long missing = slots - (long long)a.loss_sums[E + e] * E;
        const float step = missing > 0 ? rate : missing < 0 ? -rate : 0.0f;
        a.next_bias[e] = a.router_bias[e] + step;
    }
}

// For one block of the kernel.
__device__ __forceinline__ void write_statistics(const args_$(p.kind) &a) {
    const int warp = (int)threadIdx.x / 32;
    if (a.losses && warp == 0) write_losses(a);
    if (a.next_bias && warp == (blockDim.x > 32)) write_next_bias(a);
}
