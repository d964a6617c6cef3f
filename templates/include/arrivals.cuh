// arrivals.cuh - blocks that each make a part of the rows of tokens find out which of them is the
// last, and that one sums the token's rows: in slot order, so that y does not depend on who it is.
// Needs XT, D, K, OUT_N, N_BLOCKS, SPLIT and arguments with flags, which are zero at the start.
//
// A part is OUT_N columns of a row over one of SPLIT shares of K. It stands as floats in scratch,
// at [share][slot][column], and is counted by its token's counter for the column block. Where there
// are more tokens than counters, several share one, and are summed when all of theirs is there.
% local op = "args_" .. p.kind
% moe.include("memory.cuh")

constexpr int COUNTERS = 1024 / N_BLOCKS; // of a column block

static_assert(COUNTERS > 0, "a column block has a counter");

__device__ __forceinline__ float *part_of(const $(op) &args, int share, int slot) {
    return (float *)args.scratch + ((long long)share * args.tokens * K + slot) * D;
}

__device__ __forceinline__ int counter_of(int slot) {
    return (int)((unsigned)slot / K) % COUNTERS;
}

// Parts that a counter of any column block counts.
__device__ __forceinline__ int parts_of(const $(op) &args, int counter) {
    int kept = 0;
    for (int t = counter; t < args.tokens; t += COUNTERS)
#pragma unroll
        for (int j = 0; j < K; j++) kept += args.slot_rows[t * K + j] >= 0;
    return kept * SPLIT;
}

// Counts a part that this block has stored, behind a barrier. True where it was the last of `all`:
// the others' are visible then, behind another barrier.
__device__ __forceinline__ bool arrive(const $(op) &args, int counter, int block, int all) {
    __threadfence();
    const bool last = atomicAdd(args.flags + counter * N_BLOCKS + block, 1) + 1 == all;
    __threadfence();
    return last;
}

// Four columns of a token: the sum of its kept rows.
__device__ __forceinline__ void sum_token(const $(op) &args, int t, int column) {
    // rows loaded before any is added
    constexpr int MOST = 8 / SPLIT, AT_ONCE = K < MOST ? K : MOST;
    float sum[4] = {};
#pragma unroll 1
    for (int j0 = 0; j0 < K; j0 += AT_ONCE) {
        float weight[AT_ONCE];
        chunk part[AT_ONCE][SPLIT] = {};
#pragma unroll
        for (int j = 0; j < AT_ONCE; j++) {
            const int slot = t * K + j0 + j;
            const bool kept = j0 + j < K && args.slot_rows[slot] >= 0;
            weight[j] = kept ? $(p.weigh == "input" and "1.0f" or "args.weights[slot]") : 0.0f;
#pragma unroll
            for (int i = 0; i < SPLIT; i++)
                if (kept) part[j][i] = load_chunk(part_of(args, i, slot) + column);
        }
#pragma unroll
        for (int j = 0; j < AT_ONCE; j++)
#pragma unroll
            for (int v = 0; v < 4; v++) {
                float whole = 0.0f;
#pragma unroll
                for (int i = 0; i < SPLIT; i++) whole += __uint_as_float(part[j][i].word[v]);
                sum[v] = fmaf(weight[j], whole, sum[v]);
            }
    }
    const unsigned word[2] = {pack2<XT>(sum[0], sum[1]), pack2<XT>(sum[2], sum[3])};
    store_words(args.y + (long long)t * D + column, word);
}

// Sums a column block of all tokens of a counter. Called by `threads` threads.
__device__ __forceinline__ void sum_tokens(const $(op) &args, int counter, int block, int thread,
                                           int threads) {
    constexpr int QUADS = OUT_N / 4; // of columns
    const int tokens = (args.tokens - counter + COUNTERS - 1) / COUNTERS;
    for (int i = thread; i < tokens * QUADS; i += threads) {
        const int column = block * OUT_N + i % QUADS * 4;
        if (column < D) sum_token(args, counter + i / QUADS * COUNTERS, column);
    }
}

// Nothing arrives for a token of which all rows were dropped: its y is zero.
__device__ __forceinline__ void clear_dropped(const $(op) &args, int thread, int threads) {
    for (int t = blockIdx.x; t < args.tokens; t += gridDim.x) {
        bool kept = false;
#pragma unroll
        for (int j = 0; j < K; j++) kept |= args.slot_rows[t * K + j] >= 0;
        for (int i = thread * 8; i < D && !kept; i += threads * 8)
            store_chunk(args.y + (long long)t * D + i, chunk{});
    }
}
