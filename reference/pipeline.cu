// pipeline.cu - the steps between the GEMMs of the reference pipeline, written plainly: 16 bytes a
// thread, no tuning. Text in front of it defines D, F, E, K, DTYPE (0 bf16, 1 f16, 2 f32),
// ACTIVATED (the activation of a gate g and of u), GATED, LIMIT, ALPHA, WEIGH_INPUT (1: weights
// multiply x, 0: rows of the result) and LAYOUT (the number of a moe_layout).

#if DTYPE == 2
typedef float element;
__device__ float load(element v) { return v; }
__device__ element store(float v) { return v; }
#else
typedef unsigned short element;
#if DTYPE == 0
__device__ float load(element v) { return __uint_as_float((unsigned)v << 16); }
__device__ element store(float v) {
    element r;
    asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(r) : "f"(v));
    return r;
}
#else
__device__ float load(element v) {
    float r;
    asm("cvt.f32.f16 %0, %1;" : "=f"(r) : "h"(v));
    return r;
}
__device__ element store(float v) {
    element r;
    asm("cvt.rn.f16.f32 %0, %1;" : "=h"(r) : "f"(v));
    return r;
}
#endif
#endif

// As many elements as one load moves. D and F are multiples of 8.
constexpr int N = 16 / sizeof(element);
struct alignas(16) pack {
    element v[N];
};

__device__ const pack &at(const element *p) { return *(const pack *)p; }

__device__ long long thread_number() {
    return (long long)blockIdx.x * blockDim.x + threadIdx.x;
}

struct gather_args {
    const element *x;     // [T,D]
    const int *row_slots; // [rows]
    const float *weights; // [T,K]
    element *out;         // [rows,D]
    long long rows;
};

extern "C" __global__ void moe_pipeline_gather(const gather_args a) {
    long long i = thread_number() * N, row = i / D;
    if (row >= a.rows) return;
    pack x = at(a.x + (long long)(a.row_slots[row] / K) * D + i % D);
    for (int n = 0; WEIGH_INPUT && n < N; n++)
        x.v[n] = store(a.weights[a.row_slots[row]] * load(x.v[n]));
    *(pack *)(a.out + i) = x;
}

__device__ float sigmoid(float x) { return 1 / (1 + expf(-x)); }
__device__ float gelu(float x) { return 0.5f * x * (1 + erff(x * 0.70710678f)); }
__device__ float gelu_tanh(float x) {
    return 0.5f * x * (1 + tanhf(0.79788456f * (x + 0.044715f * x * x * x)));
}

__device__ float swiglu_clamp(float g, float u) {
    g = fminf(g, LIMIT);
    u = fmaxf(fminf(u, LIMIT), -LIMIT);
    return (u + 1) * g * sigmoid(ALPHA * g);
}

__device__ float activate(float g, float u) { return ACTIVATED; }

// Gate and up values of N columns from c on, of one row of sums or biases.
struct gate_up {
    pack gate, up;
};

__device__ gate_up halves(const element *row, long long c) {
    if (!GATED) return {at(row + c), at(row + c)};
    if (LAYOUT == 0) return {at(row + c), at(row + F + c)};
    if (LAYOUT == 1) return {at(row + F + c), at(row + c)};
    pack pair[2] = {at(row + 2 * c), at(row + 2 * c + N)};
    gate_up out;
    for (int n = 0; n < N; n++) {
        out.gate.v[n] = pair[2 * n / N].v[2 * n % N];
        out.up.v[n] = pair[2 * n / N].v[2 * n % N + 1];
    }
    return out;
}

struct activate_args {
    const element *sums;    // [rows,F], gated: [rows,2F]
    const element *bias;    // [E,F], gated: [E,2F]; or null
    const int *row_experts; // [rows]
    element *h;             // [rows,F]
    long long rows;
};

extern "C" __global__ void moe_pipeline_activate(const activate_args a) {
    constexpr int WIDTH = GATED ? 2 * F : F;
    long long i = thread_number() * N, row = i / F;
    if (row >= a.rows) return;
    gate_up sum = halves(a.sums + row * WIDTH, i % F), bias = {};
    if (a.bias) bias = halves(a.bias + (long long)a.row_experts[row] * WIDTH, i % F);
    pack h;
    for (int n = 0; n < N; n++)
        h.v[n] = store(activate(load(sum.gate.v[n]) + load(bias.gate.v[n]),
                                load(sum.up.v[n]) + load(bias.up.v[n])));
    *(pack *)(a.h + i) = h;
}

struct combine_args {
    const element *y_rows; // [rows,D]
    const element *bias;   // [E,D] or null
    const int *slot_rows;  // [T,K]; -1 where dropped
    const int *ids;        // [T,K]
    const float *weights;  // [T,K]
    element *y;            // [T,D]
    long long tokens;
};

extern "C" __global__ void moe_pipeline_combine(const combine_args a) {
    long long i = thread_number() * N, t = i / D, column = i % D;
    if (t >= a.tokens) return;
    float sum[N] = {};
    for (int j = 0; j < K; j++) {
        long long slot = t * K + j, row = a.slot_rows[slot];
        if (row < 0) continue;
        pack r = at(a.y_rows + row * D + column);
        float weight = WEIGH_INPUT ? 1 : a.weights[slot];
        const element *bias = a.bias ? a.bias + (long long)a.ids[slot] * D + column : nullptr;
        for (int n = 0; n < N; n++)
            sum[n] += weight * (load(r.v[n]) + (bias ? load(bias[n]) : 0));
    }
    pack y;
    for (int n = 0; n < N; n++) y.v[n] = store(sum[n]);
    *(pack *)(a.y + i) = y;
}
