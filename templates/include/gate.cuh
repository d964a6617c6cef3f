// gate.cuh - the slots that stay where experts keep those of the largest weights (priority=gate).
//
// First choices come before second ones, and so on, so only one choice of an expert is cut: the one
// with which the expert becomes full. The weight of the last slot that stays is found digit by
// digit; of equal weights those of earlier tokens stay. What comes out are ids [T,K] with -1 where
// a slot is dropped, of which maps are made as of any others.
% moe.include("topk.cuh")

constexpr int GATE_THREADS = 256; // as many as a digit has values
constexpr int GATE_WARPS = GATE_THREADS / 32;

// Where the choice `choice` of an expert is cut: weights above `key` stay, and of those equal to it
// the first `equal`.
struct gate_cut {
    int choice, equal; // choice K: nothing is cut
    unsigned key;
};

__device__ __forceinline__ unsigned gate_key(float weight) { return order_key(weight + 0.0f); }

// `counts` [256] gets the expert's slots by choice.
__device__ __forceinline__ void count_choices(const args_permute &a, int expert, int *counts) {
    counts[threadIdx.x] = 0;
    __syncthreads();
    const unsigned slots = (unsigned)a.tokens * K;
    for (unsigned slot = threadIdx.x; slot < slots; slot += GATE_THREADS)
        if (a.ids[slot] == expert) atomicAdd(&counts[slot % K], 1);
    __syncthreads();
}

// The digit of 8 bits at `shift` of the key that the n-th largest weight has among those whose
// higher digits are key's. n becomes its place among those that share this digit too.
__device__ __forceinline__ unsigned find_digit(const args_permute &a, int expert, int choice,
                                               unsigned key, int shift, int &n, int *counts) {
    __syncthreads();
    counts[threadIdx.x] = 0;
    __syncthreads();
    for (int t = threadIdx.x; t < a.tokens; t += GATE_THREADS) {
        const size_t slot = (size_t)t * K + choice;
        if (a.ids[slot] != expert) continue;
        const unsigned mine = gate_key(a.weights[slot]);
        if (shift == 24 || mine >> (shift + 8) == key >> (shift + 8))
            atomicAdd(&counts[mine >> shift & 255], 1);
    }
    __syncthreads();
    unsigned digit = 255;
    for (; counts[digit] < n; digit--) n -= counts[digit];
    return digit << shift;
}

__device__ __forceinline__ gate_cut find_cut(const args_permute &a, int expert, int *counts) {
    gate_cut cut = {K, 0, ~0u};
    int room = a.capacity, total = 0;
    count_choices(a, expert, counts);
    for (int j = 0; j < K; j++) {
        total += counts[j];
        if (cut.choice == K && counts[j] > room) cut.choice = j;
        if (cut.choice == K) room -= counts[j];
    }
    if (a.counts && threadIdx.x == 0) a.counts[expert] = total;
    if (cut.choice == K || room == 0) return cut;
    cut.equal = room, cut.key = 0;
    for (int shift = 24; shift >= 0; shift -= 8)
        cut.key |= find_digit(a, expert, cut.choice, cut.key, shift, cut.equal, counts);
    return cut;
}

// The slots of the choice that is cut. `counts` [GATE_WARPS] is shared scratch.
__device__ __forceinline__ void cut_choice(const args_permute &a, int expert, gate_cut cut,
                                           int *counts, int *masked) {
    const int warp = (int)threadIdx.x / 32, lane = (int)threadIdx.x % 32;
    int seen = 0; // slots of the cut's own weight before this tile of tokens
    for (int first = 0; first < a.tokens; first += GATE_THREADS) {
        const int t = first + (int)threadIdx.x;
        const size_t slot = (size_t)t * K + cut.choice;
        const bool mine = t < a.tokens && a.ids[slot] == expert;
        const unsigned key = mine ? gate_key(a.weights[slot]) : 0;
        const unsigned equals = __ballot_sync(~0u, mine && key == cut.key);
        __syncthreads();
        if (lane == 0) counts[warp] = __popc(equals);
        __syncthreads();
        int rank = seen + __popc(equals & ((1u << lane) - 1));
        for (int w = 0; w < GATE_WARPS; w++) {
            rank += w < warp ? counts[w] : 0;
            seen += counts[w];
        }
        if (mine)
            masked[slot] = key > cut.key || (key == cut.key && rank < cut.equal) ? expert : -1;
    }
}

// An expert that is held a block; the first also masks what is none of these.
__device__ __forceinline__ void mask_ids(const args_permute &a, int *masked) {
    __shared__ int counts[256];
    const int expert = (int)blockIdx.x$(p.held < p.e and " + a.first_expert" or "");
    const gate_cut cut = find_cut(a, expert, counts);
    const unsigned slots = (unsigned)a.tokens * K;
    for (unsigned slot = threadIdx.x; slot < slots; slot += GATE_THREADS) {
        const int id = a.ids[slot], choice = (int)(slot % K);
        if (id == expert && choice != cut.choice) masked[slot] = choice < cut.choice ? id : -1;
        if (blockIdx.x == 0 && !is_expert(own_number(a, id))) masked[slot] = -1;
    }
    if (cut.choice < K) cut_choice(a, expert, cut, counts, masked);
}
