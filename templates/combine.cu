// combine.cu - y[t] = sum over j of weights[t,j] * y_rows[slot_rows[t,j]], in fp32 and slot order.
// Weights that have multiplied the experts' inputs do not count again. A shared expert adds its
// rows behind these, with weight 1 or that of its gate, which every block computes for its tokens.
//
// A block takes TOKENS tokens and one of SPLIT parts of their width; a thread takes 16 bytes of a
// token at a time and has GROUP rows in flight. Dropped slots are not read.

% local weighs = p.weigh == "output"
% local weighted = weighs or p.shared_gated -- rows have weights
$(moe.include("types.cuh"))
$(moe.include("memory.cuh"))
$(moe.include("pdl.cuh"))
% if p.shared_gated then
%   moe.include("activation.cuh")
% end
using XT = $(p.x);
using WT = $(p.shared_gated and p.w or "XT");
$(moe.args())

constexpr int WIDTH = per_chunk<XT>();
constexpr int CHUNKS = (D + WIDTH - 1) / WIDTH;     // of a row
constexpr int PART = (CHUNKS + SPLIT - 1) / SPLIT;  // of them, a block's
constexpr int PARTS = K + SHARED;                   // rows of a token
constexpr int ROUNDS = (PARTS + 7) / 8;
constexpr int GROUP = (PARTS + ROUNDS - 1) / ROUNDS; // of them, loaded before any is added

static_assert(D % WIDTH == 0, "rows are whole chunks");

% local weight = weighted and "const float *weight, " or ""
__device__ __forceinline__ void sum_rows(const XT *y_rows, $(weight)const int *row,
                                         int chunk_at, float (&sum)[WIDTH]) {
#pragma unroll
    for (int j0 = 0; j0 < PARTS; j0 += GROUP) {
        chunk part[GROUP] = {};
#pragma unroll
        for (int j = 0; j < GROUP; j++)
            if (j0 + j < PARTS && row[j0 + j] >= 0)
                part[j] = load_chunk_once(y_rows + (size_t)row[j0 + j] * D + chunk_at * WIDTH);
#pragma unroll
        for (int j = 0; j < GROUP; j++) {
            if (j0 + j >= PARTS || row[j0 + j] < 0) continue;
            float value[WIDTH];
            unpack_chunk<XT>(part[j].word, value);
#pragma unroll
            for (int i = 0; i < WIDTH; i++)
                sum[i] += $(weighted and "weight[j0 + j] * " or "")value[i];
        }
    }
}

% if p.shared_gated then
// sigmoid(x . gate) of the block's tokens, a warp each.
__device__ __forceinline__ void weigh_shared(const args_combine &a, int first, int tokens,
                                             float *weight) {
    const int lane = (int)threadIdx.x % 32;
    for (int t = threadIdx.x / 32; t < tokens; t += THREADS / 32) {
        const XT *x = a.x + (size_t)(first + t) * D;
        float sum = 0.0f;
        for (int at = lane; at < CHUNKS; at += 32) {
            float left[WIDTH], right[WIDTH];
            unpack_chunk<XT>(load_chunk(x + at * WIDTH).word, left);
            unpack_chunk<XT>(load_chunk(a.shared_gate + at * WIDTH).word, right);
#pragma unroll
            for (int i = 0; i < WIDTH; i++) sum = fmaf(left[i], right[i], sum);
        }
#pragma unroll
        for (int distance = 16; distance > 0; distance /= 2)
            sum += __shfl_xor_sync(~0u, sum, distance);
        if (lane < SHARED) weight[t * PARTS + K + lane] = sigmoid<true>(sum);
    }
}

% end
extern "C" __global__ void __launch_bounds__(THREADS)
$(moe.symbol())(const args_combine a) {
% if weighted then
    __shared__ float weight[TOKENS * PARTS];
% end
    __shared__ int row[TOKENS * PARTS];
    dependency_wait();
    dependents_launch();
    const int first = (int)blockIdx.x / SPLIT * TOKENS;
    const int left = (int)blockIdx.x % SPLIT * PART;
    const int tokens = min(TOKENS, a.tokens - first);
    for (int i = threadIdx.x; i < tokens * K; i += THREADS) {
        const int at = SHARED > 0 ? i / K * PARTS + i % K : i;
        row[at] = a.slot_rows[(size_t)first * K + i];
% if weighted then
        weight[at] = $(weighs and "a.weights[(size_t)first * K + i]" or "1.0f");
% end
    }
% if p.shared_experts > 0 then
    for (int i = threadIdx.x; i < tokens * SHARED; i += THREADS) {
        row[i / SHARED * PARTS + K + i % SHARED] = a.shared_start[i % SHARED] + first + i / SHARED;
%   if weighted and not p.shared_gated then
        weight[i / SHARED * PARTS + K + i % SHARED] = 1.0f;
%   end
    }
%   if p.shared_gated then
    weigh_shared(a, first, tokens, weight);
%   end
% end
    __syncthreads();
% if p.drop == "renorm" then
    // What is kept of a token's weights adds up to 1 again.
    for (int t = threadIdx.x; t < tokens; t += THREADS) {
        float sum = 0.0f;
        for (int j = 0; j < K; j++) sum += row[t * PARTS + j] >= 0 ? weight[t * PARTS + j] : 0.0f;
        for (int j = 0; j < K; j++) weight[t * PARTS + j] /= fmaxf(sum, 0x1p-23f);
    }
    __syncthreads();
% end
    for (int i = threadIdx.x; i < TOKENS * PART; i += THREADS) {
        const int token = i / PART, chunk_at = left + i % PART;
        if (token >= tokens || chunk_at >= CHUNKS) continue;
        float sum[WIDTH] = {};
        sum_rows(a.y_rows, $(weighted and "weight + token * PARTS, " or "")row + token * PARTS,
                 chunk_at, sum);
        chunk out;
        pack_chunk<XT>(sum, out.word);
        store_chunk(a.y + (size_t)(first + token) * D + chunk_at * WIDTH, out);
    }
}
