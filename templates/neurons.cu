// neurons.cu - y[t] = sum over a token's slots of weight * act(up_e . x) * down_e, where an expert
// is one neuron: a row of up and a row of down. Nothing is shared between tokens but by chance, so
// rows are gathered straight from memory, 16 bytes a lane, FLIGHT of them on the way at once.
//
// A warp makes the products of DOTS neurons; then a thread takes 16 bytes of y and adds up rows of
// down, COLUMNS threads side by side. Where these are fewer than the block has, GROUPS of them
// share the slots, each a run of them in order, and are added in order.
//
// SPLIT = 0: a block makes a token. Else `dots` leaves weight * act(up_e . x) in scratch, a neuron
// a warp, and SPLIT blocks share a token's columns. Values (act=none) have no products.
% local multiplies, fused = t.lib.multiplies(p), c.split == 0
$(moe.include("types.cuh"))
$(moe.include("memory.cuh"))
$(moe.include("pdl.cuh"))
% if multiplies then
%   moe.include("activate.cuh")
% end
using XT = $(p.x);
using WT = $(p.w);
$(moe.args())

constexpr int WIDTH = per_chunk<XT>(), CHUNKS = D / WIDTH, WARPS = THREADS / 32;
constexpr int PARTS = SPLIT ? SPLIT : 1;           // blocks that share the columns of y,
constexpr int PART = (CHUNKS + PARTS - 1) / PARTS; // and the chunks of one
constexpr int COLUMNS = $(t.lib.columns(p, c)), GROUPS = $(t.lib.groups(p, c));
constexpr int ROUNDS = (PART + COLUMNS - 1) / COLUMNS;
constexpr int DOTS = $(t.lib.dots(c)), SHARE = WARPS * DOTS; // products of a warp, a block at once
constexpr int SLOTS = (K + SHARE - 1) / SHARE * SHARE; // with room for a whole share

static_assert(GROUPS == 1 || ROUNDS == 1, "groups meet once");

// A token's slots in shared memory.
struct slots {
    int expert[SLOTS];   // of those that the device holds; -1: another's, or no slot
    float factor[SLOTS]; // of its row of down
};

// Slots `from` .. `to` of a token, with the router's weights. A barrier must follow.
__device__ __forceinline__ void take_slots(const args_neurons &a, slots &s, int token, int from,
                                           int to, bool count) {
    for (int j = from + (int)threadIdx.x; j < to; j += THREADS) {
        const size_t slot = (size_t)token * K + j;
        const int id = j < K ? a.ids[slot]$(p.held < p.e and " - a.first_expert" or "") : -1;
        const bool mine = (unsigned)id < (unsigned)LOCAL;
        s.expert[j] = mine ? id : -1;
        s.factor[j] = mine ? a.weights[slot] : 0.0f;
        if (mine && count && a.counts)
            atomicAdd(&a.counts[id$(p.held < p.e and " + a.first_expert" or "")], 1);
    }
}
% if multiplies then

__device__ __forceinline__ void take_x(const args_neurons &a, chunk *x, int token) {
    for (int i = threadIdx.x; i < CHUNKS; i += THREADS)
        x[i] = load_chunk(a.x + (size_t)token * D + i * WIDTH);
}

// Multiplies a slot's factor by act(up_e . x), for DOTS slots from `first` on, by one warp.
__device__ __forceinline__ void multiply(const args_neurons &a, slots &s, const chunk *x,
                                         int first) {
    const int lane = (int)threadIdx.x % 32;
    float sum[DOTS] = {};
    int expert[DOTS];
#pragma unroll
    for (int i = 0; i < DOTS; i++) expert[i] = s.expert[first + i];
#pragma unroll(DOTS > 1 ? 2 : 4)
    for (int at = lane; at < CHUNKS; at += 32) {
        chunk row[DOTS] = {};
        float left[WIDTH], right[WIDTH];
#pragma unroll
        for (int i = 0; i < DOTS; i++)
            if (expert[i] >= 0) row[i] = load_chunk_once(a.up + (size_t)expert[i] * D + at * WIDTH);
        unpack_chunk<XT>(x[at].word, right);
#pragma unroll
        for (int i = 0; i < DOTS; i++) {
            unpack_chunk<XT>(row[i].word, left);
#pragma unroll
            for (int e = 0; e < WIDTH; e++) sum[i] = fmaf(left[e], right[e], sum[i]);
        }
    }
    float mine = 0.0f; // of slot first + lane
#pragma unroll
    for (int i = 0; i < DOTS; i++) {
#pragma unroll
        for (int step = 16; step > 0; step /= 2) sum[i] += __shfl_xor_sync(~0u, sum[i], step);
        if (lane == i) mine = sum[i];
    }
    if (lane < DOTS) s.factor[first + lane] *= activate(mine);
}
% end

