// route_peer.cu - product keys. A head's query has two halves; each meets KEYS keys, and expert
// i*KEYS + j has the sum of products with key i of the first half and key j of the second. The best
// sums are made of the best of each half, so KEEP of each are all that is needed to find the KEEP
// best of KEYS^2 exactly.
//
// queries: x @ router_weight^T by the routers' GEMM, slices of K to scratch.
// scan:    a block takes TOKENS tokens, one half of one head and a part of its keys: products by
//          tensor cores, then a warp a token selects.
// merge:   a warp a head joins the parts of each half, adds what can be among the best, takes KEEP
//          and weighs them.
//
// Products are those of fp32 queries: a 16-bit key meets a query's 16-bit rounding and what that
// left out, an f32 key three products of tf32.

$(moe.include("types.cuh"))
$(moe.include("memory.cuh"))
$(moe.include("mma.cuh"))
$(moe.include("pdl.cuh"))
using XT = $(p.x);
using WT = $(p.w);
using RT = $(p.router_w);
$(moe.args())

constexpr int HEADS = $(p.router_heads), KEYS = $(p.router_keys), KEEP = $(t.lib.keep(p));
constexpr int QUERIES = HEADS * $(p.router_key_width), HALF = $(t.lib.half(p)), SIDES = HEADS * 2;

// The GEMM of a router whose experts are the queries' elements.
namespace queries {
constexpr int E = QUERIES, K = 1;
$(moe.include("route.cuh"))
} // namespace queries
using queries::finite;
using queries::key_value;
using queries::order_key;
using queries::take;
using queries::warp_sum;

extern "C" __global__ void __launch_bounds__(queries::THREADS, 1)
$(moe.symbol("queries"))(const args_route a) {
    extern __shared__ __align__(128) unsigned char shared[];
    dependency_wait();
    dependents_launch();
    queries::clear_flags(a);
    if (!a.logits) queries::slice_logits(a, shared);
}

// ------------------------------------------------------------------------------------- scan

constexpr int PART = $(t.lib.part(p, c)); // keys of a block
constexpr int PITCH = PART + 4;           // floats of a token's products
constexpr int SCAN_THREADS = SCANNERS * 32, RING = $(t.lib.ring);
constexpr int KEY_BYTES = HALF * (int)sizeof(WT), TILE = ROWS * KEY_BYTES;
constexpr int PLANE = TOKENS * KEY_BYTES;          // of queries:
constexpr int PLANES = sizeof(WT) == 2 ? 2 : 1;    // rounded, and what that left out
// warps that share tokens, rows
constexpr int ACROSS = $(t.lib.across(c)), ALONG = SCANNERS / ACROSS;
constexpr int TILES_R = ROWS / 16 / ALONG, TILES_T = TOKENS / 8 / ACROSS; // 16x8 products of a warp
constexpr int STEPS = KEY_BYTES / 32; // of K: 16 elements, or 8 of f32

static_assert(KEY_BYTES % 128 == 0, "whole groups of chunks");
static_assert(TOKENS / 8 % ACROSS == 0 && ROWS / 16 % ALONG == 0, "whole tiles");

// Where chunk `c` of row `r` of keys or queries lies: eight rows' chunks of a column meet all
// banks.
__device__ __forceinline__ int key_chunk(int r, int c) {
    return r * KEY_BYTES + (c & ~7 | (c ^ r) & 7) * 16;
}

struct candidate {
    float score;
    int key;
};

// What the scan leaves: [T][SIDES][PARTS][KEEP], each part's best first.
__device__ __forceinline__ candidate *candidates(const args_route &a, int token, int side) {
    float *behind = (float *)a.scratch + (size_t)SPLIT * a.tokens * QUERIES;
    return (candidate *)behind + ((size_t)token * SIDES + side) * PARTS * KEEP;
}

// A block's place: its first token, half of a head, and part of the keys.
struct place {
    int token, side, first; // key

    __device__ __forceinline__ place() {
        const int share = (int)blockIdx.x % (SIDES * PARTS);
        token = (int)blockIdx.x / (SIDES * PARTS) * TOKENS;
        side = share / PARTS;
        first = share % PARTS * PART;
    }
};

// Adds the slices of 8 or 4 elements of a token's half query, and the bias.
__device__ __forceinline__ void gather_query(const args_route &a, const place &at, int token,
                                             int element, float (&sum)[per_chunk<WT>()]) {
    const int column = at.side * HALF + element;
    if (at.token + token >= a.tokens) return;
    const float *from = (const float *)a.scratch + (size_t)(at.token + token) * QUERIES + column;
#pragma unroll
    for (int s = 0; s < SPLIT; s++)
#pragma unroll
        for (int e = 0; e < per_chunk<WT>(); e++)
            sum[e] += from[(size_t)s * a.tokens * QUERIES + e];
% if p.bias_router then
#pragma unroll
    for (int e = 0; e < per_chunk<WT>(); e++) sum[e] += a.router_bias[column + e];
% end
}

