// jitter.cuh - the router's input under jitter: a kernel ahead of the router that multiplies x by
// uniform numbers near 1 and rounds to its dtype. Without a seed it does nothing, and x is what the
// router reads.
% moe.include("philox.cuh")

constexpr int JITTER_THREADS = 128; // route.lua
constexpr float LEAST = $(moe.float(1 - p.router_jitter_input));
constexpr float RANGE = $(moe.float(2 * p.router_jitter_input));

// Four columns from `column` on of one token.
__device__ __forceinline__ void jitter_columns(const op_args &a, unsigned long long seed, int token,
                                               int column) {
    const drawn d = draw(seed, token, column / 4, DRAW_JITTER);
    const size_t at = (size_t)token * D + column;
#pragma unroll
    for (int i = 0; i < 4; i++) {
        const float by = __fadd_rn(LEAST, __fmul_rn(RANGE, uniform(d.word[i])));
        a.jittered[at + i] = from_float<XT>(__fmul_rn(to_float(a.x[at + i]), by));
    }
}

extern "C" __global__ void __launch_bounds__(JITTER_THREADS)
$(moe.symbol("jitter"))(const op_args a) {
    dependency_wait();
    dependents_launch();
    if (!a.seed) return;
    const int token = (int)blockIdx.x;
    for (int column = (int)threadIdx.x * 4; column < D; column += JITTER_THREADS * 4)
        jitter_columns(a, *a.seed, token, column);
}
