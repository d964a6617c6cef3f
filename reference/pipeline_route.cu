// pipeline_route.cu - the reference pipeline's router behind its GEMM, written plainly: one warp a
// token, every key made anew in each round. It stands behind pipeline.cu, and text in front of both
// defines E, K and the choices of moe_router: SCORE (of a token t's `logit`) and WEIGHT (of choice
// j) as texts, KEY_BIAS, GROUPS, GROUPS_KEPT, GROUP_RULE (by number), ZERO_FILL, JITTER, RENORM,
// EPSILON and SCALE. BY_LOGITS: logits have the order of keys. OVER_ALL: scores are a softmax over
// all. AMONG: weights are a softmax over the chosen.

struct route_args {
    const float *logits;     // [T,E]
    const float *logit_bias; // [E] or null
    const float *key_bias;   // [E]; read where KEY_BIAS
    int *ids;                // [T,K] best first
    float *weights;          // [T,K]
    long long tokens;
};

// What is known of a token.
struct token {
    const float *logits, *logit_bias, *key_bias;
    float most, sum; // largest logit, sum of exp(logit - most)
    unsigned kept;   // bit g: group g is kept
};

__device__ float finite(float x) { return fmaxf(fminf(x, 3.402823466e38f), -3.402823466e38f); }

__device__ float logit_of(const token &t, int e) {
    return finite(t.logits[e] + (t.logit_bias ? t.logit_bias[e] : 0));
}

__device__ float score(const token &t, float logit) { return SCORE; }

__device__ float key_of(const token &t, int e) {
    if (GROUPS && !(t.kept >> e / (E / (GROUPS ? GROUPS : 1)) & 1))
        return ZERO_FILL ? 0 : __int_as_float(0xff800000); // -inf
    float value = logit_of(t, e);
    if (!BY_LOGITS) value = score(t, value);
    return KEY_BIAS ? finite(value + t.key_bias[e]) : value;
}

// A key and its expert; of equals the lower id is better.
struct choice {
    float key;
    int id;
};

__device__ bool better(choice a, choice b) {
    return a.key > b.key || (a.key == b.key && a.id < b.id);
}

__device__ choice best_of_warp(choice c) {
    for (int offset = 16; offset; offset /= 2) {
        choice other = {__shfl_xor_sync(~0u, c.key, offset), __shfl_xor_sync(~0u, c.id, offset)};
        if (better(other, c)) c = other;
    }
    return c;
}

__device__ float sum_of_warp(float x) {
    for (int offset = 16; offset; offset /= 2) x += __shfl_xor_sync(~0u, x, offset);
    return x;
}

// The best of experts first..end-1 behind `last`; the best of all behind one with id -1.
__device__ choice best_behind(const token &t, choice last, int first, int end) {
    choice best = {__int_as_float(0xff800000), E};
    for (int e = first + threadIdx.x % 32; e < end; e += 32) {
        choice c = {key_of(t, e), e};
        if ((last.id < 0 || better(last, c)) && better(c, best)) best = c;
    }
    return best_of_warp(best);
}

__device__ void sum_softmax(token &t) {
    t.most = -3.402823466e38f;
    for (int e = threadIdx.x % 32; e < E; e += 32) t.most = fmaxf(t.most, logit_of(t, e));
    t.most = best_of_warp({t.most, 0}).key;
    for (int e = threadIdx.x % 32; e < E; e += 32) t.sum += expf(logit_of(t, e) - t.most);
    t.sum = sum_of_warp(t.sum);
}

__device__ float group_score(const token &t, int g) {
    constexpr int SIZE = E / (GROUPS ? GROUPS : 1);
    choice first = best_behind(t, {0, -1}, g * SIZE, (g + 1) * SIZE);
    if (GROUP_RULE == 0) return first.key;
    return finite(first.key + best_behind(t, first, g * SIZE, (g + 1) * SIZE).key);
}

__device__ void keep_groups(token &t) {
    choice mine = {__int_as_float(0xff800000), (int)threadIdx.x % 32};
    int before = 0;
    for (int g = 0; g < GROUPS; g++) {
        float that = group_score(t, g);
        if (mine.id == g) mine.key = that;
    }
    for (int g = 0; g < GROUPS; g++) before += better({__shfl_sync(~0u, mine.key, g), g}, mine);
    t.kept = __ballot_sync(~0u, mine.id < GROUPS && before < GROUPS_KEPT);
}

// The softmax of choice j over the experts not chosen before it and not far below it.
__device__ float sparsemixer(const token &t, const int *ids, int j) {
    float mine = logit_of(t, ids[j]), sum = 0;
    for (int e = threadIdx.x % 32; e < E; e += 32) {
        float other = logit_of(t, e);
        bool in = mine - other <= 2 * JITTER * fmaxf(fabsf(other), mine);
        for (int i = 0; i < j; i++) in = in && ids[i] != e;
        if (in) sum += expf(other - mine);
    }
    return 1 / sum_of_warp(sum);
}

// Lane j gets the weight of choice j; the others get 0.
__device__ float weigh(const token &t, const int *ids) {
    int lane = threadIdx.x % 32;
    float most = -3.402823466e38f, weight = 0;
    for (int j = 0; j < K; j++) most = fmaxf(most, logit_of(t, ids[j]));
    for (int j = 0; j < K; j++) {
        float logit = logit_of(t, ids[j]);
        float w = AMONG ? expf(logit - most) : WEIGHT;
        if (j == lane) weight = w;
    }
    if (AMONG) weight /= sum_of_warp(weight);
    if (RENORM) weight /= sum_of_warp(weight) + EPSILON;
    return weight * SCALE;
}

extern "C" __global__ void moe_pipeline_route(const route_args a) {
    long long number = thread_number() / 32;
    int lane = threadIdx.x % 32, ids[K];
    if (number >= a.tokens) return;
    token t = {a.logits + number * E, a.logit_bias, a.key_bias, 0, 0, ~0u};
    choice last = {0, -1};
    if (OVER_ALL) sum_softmax(t);
    if (GROUPS) keep_groups(t);
    for (int j = 0; j < K; j++) {
        last = best_behind(t, last, 0, E);
        ids[j] = last.id;
        if (lane == 0) a.ids[number * K + j] = last.id;
    }
    float weight = weigh(t, ids);
    if (lane < K) a.weights[number * K + lane] = weight;
}
