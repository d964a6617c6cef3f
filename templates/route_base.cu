// Balanced assignment of tokens to experts (BASE layers) by an auction on the device.
//
// scores:  logits of a tile of tokens, stored by expert; sums of probabilities.
// auction: one grid that stays, with a barrier behind every step. Tokens have prices, 0 at first,
// and
//          mostly an owner. In a round each expert that lacks n tokens bids for the n of most value
//          to it, logit - price, among those it does not own: as much more than the price as leaves
//          each the value of the next best one, and epsilon more. Each token goes to its highest
//          bidder, of equal ones the lower expert. Owned tokens stay owned, so in the end all are.
//
// Expert e gets T/E tokens, and one more if e < T%E. An auction that ends by itself is within
// T * epsilon of the largest sum of logits (reference/balance.c says why). After ROUNDS rounds, as
// in fairseq, only tokens that nobody has are bid for, which ends it in a few more.
//
// Logits that are not finite count as the smallest that is, and bids are compared as integers, so
// blocks may come in any order: the result is the same.

$(moe.include("types.cuh"))
$(moe.include("pdl.cuh"))
using XT = $(p.x);
using WT = $(p.w);
using RT = $(p.router_w);
$(moe.args())
$(moe.include("route.cuh"))
$(moe.include("columns.cuh"))
constexpr int PICKERS = BIDDERS;
$(moe.include("nth.cuh"))
$(moe.include("grid.cuh"))

constexpr int ROUNDS = 100;

// What lives in scratch, in this order. The counters are zero when the auction starts.
struct market {
    // [2] arrivals at barriers; tokens that were given out for the first time
    int *counters;
    float *ranges;           // [BLOCKS][2] smallest and largest score that a block has seen
    int *owned;              // [E] tokens of an expert
    unsigned long long *bid; // [T] highest bid: key of the price, then E-1 - expert; 0: none
    float *score;            // [E][T]
    float *price;            // [T]
    int *owner;              // [T] or -1
};

__device__ __forceinline__ market market_in(int *scratch, int tokens) {
    float *ranges = (float *)(scratch + 2);
    int *owned = scratch + 2 + 2 * BLOCKS;
    unsigned long long *bid = (unsigned long long *)(scratch + $(t.lib.head(p, c)));
    float *score = (float *)(bid + tokens), *price = score + (size_t)E * tokens;
    return {scratch, ranges, owned, bid, score, price, (int *)(price + tokens)};
}

extern "C" __global__ void __launch_bounds__(THREADS, 1)
$(moe.symbol("scores"))(const args_route a) {
    extern __shared__ __align__(128) unsigned char shared[];
    dependency_wait();
    dependents_launch();
    const market m = market_in(a.scratch, a.tokens);
    if (blockIdx.x == 0) {
        if (threadIdx.x < 2) m.counters[threadIdx.x] = 0;
        for (int i = threadIdx.x; a.flags && i < 1024; i += THREADS) a.flags[i] = 0;
    }
    const int first = (int)blockIdx.x * BT, tokens = min(BT, a.tokens - first);
    const float *logits = tile_logits(a, shared, first);
    store_columns(a, logits, first, tokens, m.score, [](float v, int) { return v; });
    if (!a.prob_sums) return;
    token_scale *scale = scales_in(shared);
    make_scales(logits, tokens, scale);
    add_probabilities(a, logits, tokens, scale);
}

__device__ __forceinline__ int share_of(int tokens, int expert) {
    return tokens / E + (expert < tokens % E);
}

// What all blocks know alike.
struct rules {
    float least, epsilon;
    bool quick; // only tokens that nobody has are bid for
};

__device__ __forceinline__ bool is_finite(float v) { return fabsf(v) <= 3.402823466e+38f; }

__device__ __forceinline__ float worth(const market &m, const rules &r, size_t at) {
    const float v = m.score[at];
    return is_finite(v) ? v : r.least;
}

// Smallest and largest over the block: min as the largest of the negated. Ends with a barrier.
__device__ __forceinline__ float2 block_range(float least, float most, float2 *shared) {
    const int warp = (int)threadIdx.x / 32;
    least = -key_value(__reduce_max_sync(~0u, order_key(-least)));
    most = key_value(__reduce_max_sync(~0u, order_key(most)));
    if (threadIdx.x % 32 == 0) shared[warp] = make_float2(least, most);
    __syncthreads();
    for (int w = 0; w < PICK_WARPS; w++) {
        least = fminf(least, shared[w].x);
        most = fmaxf(most, shared[w].y);
    }
    __syncthreads();
    return make_float2(least, most);
}