// Adds the rows of slots `from` .. `to` in one chunk of y, in order.
__device__ __forceinline__ void add_rows(const args_neurons &a, const slots &s, int from, int to,
                                         int at, float (&sum)[WIDTH]) {
#pragma unroll 1
    for (int first = from; first < to; first += FLIGHT) {
        chunk row[FLIGHT] = {};
        float factor[FLIGHT] = {};
#pragma unroll
        for (int i = 0; i < FLIGHT; i++) {
            const int j = first + i, expert = j < to ? s.expert[j] : -1;
            if (expert < 0) continue;
            factor[i] = s.factor[j];
            row[i] = load_chunk_once(a.down + (size_t)expert * D + at * WIDTH);
        }
#pragma unroll
        for (int i = 0; i < FLIGHT; i++) {
            float value[WIDTH];
            unpack_chunk<XT>(row[i].word, value);
#pragma unroll
            for (int e = 0; e < WIDTH; e++) sum[e] = fmaf(factor[i], value[e], sum[e]);
        }
    }
}

// A part of y's columns for a token.
__device__ __forceinline__ void make_y(const args_neurons &a, const slots &s, int token, int part) {
    const int column = (int)threadIdx.x % COLUMNS, group = (int)threadIdx.x / COLUMNS;
    const int end = min(CHUNKS, (part + 1) * PART);
% if t.lib.groups(p, c) > 1 then
    __shared__ float others[(GROUPS - 1) * WIDTH * COLUMNS];
% end
    for (int round = 0; round < ROUNDS; round++) {
        const int at = part * PART + round * COLUMNS + column;
        const bool inside = at < end && group < GROUPS;
        float sum[WIDTH] = {};
        if (inside) add_rows(a, s, group * K / GROUPS, (group + 1) * K / GROUPS, at, sum);
% if t.lib.groups(p, c) > 1 then
        if (inside && group > 0)
#pragma unroll
            for (int e = 0; e < WIDTH; e++)
                others[((group - 1) * WIDTH + e) * COLUMNS + column] = sum[e];
        __syncthreads();
        for (int g = 0; inside && group == 0 && g < GROUPS - 1; g++)
#pragma unroll
            for (int e = 0; e < WIDTH; e++) sum[e] += others[(g * WIDTH + e) * COLUMNS + column];
% end
        if (!inside || group > 0) continue;
        chunk out;
        pack_chunk<XT>(sum, out.word);
        store_chunk(a.y + (size_t)token * D + at * WIDTH, out);
    }
}
% if multiplies and not fused then

extern "C" __global__ void __launch_bounds__(THREADS)
$(moe.symbol("dots"))(const args_neurons a) {
    extern __shared__ __align__(16) chunk x[];
    __shared__ slots s;
    constexpr int SHARES = SLOTS / SHARE;
    const int token = (int)blockIdx.x / SHARES, from = (int)blockIdx.x % SHARES * SHARE;
    dependency_wait();
    dependents_launch();
    take_slots(a, s, token, from, from + SHARE, true);
    take_x(a, x, token);
    __syncthreads();
    multiply(a, s, x, from + (int)threadIdx.x / 32 * DOTS);
    __syncthreads();
    for (int j = from + (int)threadIdx.x; j < min(from + SHARE, K); j += THREADS)
        ((float *)a.scratch)[(size_t)token * K + j] = s.factor[j];
}
% end

extern "C" __global__ void __launch_bounds__(THREADS)
$(moe.symbol("sums"))(const args_neurons a) {
% if multiplies and fused then
    extern __shared__ __align__(16) chunk x[];
% end
    __shared__ slots s;
    const int token = (int)blockIdx.x / PARTS, part = (int)blockIdx.x % PARTS;
    dependency_wait();
    dependents_launch();
    take_slots(a, s, token, 0, SLOTS, $(multiplies and not fused and "false" or "part == 0"));
% if multiplies and fused then
    take_x(a, x, token);
    __syncthreads();
#pragma unroll 1
    for (int j = (int)threadIdx.x / 32 * DOTS; j < SLOTS; j += SHARE) multiply(a, s, x, j);
% elseif multiplies then
    for (int j = threadIdx.x; j < K; j += THREADS)
        s.factor[j] = ((const float *)a.scratch)[(size_t)token * K + j];
% end
    __syncthreads();
    make_y(a, s, token, part);
}