// Puts the block's half queries into shared memory. A barrier must follow.
__device__ __forceinline__ void load_queries(const args_route &a, const place &at,
                                             unsigned char *to) {
    constexpr int CHUNKS = KEY_BYTES / 16, WIDTH = per_chunk<WT>();
    for (int i = threadIdx.x; i < TOKENS * CHUNKS; i += SCAN_THREADS) {
        const int token = i / CHUNKS, where = key_chunk(token, i % CHUNKS);
        float query[WIDTH] = {};
        chunk out;
        gather_query(a, at, token, i % CHUNKS * WIDTH, query);
        pack_chunk<WT>(query, out.word);
        store_chunk(to + where, out);
% if p.wbytes == 2 then
        float rounded[WIDTH];
        unpack_chunk<WT>(out.word, rounded);
#pragma unroll
        for (int e = 0; e < WIDTH; e++) query[e] -= rounded[e];
        pack_chunk<WT>(query, out.word);
        store_chunk(to + PLANE + where, out);
% end
    }
}

// Starts the copies of a tile of keys, from key `first` of the part on; those beyond are zeros.
__device__ __forceinline__ void load_keys(const args_route &a, const place &at, int first,
                                          unsigned to) {
    constexpr int CHUNKS = KEY_BYTES / 16;
    const int keys = min(PART - first, KEYS - at.first - first);
    const WT *from = a.router_keys + ((size_t)at.side * KEYS + at.first + first) * HALF;
    for (int i = threadIdx.x; i < ROWS * CHUNKS; i += SCAN_THREADS) {
        const int row = i / CHUNKS, c = i % CHUNKS;
        const bool inside = row < keys;
        copy_async(to + key_chunk(row, c),
                   from + (inside ? (size_t)row * HALF : 0) + c * per_chunk<WT>(), inside);
    }
}

using scan_sums = float[TILES_R][TILES_T][4];

// A warp's products of one K step: `keys` and `queries` are a tile's and a plane's addresses.
__device__ __forceinline__ void multiply_step(unsigned keys, unsigned queries, int step,
                                              scan_sums &sum) {
    const int lane = (int)threadIdx.x % 32, warp = (int)threadIdx.x / 32;
    unsigned key[TILES_R][4];
#pragma unroll
    for (int m = 0; m < TILES_R; m++)
        load_matrix(key[m], keys + key_chunk((warp % ALONG * TILES_R + m) * 16 + lane % 16,
                                             2 * step + lane / 16));
#pragma unroll
    for (int plane = PLANES - 1; plane >= 0; plane--) {
        unsigned query[(TILES_T + 1) / 2][4];
#pragma unroll
        for (int n = 0; n < TILES_T; n += 2) {
            const int r = (warp / ALONG * TILES_T + n) * 8 + lane % 8;
            load_matrix(query[n / 2], queries + plane * PLANE +
                                          key_chunk(r + (TILES_T > 1 ? lane / 16 * 8 : 0),
                                                    2 * step + lane / 8 % 2));
        }
#pragma unroll
        for (int m = 0; m < TILES_R; m++) {
% if p.wbytes == 4 then
            unsigned big[4], small[4];
#pragma unroll
            for (int i = 0; i < 4; i++) split_tf32(key[m][i], big[i], small[i]);
% end
#pragma unroll
            for (int n = 0; n < TILES_T; n++) {
                const unsigned q0 = query[n / 2][n % 2 * 2], q1 = query[n / 2][n % 2 * 2 + 1];
% if p.wbytes == 2 then
                mma_16bit<WT>(sum[m][n], key[m], q0, q1);
% else
                unsigned big0, big1, small0, small1;
                split_tf32(q0, big0, small0);
                split_tf32(q1, big1, small1);
                mma_tf32(sum[m][n], small, big0, big1);
                mma_tf32(sum[m][n], big, small0, small1);
                mma_tf32(sum[m][n], big, big0, big1);
% end
            }
        }
    }
}

// Products of the block's queries with a tile of keys into `products` [TOKENS][PITCH], from key
// `first` on.
__device__ __forceinline__ void multiply_tile(unsigned keys, unsigned queries, float *products,
                                              int first) {
    const int lane = (int)threadIdx.x % 32, warp = (int)threadIdx.x / 32;
    scan_sums sum = {};
#pragma unroll 4
    for (int step = 0; step < STEPS; step++) multiply_step(keys, queries, step, sum);
#pragma unroll
    for (int m = 0; m < TILES_R; m++)
#pragma unroll
        for (int v = 0; v < 4; v++) {
            const int key = first + (warp % ALONG * TILES_R + m) * 16 + v / 2 * 8 + lane / 4;
            if (key >= PART) continue;
#pragma unroll
            for (int n = 0; n < TILES_T; n++) {
                const int token = (warp / ALONG * TILES_T + n) * 8 + lane % 4 * 2 + v % 2;
                products[token * PITCH + key] = sum[m][n][v];
            }
        }
}