// The empty market, and this block's part of the scores' range.
__device__ __forceinline__ void open_market(const market &m, int tokens, float2 *shared) {
    const int at = (int)(blockIdx.x * BIDDERS + threadIdx.x), all = (int)gridDim.x * BIDDERS;
    for (int t = at; t < tokens; t += all) {
        m.bid[t] = 0;
        m.price[t] = 0.0f;
        m.owner[t] = -1;
    }
    for (int e = at; e < E; e += all) m.owned[e] = 0;
    float least = 3.402823466e+38f, most = -least;
    for (size_t i = (size_t)at; i < (size_t)E * tokens; i += (size_t)all) {
        const float v = m.score[i];
        if (!is_finite(v)) continue;
        least = fminf(least, v);
        most = fmaxf(most, v);
    }
    const float2 range = block_range(least, most, shared);
    if (threadIdx.x == 0) {
        m.ranges[2 * blockIdx.x] = range.x;
        m.ranges[2 * blockIdx.x + 1] = range.y;
    }
}

// Halves are subtracted, since the range of all floats is none.
__device__ __forceinline__ rules read_rules(const market &m, float2 *shared) {
    const bool mine = threadIdx.x < gridDim.x;
    const float none = 3.402823466e+38f;
    const float2 range = block_range(mine ? m.ranges[2 * threadIdx.x] : none,
                                     mine ? m.ranges[2 * threadIdx.x + 1] : -none, shared);
    const bool any = range.x <= range.y;
    const float epsilon = any ? range.y / 50.0f - range.x / 50.0f : 0.0f;
    return {any ? range.x : 0.0f, fmaxf(epsilon, 1e-4f), false};
}

// One expert's bids.
__device__ __forceinline__ void place_bids(const market &m, const rules &r, int tokens, int expert,
                                           int missing, pick_tables &pick, unsigned *keep) {
    const int owned = m.owned[expert], lacking = share_of(tokens, expert) - owned;
    if (lacking == 0) return;
    const int offers = r.quick ? missing : tokens - owned;
    const size_t row = (size_t)expert * tokens;
    auto value = [&](int t) -> unsigned {
        const int owner = m.owner[t];
        if (r.quick ? owner >= 0 : owner == expert) return 0;
        return order_key(worth(m, r, row + t) - m.price[t] + 0.0f);
    };
    for (int t = threadIdx.x; t < min(tokens, KEEP); t += BIDDERS) keep[t] = value(t);
    auto key = [&](int t) { return t < KEEP ? keep[t] : value(t); };
    // The next best value, then how many of that value are among those to bid for.
    const int seen = min(lacking + 1, offers), wanted = min(lacking, offers);
    const pick_limit next = pick_nth(pick, tokens, seen, key);
    pick_all(pick, tokens, next.key, next.equal - (seen - wanted), key, [&](int t, int picked) {
        if (picked < 0) return;
        const float price = worth(m, r, row + t) - key_value(next.key) + r.epsilon;
        const unsigned long long high = order_key(price);
        atomicMax(&m.bid[t], high << 32 | (unsigned)(E - 1 - expert));
    });
}

// Tokens of all blocks go to their highest bidders.
__device__ __forceinline__ void award(const market &m, int tokens) {
    for (int t = (int)(blockIdx.x * BIDDERS + threadIdx.x); t < tokens;
         t += (int)gridDim.x * BIDDERS) {
        const unsigned long long bid = m.bid[t];
        if (!bid) continue;
        const int before = m.owner[t], now = E - 1 - (int)(unsigned)bid;
        atomicAdd(before < 0 ? &m.counters[1] : &m.owned[before], before < 0 ? 1 : -1);
        atomicAdd(&m.owned[now], 1);
        m.owner[t] = now;
        m.price[t] = key_value((unsigned)(bid >> 32));
        m.bid[t] = 0;
    }
}

__device__ __forceinline__ void write_results(const args_route &a, const market &m,
                                              const rules &r) {
    const int at = (int)(blockIdx.x * BIDDERS + threadIdx.x), all = (int)gridDim.x * BIDDERS;
    for (int t = at; t < a.tokens; t += all) {
        const int expert = m.owner[t];
        a.ids[t] = expert;
        a.weights[t] = 1.0f / (1.0f + expf(-worth(m, r, (size_t)expert * a.tokens + t)));
    }
    for (int e = at; a.counts && e < E; e += all) a.counts[e] = share_of(a.tokens, e);
}

extern "C" __global__ void __launch_bounds__(BIDDERS, 1)
$(moe.symbol("auction"))(const args_route a) {
    extern __shared__ unsigned keep[]; // [KEEP] values of an expert's tokens
    __shared__ pick_tables pick;
    __shared__ float2 ranges[PICK_WARPS];
    const market m = market_in(a.scratch, a.tokens);
    int barriers = 0;
    dependency_wait();
    dependents_launch();
    open_market(m, a.tokens, ranges);
    grid_barrier(m.counters, ++barriers);
    rules r = read_rules(m, ranges);
    for (int round = 0, missing = a.tokens; missing > 0; round++) {
        r.quick = round >= ROUNDS;
        for (int e = (int)blockIdx.x; e < E; e += (int)gridDim.x)
            place_bids(m, r, a.tokens, e, missing, pick, keep);
        grid_barrier(m.counters, ++barriers);
        award(m, a.tokens);
        grid_barrier(m.counters, ++barriers);
        missing = a.tokens - m.counters[1];
    }
    write_results(a, m, r);
}
