// activation.cuh - activations in fp32; act_<kind>(v) or, gated, act_<kind>(gate, up).
//
// EXACT is for the float path: an exponential good to an ulp or two. Without it the hardware's is
// used as it is (about 2^-21), which rounding to 16 bits hides.

template <bool EXACT> __device__ __forceinline__ float sigmoid(float v) {
    float power, out;
    if constexpr (EXACT)
        power = expf(-v);
    else
        asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(power) : "f"(v * -1.4426950408889634f));
    asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(out) : "f"(1.0f + power)); // to one ulp
    return out;
}

template <bool EXACT> __device__ __forceinline__ float act_relu(float v) {
    return v < 0.0f ? 0.0f : v; // keeps NaN
}

template <bool EXACT> __device__ __forceinline__ float act_relu2(float v) {
    const float r = act_relu<EXACT>(v);
    return r * r;
}

template <bool EXACT> __device__ __forceinline__ float act_gelu(float v) {
    return 0.5f * v * (1.0f + erff(v * 0.70710678118654752f));
}

// 0.5 v (1 + tanh(u)) = v sigmoid(2u), u = sqrt(2/pi) (v + 0.044715 v^3)
template <bool EXACT> __device__ __forceinline__ float act_gelu_tanh(float v) {
    return v * sigmoid<EXACT>(1.5957691216057308f * (v + 0.044715f * v * v * v));
}

template <bool EXACT> __device__ __forceinline__ float act_silu(float v) {
    return v * sigmoid<EXACT>(v);
}

template <bool EXACT> __device__ __forceinline__ float act_swiglu(float gate, float up) {
    return act_silu<EXACT>(gate) * up;
}

template <bool EXACT> __device__ __forceinline__ float act_geglu(float gate, float up) {
    return act_gelu<EXACT>(gate) * up;
}

template <bool EXACT> __device__ __forceinline__ float act_geglu_tanh(float gate, float up) {
    return act_gelu_tanh<EXACT>(gate) * up;
}

template <bool EXACT>
__device__ __forceinline__ float act_swiglu_clamp(float gate, float up, float limit, float alpha) {
    const float g = gate > limit ? limit : gate;
    const float u = up > limit ? limit : up < -limit ? -limit : up;
    return (u + 1.0f) * g * sigmoid<EXACT>(alpha * g);
}