// All products of the block: queries stay, keys come by a ring. Ends with a barrier.
__device__ __forceinline__ void multiply_all(const args_route &a, const place &at,
                                             unsigned char *queries, unsigned ring,
                                             float *products) {
    constexpr int TILES = (PART + ROWS - 1) / ROWS;
#pragma unroll
    for (int i = 0; i < RING - 1; i++) {
        if (i < TILES) load_keys(a, at, i * ROWS, ring + i * TILE);
        copy_commit();
    }
    load_queries(a, at, queries);
#pragma unroll 1
    for (int i = 0; i < TILES; i++) {
        copy_wait<RING - 2>();
        __syncthreads(); // the tile is complete, and the one before it is read by all
        const int next = i + RING - 1;
        if (next < TILES) load_keys(a, at, next * ROWS, ring + next % RING * TILE);
        copy_commit();
        multiply_tile(ring + i % RING * TILE, shared_address(queries), products, i * ROWS);
    }
    __syncthreads();
}

// The given products of the block's tokens. Ends with a barrier.
__device__ __forceinline__ void take_products(const args_route &a, const place &at,
                                              float *products) {
    for (int i = threadIdx.x; i < TOKENS * PART; i += SCAN_THREADS) {
        const int token = at.token + i / PART, key = at.first + i % PART;
        if (token < a.tokens && key < KEYS)
            products[i / PART * PITCH + i % PART] =
                a.logits[((size_t)token * SIDES + at.side) * KEYS + key];
    }
    __syncthreads();
}

// A key and its place among the part's.
struct found {
    unsigned key;
    int place;
};

// Lane j < KEEP gets the j-th best of a warp's keys. The KEEP-th largest of the lanes' own best is
// no more than the KEEP-th best of all, so what is below it is out; what is left is mostly little,
// and `room` [64] of shared memory holds it.
template <int PER> __device__ __forceinline__ found take_best(unsigned (&key)[PER], found *room) {
    const int lane = (int)threadIdx.x % 32;
    unsigned best = key[0];
#pragma unroll
    for (int i = 1; i < PER; i++) best = max(best, key[i]);
    int rank = 0;
#pragma unroll
    for (int other = 0; other < 32; other++) {
        const unsigned its = __shfl_sync(~0u, best, other);
        rank += its > best || (its == best && other < lane);
    }
    const unsigned limit = max(1u, __reduce_max_sync(~0u, rank == KEEP - 1 ? best : 0u));
    int count = 0;
#pragma unroll
    for (int i = 0; i < PER; i++) {
        const unsigned in = __ballot_sync(~0u, key[i] >= limit);
        const int at = count + __popc(in & (1u << lane) - 1);
        if (key[i] >= limit && at < 64) room[at] = {key[i], i * 32 + lane};
        count += __popc(in);
    }
    __syncwarp();
    found mine;
    if (count <= 64) {
        unsigned few[2] = {lane < count ? room[lane].key : 0,
                           lane + 32 < count ? room[lane + 32].key : 0};
        mine = room[min(take<KEEP>(few), count - 1)];
    } else {
        unsigned saved[PER]; // take() clears what it finds
#pragma unroll
        for (int i = 0; i < PER; i++) saved[i] = key[i];
        mine.place = take<KEEP>(saved);
        mine.key = 0;
#pragma unroll
        for (int i = 0; i < PER; i++) {
            const unsigned value = __shfl_sync(~0u, key[i], mine.place % 32);
            if (mine.place / 32 == i) mine.key = value;
        }
    }
    __syncwarp(); // `room` is free
    return mine;
}

extern "C" __global__ void __launch_bounds__(SCAN_THREADS)
$(moe.symbol("scan"))(const args_route a) {
    extern __shared__ __align__(128) unsigned char shared[];
    constexpr int PER = (PART + 31) / 32;
    unsigned char *ring = shared + PLANES * PLANE;
    float *products = (float *)(ring + RING * TILE);
    const int lane = (int)threadIdx.x % 32, warp = (int)threadIdx.x / 32;
    found *room = (found *)(products + TOKENS * PITCH) + warp * 64;
    const place at;
    dependency_wait();
    dependents_launch();
    if (a.logits)
        take_products(a, at, products);
    else
        multiply_all(a, at, shared, shared_address(ring), products);
    const int tokens = min(TOKENS, a.tokens - at.token), keys = min(PART, KEYS - at.first);
    for (int token = warp; token < tokens; token += SCANNERS) {
        unsigned key[PER];
#pragma unroll
        for (int i = 0; i < PER; i++) {
            const int k = i * 32 + lane;
            key[i] = k < keys ? order_key(finite(products[token * PITCH + k])) : 0;
        }
        const found mine = take_best(key, room);
        if (lane < KEEP)
            candidates(a, at.token + token, at.side)[at.first / PART * KEEP + lane] = {
                key_value(mine.key), at.first + mine.place};
    }
}

