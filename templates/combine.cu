// combine.cu - y[t] = sum over j of weights[t,j] * y_rows[slot_rows[t,j]], in fp32 and slot order.
// Weights that have multiplied the experts' inputs do not count again.
//
// A block takes TOKENS tokens and one of SPLIT parts of their width; a thread takes 16 bytes of a
// token at a time and has GROUP rows in flight. Dropped slots are not read.

% local weighs = p.weigh == "output"
$(moe.include("types.cuh"))
$(moe.include("memory.cuh"))
$(moe.include("pdl.cuh"))
using XT = $(p.x);
$(moe.args())

constexpr int WIDTH = per_chunk<XT>();
constexpr int CHUNKS = (D + WIDTH - 1) / WIDTH;     // of a row
constexpr int PART = (CHUNKS + SPLIT - 1) / SPLIT;  // of them, a block's
constexpr int ROUNDS = (K + 7) / 8;
constexpr int GROUP = (K + ROUNDS - 1) / ROUNDS;    // rows loaded before any is added

static_assert(D % WIDTH == 0, "rows are whole chunks");

__device__ __forceinline__ void sum_rows(const XT *y_rows, $(weighs and "const float *weight, " or "")const int *row,
                                         int chunk_at, float (&sum)[WIDTH]) {
#pragma unroll
    for (int j0 = 0; j0 < K; j0 += GROUP) {
        chunk part[GROUP] = {};
#pragma unroll
        for (int j = 0; j < GROUP; j++)
            if (j0 + j < K && row[j0 + j] >= 0)
                part[j] = load_chunk_once(y_rows + (size_t)row[j0 + j] * D + chunk_at * WIDTH);
#pragma unroll
        for (int j = 0; j < GROUP; j++) {
            if (j0 + j >= K || row[j0 + j] < 0) continue;
            float value[WIDTH];
            unpack_chunk<XT>(part[j].word, value);
#pragma unroll
            for (int i = 0; i < WIDTH; i++) sum[i] += $(weighs and "weight[j0 + j] * " or "")value[i];
        }
    }
}

extern "C" __global__ void __launch_bounds__(THREADS)
$(moe.symbol())(const args_combine a) {
% if weighs then
    __shared__ float weight[TOKENS * K];
% end
    __shared__ int row[TOKENS * K];
    dependency_wait();
    dependents_launch();
    const int first = (int)blockIdx.x / SPLIT * TOKENS;
    const int left = (int)blockIdx.x % SPLIT * PART;
    const int tokens = min(TOKENS, a.tokens - first);
    for (int i = threadIdx.x; i < tokens * K; i += THREADS) {
        row[i] = a.slot_rows[(size_t)first * K + i];
% if weighs then
        weight[i] = a.weights[(size_t)first * K + i];
% end
    }
    __syncthreads();
% if p.drop == "renorm" then
    // What is kept of a token's weights adds up to 1 again.
    for (int t = threadIdx.x; t < tokens; t += THREADS) {
        float sum = 0.0f;
        for (int j = 0; j < K; j++) sum += row[t * K + j] >= 0 ? weight[t * K + j] : 0.0f;
        for (int j = 0; j < K; j++) weight[t * K + j] /= fmaxf(sum, 0x1p-23f);
    }
    __syncthreads();
% end
    for (int i = threadIdx.x; i < TOKENS * PART; i += THREADS) {
        const int token = i / PART, chunk_at = left + i % PART;
        if (token >= tokens || chunk_at >= CHUNKS) continue;
        float sum[WIDTH] = {};
        sum_rows(a.y_rows, $(weighs and "weight + token * K, " or "")row + token * K, chunk_at, sum);
        chunk out;
        pack_chunk<XT>(sum, out.word);
        store_chunk(a.y + (size_t)(first + token) * D + chunk_at * WIDTH, out);
    }
}
