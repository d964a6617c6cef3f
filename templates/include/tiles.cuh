// tiles.cuh - from a block's number to the expert rows that it works on.
//
// `permute` counts row tiles before each expert for every tile height; blocks are numbered expert
// by expert. All threads search at once, so the answer costs one round trip to memory.
% moe.include("pdl.cuh")

// A load of a table; EARLY: ahead of dependency_wait.
template <bool EARLY> __device__ __forceinline__ int load_entry(const int *from) {
    return EARLY ? load_older(from) : *from;
}

// One that the compiler leaves where it stands, instead of under the condition of its use.
template <bool EARLY> __device__ __forceinline__ int load_now(const int *from) {
    if constexpr (EARLY) return load_older(from);
    int out;
    asm volatile("ld.global.s32 %0, [%1];" : "=r"(out) : "l"(from));
    return out;
}

struct row_tile {
    int expert;
    int index; // tile in its expert, 0 <= index < count
    int count; // tiles of the expert
    int start; // first row of the expert
    int rows;  // rows of the expert
};

// Finds the expert that owns row tile `at` of all experts. Called by all THREADS threads, which
// get the same answer: false where there are fewer tiles. `starts` [EXPERTS+1]; `shared` is
// 20 bytes of shared memory.
template <int THREADS, int EXPERTS, bool EARLY = false>
__device__ __forceinline__ bool find_tile(const int *starts, const int *expert_start,
                                          const int *expert_rows, int at, int *shared,
                                          row_tile &out) {
    constexpr int ROUNDS = (EXPERTS + THREADS - 1) / THREADS;
    const int tiles = load_entry<EARLY>(starts + EXPERTS);
#pragma unroll(ROUNDS < 8 ? ROUNDS : 8)
    for (int i = 0; i < ROUNDS; i++) {
        const int expert = i * THREADS + (int)threadIdx.x;
        if (EXPERTS % THREADS != 0 && expert >= EXPERTS) break;
        const int first = load_entry<EARLY>(starts + expert);
        const int end = load_entry<EARLY>(starts + expert + 1);
        // With few experts it is cheaper to read all rows than to wait for the winner's.
        const int start = ROUNDS <= 2 ? load_now<EARLY>(expert_start + expert) : 0;
        const int rows = ROUNDS <= 2 ? load_now<EARLY>(expert_rows + expert) : 0;
        if (first <= at && at < end) {
            shared[0] = expert;
            shared[1] = at - first;
            shared[2] = end - first;
            shared[3] = ROUNDS <= 2 ? start : load_entry<EARLY>(expert_start + expert);
            shared[4] = ROUNDS <= 2 ? rows : load_entry<EARLY>(expert_rows + expert);
        }
    }
    if (at >= tiles) return false;
    __syncthreads();
    out = row_tile{shared[0], shared[1], shared[2], shared[3], shared[4]};
    return true;
}