// ------------------------------------------------------------------------------------ merge

// Lane j < KEEP gets the j-th best candidate of a half, from all parts.
__device__ __forceinline__ candidate best_of(const candidate *from) {
    const int lane = (int)threadIdx.x % 32;
    int mine = min(lane, KEEP - 1);
% if c.parts > 1 then
    constexpr int ALL = PARTS * KEEP, PER = (ALL + 31) / 32;
    unsigned key[PER];
#pragma unroll
    for (int i = 0; i < PER; i++)
        key[i] = i * 32 + lane < ALL ? order_key(from[i * 32 + lane].score) : 0;
    mine = take<KEEP>(key);
% end
    return from[mine];
}

// Pair number `at` of those that can be among the best: ranks a, b with (a + 1) * (b + 1) <= KEEP,
// in the order of a, then b.
struct pair {
    int a = 0, b;

    __device__ __forceinline__ explicit pair(int at) : b(at) {
        while (b >= KEEP / (a + 1)) b -= KEEP / ++a;
    }
};

// An expert of a head, and its logit.
struct chosen {
    float score;
    int expert;
};

// Lane j < KEEP gets the j-th largest of a warp's keys and its expert; of equal ones the lower.
template <int PER>
__device__ __forceinline__ chosen take_experts(unsigned (&key)[PER],
                                               const unsigned (&expert)[PER]) {
    const int lane = (int)threadIdx.x % 32;
    chosen mine = {0.0f, 0};
#pragma unroll 1
    for (int j = 0; j < KEEP; j++) {
        unsigned best = 0, own = ~0u;
#pragma unroll
        for (int i = 0; i < PER; i++) {
            if (key[i] > best || (key[i] == best && expert[i] < own)) own = expert[i];
            best = max(best, key[i]);
        }
        const unsigned top = __reduce_max_sync(~0u, best);
        const unsigned first = __reduce_min_sync(~0u, best == top ? own : ~0u);
        if (j == lane) mine = {key_value(top), (int)first};
#pragma unroll
        for (int i = 0; i < PER; i++)
            if (expert[i] == first) key[i] = 0;
    }
    return mine;
}

// The best of a head, from the best of its halves.
__device__ __forceinline__ chosen choose(const candidate &first, const candidate &second) {
    constexpr int PAIRS = $(t.lib.pairs_of(p)), PER = (PAIRS + 31) / 32;
    unsigned key[PER], expert[PER];
#pragma unroll
    for (int i = 0; i < PER; i++) {
        const int at = i * 32 + (int)threadIdx.x % 32;
        const pair of(at < PAIRS ? at : 0);
        const float score =
            __shfl_sync(~0u, first.score, of.a) + __shfl_sync(~0u, second.score, of.b);
        const int id =
            __shfl_sync(~0u, first.key, of.a) * KEYS + __shfl_sync(~0u, second.key, of.b);
        key[i] = at < PAIRS ? order_key(finite(score)) : 0;
        expert[i] = at < PAIRS ? (unsigned)id : ~0u;
    }
    return take_experts(key, expert);
}

extern "C" __global__ void __launch_bounds__($(32 * math.min(8, p.router_heads)))
$(moe.symbol("merge"))(const args_route a) {
    constexpr int MERGERS = HEADS < 8 ? HEADS : 8;
    const int lane = (int)threadIdx.x % 32, token = (int)blockIdx.x;
    dependency_wait();
    dependents_launch();
    for (int head = (int)threadIdx.x / 32; head < HEADS; head += MERGERS) {
        const candidate first = best_of(candidates(a, token, head * 2));
        const candidate second = best_of(candidates(a, token, head * 2 + 1));
        const chosen mine = choose(first, second);
% if p.router_weigh == "relu" then
        const float weight = fmaxf(mine.score, 0.0f);
% else
        const float most = __shfl_sync(~0u, mine.score, 0);
        const float power = lane < KEEP ? expf(mine.score - most) : 0.0f;
        const float weight = power / warp_sum(power);
% end
        if (lane >= KEEP) continue;
        const size_t slot = (size_t)token * K + head * KEEP + lane;
        a.ids[slot] = mine.expert;
        a.weights[slot] = weight;
        if (a.counts) atomicAdd(&a.counts[mine.expert], 1);
    }
}
