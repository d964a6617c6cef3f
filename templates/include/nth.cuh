// nth.cuh - the n largest of many keys, by a block of PICKERS threads, exactly and repeatably: a
// radix selection finds the n-th largest, then all above it are taken and as many equal ones as are
// left, lower places first. Keys are unsigned and above 0; 0 stands for what is not to be taken.

constexpr int PICK_WARPS = PICKERS / 32, PICK_BINS = 2048, PICK_GROUP = 64;

// In shared memory.
struct pick_tables {
    int bin[PICK_BINS];
    int group[PICK_BINS / PICK_GROUP];
    int warp[PICK_WARPS];
};

struct pick_digit {
    int digit, rank;
};

// Of `bin` [32] counts of a warp's lanes, largest digit in lane 0: the lane in which the rank-th
// lies, and its rank there.
__device__ __forceinline__ pick_digit pick_lane(int count, int rank) {
    const int lane = (int)threadIdx.x % 32;
    int upto = count;
#pragma unroll
    for (int step = 1; step < 32; step *= 2) {
        const int left = __shfl_up_sync(~0u, upto, step);
        if (lane >= step) upto += left;
    }
    const unsigned reached = __ballot_sync(~0u, upto >= rank);
    const int at = reached ? __ffs(reached) - 1 : 31;
    return {at, rank - __shfl_sync(~0u, upto - count, at)};
}

// The digit of the rank-th largest from the bins, by every warp alike.
__device__ __forceinline__ pick_digit pick_bin(pick_tables &s, int rank) {
    const int lane = (int)threadIdx.x % 32;
    for (int g = (int)threadIdx.x / 32; g < PICK_BINS / PICK_GROUP; g += PICK_WARPS) {
        const int sum = s.bin[g * PICK_GROUP + lane] + s.bin[g * PICK_GROUP + 32 + lane];
        const int all = __reduce_add_sync(~0u, sum);
        if (lane == 0) s.group[g] = all;
    }
    __syncthreads();
    const pick_digit group = pick_lane(s.group[31 - lane], rank);
    const int top = (32 - group.digit) * PICK_GROUP - 1; // the group's largest digit
    const int upper = s.bin[top - lane], in_upper = __reduce_add_sync(~0u, upper);
    const bool below = group.rank > in_upper;
    const int count = below ? s.bin[top - 32 - lane] : upper;
    const pick_digit found = pick_lane(count, below ? group.rank - in_upper : group.rank);
    return {top - found.digit - (below ? 32 : 0), found.rank};
}

struct pick_limit {
    unsigned key; // of the rank-th largest;
    int equal;    // so many of its kind are among the first `rank`
};

// The rank-th largest of key(0) .. key(count-1), of which at least `rank` are above 0. Ends with a
// barrier.
template <typename Key>
__device__ __forceinline__ pick_limit pick_nth(pick_tables &s, int count, int rank, Key key) {
    unsigned prefix = 0;
#pragma unroll 1
    for (int shift = 21; shift >= -1; shift -= 11) { // digits of 11, 11 and 10 bits
        const int low = max(shift, 0), bits = shift < 0 ? 10 : 11;
        for (int i = threadIdx.x; i < PICK_BINS; i += PICKERS) s.bin[i] = 0;
        __syncthreads();
        for (int i = threadIdx.x; i < count; i += PICKERS) {
            const unsigned k = key(i);
            if (k && (shift == 21 || k >> (low + bits) == prefix >> (low + bits)))
                atomicAdd(&s.bin[k >> low & ((1 << bits) - 1)], 1);
        }
        __syncthreads();
        const pick_digit found = pick_bin(s, rank);
        prefix |= (unsigned)found.digit << low;
        rank = found.rank;
        __syncthreads(); // all have read the bins
    }
    return {prefix, rank};
}

// Calls tell(i, r) for every i: r = 0, 1, ... in the order of i of what is picked, keys above the
// limit's and `equal` equal ones, and -1 for the rest. Ends with a barrier.
template <typename Key, typename Tell>
__device__ __forceinline__ void pick_all(pick_tables &s, int count, unsigned limit, int equal,
                                         Key key, Tell tell) {
    const int lane = (int)threadIdx.x % 32, warp = (int)threadIdx.x / 32;
    const unsigned below = (1u << lane) - 1;
    int above = 0, ties = 0; // in all tiles before
    for (int first = 0; first < count; first += PICKERS) {
        const int i = first + (int)threadIdx.x;
        const unsigned k = i < count ? key(i) : 0;
        const unsigned more = __ballot_sync(~0u, k > limit), same = __ballot_sync(~0u, k == limit);
        if (lane == 0) s.warp[warp] = __popc(more) | __popc(same) << 16;
        __syncthreads();
        int before = 0, all = 0; // of the warps; two counts in one
#pragma unroll
        for (int w = 0; w < PICK_WARPS; w++) {
            before += w < warp ? s.warp[w] : 0;
            all += s.warp[w];
        }
        const int my_above = above + (before & 0xffff) + __popc(more & below);
        const int my_ties = ties + (before >> 16) + __popc(same & below);
        const bool picked = k > limit || (k == limit && my_ties < equal);
        if (i < count) tell(i, picked ? my_above + min(my_ties, equal) : -1);
        above += all & 0xffff;
        ties += all >> 16;
        __syncthreads();
    }
}
