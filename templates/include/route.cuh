// route.cuh - what templates with a router share: logits by a tensor-core GEMM, selection, weights.
// Needs BT, BE, BK, STAGES, WARPS, SPLIT (route.lua), D, E, K, XT, WT and the op's arguments.
//
// Logits are x @ router_weight^T in fp32, plus router_bias unless that joins the keys: a GEMM with
// BE experts as the rows and BT tokens as the columns of a tile, fed by a ring of STAGES
// asynchronous copies. Warps share the experts of a tile, and where these are few, the K steps of a
// stage. What becomes of a token's logits is in select.cuh.
//
// 16-bit tokens meet f32 weights in tf32 products: a 16-bit number is one of tf32, and a weight is
// two, so that logits are those of an f32 product.
//
// SPLIT = 0: a block keeps all logits of its tokens in shared memory and selects from them, one
//            warp a token.
// SPLIT > 0: for few tokens. Blocks also share the experts' tiles and SPLIT slices of K; a second
//            kernel adds the slices in order and selects.
% moe.include("memory.cuh")
% moe.include("mma.cuh")

constexpr int THREADS = WARPS * 32;
% moe.include("select.cuh")
% if p.router_jitter_input > 0 then
% moe.include("jitter.cuh")
% end
% if p.router_noise > 0 then
% moe.include("noise.cuh")
% end

constexpr int ROW = BK * 2;                     // bytes of an expert's row of a stage,
constexpr int DEPTH = ROW / (int)sizeof(RT);    // its elements,
constexpr int ROW_X = DEPTH * (int)sizeof(XT);  // and the bytes of a token's
constexpr int STEPS = ROW_X / 32;               // K steps: 16 or, of f32 tokens, 8 elements
constexpr int STAGE = BE * ROW + BT * ROW_X;    // bytes; experts, then tokens
constexpr bool MIXED = ROW != ROW_X;
constexpr int WARPS_E = WARPS < BE / 16 ? WARPS : BE / 16;
constexpr int WARPS_K = WARPS / WARPS_E;
constexpr int TILES_E = BE / 16 / WARPS_E;      // 16x8 products of a warp
constexpr int TILES_T = BT / 8;
constexpr int BLOCKS_E = (E + BE - 1) / BE;     // tiles of experts
constexpr int STEPS_D = (D + DEPTH - 1) / DEPTH; // stages that a tile takes
constexpr int ROUTERS = $(p.router_noise > 0 and 2 or 1); // matrices: router_weight, router_noise
constexpr int TILES = BLOCKS_E * ROUTERS;
constexpr int WIDTH = (E + 15) / 16 * 16; // of a matrix's part of a token's logits
constexpr bool LOGIT_BIAS = $(p.bias_router);
constexpr bool WHOLE_D = D % DEPTH == 0, WHOLE_E = E % BE == 0; // tiles have no edge
// Floats of a token's logits: 4 more than a multiple of 16, so that store_tile meets all banks.
constexpr int PITCH = SPLIT ? BE + 4 : WIDTH * ROUTERS + 4;
constexpr bool OVER_RING = SPLIT || TILES == 1; // logits overwrite the ring when all is read
constexpr int RING = STAGES * STAGE;
constexpr int LOGITS = BT * PITCH * 4;
constexpr int END = OVER_RING ? (RING > LOGITS ? RING : LOGITS) : RING + LOGITS; // bytes of both

static_assert(BE / 16 % WARPS_E == 0 && STEPS % WARPS_K == 0, "warps share tiles evenly");
static_assert(THREADS * 16 / ROW % 8 == 0, "the rows of a thread are swizzled alike");

using sums = float[TILES_E][TILES_T][4];

// A thread's share of the copies of rows of BYTES: one chunk of every AT_ONCE-th row.
template <int BYTES> struct copies {
    static constexpr int CHUNKS = BYTES / 16, AT_ONCE = THREADS / CHUNKS;
    int row = (int)threadIdx.x / CHUNKS, chunk = (int)threadIdx.x % CHUNKS;
};

// Where chunk `c` of an expert's row `r` lies. With f32 beside 16 bits a lane reads pairs of
// chunks: there four rows' pairs meet all banks.
__device__ __forceinline__ int expert_chunk(int r, int c) {
    return MIXED ? c ^ (r & 3) << 1 : swizzle<ROW>(r, c);
}

// Starts this thread's copies of a matrix's ROWS rows, from its own first row on. Rows from `rows`
// on become zeros, and all where !inside; ALL: neither occurs.
template <int ROWS, int BYTES, bool ALL, typename T>
__device__ __forceinline__ void load_rows(unsigned to, const T *from, int rows, bool inside) {
    constexpr int AT_ONCE = copies<BYTES>::AT_ONCE;
    if (ROWS < AT_ONCE && copies<BYTES>().row >= ROWS) return;
#pragma unroll
    for (int i = 0; i < ROWS; i += AT_ONCE) {
        if constexpr (ALL)
            copy_async(to + i * BYTES, from + (size_t)i * D);
        else
            copy_async(to + i * BYTES, from + (size_t)i * D, inside && i < rows);
    }
}

% if p.router_w ~= p.x then
__device__ __forceinline__ void load_pair(unsigned (&out)[2], unsigned address) {
    asm volatile("ld.shared.v2.u32 {%0, %1}, [%2];"
                 : "=r"(out[0]), "=r"(out[1])
                 : "r"(address)
                 : "memory");
}

% end
// One K step's product of a warp.
__device__ __forceinline__ void multiply_step(unsigned stage, int step, sums &sum) {
    const int lane = (int)threadIdx.x % 32, warp_e = (int)threadIdx.x / 32 % WARPS_E;
    unsigned x[(TILES_T + 1) / 2][4];
#pragma unroll
    for (int n = 0; n < TILES_T; n += 2) {
        const int r = n * 8 + lane % 8 + (TILES_T > 1 ? lane / 16 * 8 : 0);
        load_matrix(x[n / 2], stage + BE * ROW + r * ROW_X +
                                  swizzle<ROW_X>(r, 2 * step + lane / 8 % 2) * 16);
    }
% if p.router_w ~= p.x then
    // Of each 8 elements a lane has 2 * (lane % 4) and the next: in the place of elements lane % 4
    // and + 4, for both operands alike.
#pragma unroll
    for (int m = 0; m < TILES_E; m++)
#pragma unroll
        for (int half = 0; half < 2; half++) {
            unsigned big[4], small[4];
#pragma unroll
            for (int i = 0; i < 2; i++) {
                const int r = (warp_e * TILES_E + m) * 16 + i * 8 + lane / 4;
                const int c = 4 * step + 2 * half + lane % 4 / 2;
                unsigned w[2];
                load_pair(w, stage + r * ROW + expert_chunk(r, c) * 16 + lane % 2 * 8);
                split_tf32(w[0], big[i], small[i]);
                split_tf32(w[1], big[i + 2], small[i + 2]);
            }
#pragma unroll
            for (int n = 0; n < TILES_T; n++) {
                float low, high;
                unpack2<XT>(x[n / 2][n % 2 * 2 + half], low, high);
                mma_tf32(sum[m][n], small, __float_as_uint(low), __float_as_uint(high));
                mma_tf32(sum[m][n], big, __float_as_uint(low), __float_as_uint(high));
            }
        }
% else
    unsigned w[TILES_E][4];
#pragma unroll
    for (int m = 0; m < TILES_E; m++) {
        const int r = (warp_e * TILES_E + m) * 16 + lane % 16;
        load_matrix(w[m], stage + r * ROW + expert_chunk(r, 2 * step + lane / 16) * 16);
    }
% if p.x == "f32" then
    // Three tf32 products reach fp32's accuracy.
#pragma unroll
    for (int m = 0; m < TILES_E; m++) {
        unsigned big[4], small[4];
#pragma unroll
        for (int i = 0; i < 4; i++) split_tf32(w[m][i], big[i], small[i]);
#pragma unroll
        for (int n = 0; n < TILES_T; n++) {
            unsigned big0, big1, small0, small1;
            split_tf32(x[n / 2][n % 2 * 2], big0, small0);
            split_tf32(x[n / 2][n % 2 * 2 + 1], big1, small1);
            mma_tf32(sum[m][n], small, big0, big1);
            mma_tf32(sum[m][n], big, small0, small1);
            mma_tf32(sum[m][n], big, big0, big1);
        }
    }
% else
#pragma unroll
    for (int m = 0; m < TILES_E; m++)
#pragma unroll
        for (int n = 0; n < TILES_T; n++)
            mma_16bit<XT>(sum[m][n], w[m], x[n / 2][n % 2 * 2], x[n / 2][n % 2 * 2 + 1]);
% end
% end
}

__device__ __forceinline__ void multiply_stage(unsigned stage, sums &sum) {
    const int warp_k = (int)threadIdx.x / 32 / WARPS_E;
% if p.router_w == "f32" then
    // Tensor cores cut off what does not fit an addition; short sums, added up by rounding ones,
    // keep that from growing with D.
    sums part = {};
#pragma unroll
    for (int i = 0; i < STEPS; i += WARPS_K) multiply_step(stage, i + warp_k, part);
#pragma unroll
    for (int i = 0; i < TILES_E * TILES_T * 4; i++) (&sum[0][0][0])[i] += (&part[0][0][0])[i];
% else
#pragma unroll
    for (int i = 0; i < STEPS; i += WARPS_K) multiply_step(stage, i + warp_k, sum);
% end
}

// Puts a tile's sums into `logits` [BT][PITCH] from column `column`, as far as column `columns`,
// all behind column `part`.
// Warps that share K follow each other. `bias` [E] or NULL.
__device__ __forceinline__ void store_tile(const sums &sum, float *logits, int part, int column,
                                           int columns, const float *bias) {
    const int lane = (int)threadIdx.x % 32, warp = (int)threadIdx.x / 32;
#pragma unroll
    for (int turn = 0; turn < WARPS_K; turn++) {
        if (turn > 0) __syncthreads();
        if (WARPS_K > 1 && warp / WARPS_E != turn) continue;
#pragma unroll
        for (int i = 0; i < TILES_E * 2; i++) {
            const int at = column + (warp % WARPS_E * TILES_E + i / 2) * 16 + i % 2 * 8 + lane / 4;
            if (at >= columns) continue;
            const float add = turn == 0 && bias ? bias[at] : 0.0f;
#pragma unroll
            for (int j = 0; j < TILES_T * 2; j++) {
                float *to = logits + (j / 2 * 8 + lane % 4 * 2 + j % 2) * PITCH + part + at;
                const float v = sum[i / 2][j / 2][i % 2 * 2 + j % 2];
                *to = turn == 0 ? v + add : *to + v;
            }
        }
    }
}

__device__ __forceinline__ const XT *router_x(const op_args &a) {
    return $(p.router_jitter_input > 0) && a.seed ? a.jittered : a.x;
}

// The first row of the tile `tile` of all matrices, and which of its matrix it is.
__device__ __forceinline__ const RT *tile_weights(const op_args &a, int tile) {
    const RT *w = ROUTERS > 1 && tile >= BLOCKS_E ? (const RT *)a.router_noise : a.router_weight;
    return w + (size_t)(tile % BLOCKS_E) * BE * D;
}

// Logits of BT tokens for `tiles` tiles of experts, over `steps` stages from `first_step`, into
// `logits`, whose column 0 is the first tile's first expert; the other matrix's columns start at
// WIDTH. A barrier must follow.
__device__ __forceinline__ void make_logits(const op_args &a, unsigned ring, float *logits,
                                            int first_token, int first_tile, int tiles,
                                            int first_step, int steps, const float *bias) {
    const copies<ROW> of_w;
    const copies<ROW_X> of_x;
    const int token = first_token + of_x.row, all = tiles * steps;
    const unsigned to_w = ring + of_w.row * ROW + expert_chunk(of_w.row, of_w.chunk) * 16;
    const unsigned to_x = ring + BE * ROW + of_x.row * ROW_X +
                          swizzle<ROW_X>(of_x.row, of_x.chunk) * 16;
    int expert = first_tile % BLOCKS_E * BE + of_w.row, k = first_step * DEPTH;
    const int k_w = of_w.chunk * per_chunk<RT>(), k_x = of_x.chunk * per_chunk<XT>();
    const RT *w = tile_weights(a, first_tile) + (size_t)of_w.row * D + k + k_w;
    const XT *x = router_x(a) + (size_t)token * D + k + k_x;
    int step = 0, tile = 0, stage = 0, loaded = 0, load_step = 0, load_tile = 0;
    auto load = [&](int into) {
        if (loaded < all) {
            load_rows<BE, ROW, WHOLE_D && WHOLE_E>(to_w + into * STAGE, w, E - expert,
                                                   WHOLE_D || k + k_w < D);
            load_rows<BT, ROW_X, false>(to_x + into * STAGE, x, a.tokens - token,
                                        WHOLE_D || k + k_x < D);
            k += DEPTH, w += DEPTH, x += DEPTH, loaded++;
            if (++load_step == steps) { // on to the next tile of experts
                load_step = 0, expert += BE;
                k -= steps * DEPTH, x -= steps * DEPTH;
                w += (size_t)BE * D - steps * DEPTH;
                if (ROUTERS > 1 && ++load_tile == BLOCKS_E) {
                    expert = of_w.row;
                    w = tile_weights(a, BLOCKS_E) + (size_t)of_w.row * D + k + k_w;
                }
            }
        }
        copy_commit();
    };
#pragma unroll
    for (int i = 0; i < STAGES - 1; i++) load(i);
    sums sum = {};
#pragma unroll 1
    for (int i = 0; i < all; i++) {
        copy_wait<STAGES - 2>();
        __syncthreads(); // the stage is complete, and the one before it is read by all
        load(stage == 0 ? STAGES - 1 : stage - 1);
        multiply_stage(ring + stage * STAGE, sum);
        if (++stage == STAGES) stage = 0;
        if (++step < steps) continue;
        if (OVER_RING) __syncthreads();
        // A column that changes from tile to tile keeps addresses of stores out of the loop's
        // registers.
        const int matrix = ROUTERS > 1 ? tile / BLOCKS_E : 0;
        store_tile(sum, logits, matrix * WIDTH, (tile - matrix * BLOCKS_E) * BE,
                   min(E - first_tile % BLOCKS_E * BE, PITCH - 4), matrix ? nullptr : bias);
        step = 0, tile++;
#pragma unroll
        for (int n = 0; n < TILES_E * TILES_T * 4; n++) (&sum[0][0][0])[n] = 0.0f;
    }
}
% if p.router_noise > 0 and c.split == 0 then

// Adds their noise to the logits of BT tokens from `first` on.
__device__ __forceinline__ void add_noise(const op_args &a, float *logits, int first) {
    __syncthreads();
    const int cells = a.seed ? min(BT, a.tokens - first) * E : 0;
    for (int i = threadIdx.x; i < cells; i += THREADS) {
        float *row = logits + i / E * PITCH;
        row[i % E] += noise(*a.seed, first + i / E, i % E, row[WIDTH + i % E]);
    }
}
% end
% if c.split == 0 then

// Routes BT tokens from `first` on. `shared` is the kernel's memory, [shared_bytes of route.lua];
// choices are counted where `count`. A barrier must follow before it is used again.
__device__ __forceinline__ void route_tokens(const op_args &a, unsigned char *shared, int first,
                                             bool count) {
    float *logits = (float *)(shared + (OVER_RING ? 0 : RING));
    int *counts = (int *)(shared + END);
    if (a.logits) {
        const int given = min(BT, a.tokens - first) * E;
        for (int i = threadIdx.x; i < given; i += THREADS)
            logits[i / E * PITCH + i % E] = a.logits[(size_t)first * E + i];
    } else {
        make_logits(a, shared_address(shared), logits, first, 0, TILES, 0, STEPS_D,
                    LOGIT_BIAS ? a.router_bias : nullptr);
% if p.router_noise > 0 then
        add_noise(a, logits, first);
% end
    }
    select_tokens<BT, WARPS>(a, logits, PITCH, first, count ? counts : nullptr,
                             (float(*)[2])(counts + E));
}
% else

// This block's slice of K of its tile of logits, into scratch [SPLIT][T][ROUTERS][E].
__device__ __forceinline__ void slice_logits(const op_args &a, unsigned char *shared) {
    const int share = (int)blockIdx.x % (TILES * SPLIT);
    const int first = (int)blockIdx.x / (TILES * SPLIT) * BT;
    const int tile = share % TILES, slice = share / TILES, column = tile % BLOCKS_E * BE;
    const int from = slice * STEPS_D / SPLIT, to = (slice + 1) * STEPS_D / SPLIT;
    float *logits = (float *)shared;
    make_logits(a, shared_address(shared), logits, first, tile, 1, from, to - from, nullptr);
    __syncthreads();
    float *out = (float *)a.scratch + ((size_t)slice * a.tokens + first) * ROUTERS * E +
                 tile / BLOCKS_E * E + column;
    const int tokens = min(BT, a.tokens - first);
    for (int i = threadIdx.x; i < tokens * BE; i += THREADS)
        if (column + i % BE < E)
            out[(size_t)(i / BE) * ROUTERS * E + i % BE] = logits[i / BE * PITCH + i % BE];
}

// Puts a token's logits into shared memory, by one warp: the given ones, or the sum of the slices
// in order plus the bias, and the noise. `row` points at the first slice of the token.
__device__ __forceinline__ void gather_logits(const op_args &a, const float *row, int token,
                                              float *logits) {
    constexpr int AT_ONCE = 16 / SPLIT; // experts of a lane whose loads are in flight
    const size_t slice = (size_t)a.tokens * ROUTERS * E;
    for (int first = (int)threadIdx.x % 32; first < E; first += 32 * AT_ONCE) {
        float part[AT_ONCE][SPLIT];
#pragma unroll
        for (int i = 0; i < AT_ONCE; i++)
#pragma unroll
            for (int s = 0; s < SPLIT; s++) {
                part[i][s] = 0.0f;
                if (first + i * 32 < E && (s == 0 || !a.logits))
                    part[i][s] = row[s * slice + first + i * 32];
            }
#pragma unroll
        for (int i = 0; i < AT_ONCE; i++) {
            const int expert = first + i * 32;
            if (expert >= E) break;
#pragma unroll
            for (int s = 1; s < SPLIT; s++) part[i][0] += part[i][s];
            if (LOGIT_BIAS && !a.logits) part[i][0] += a.router_bias[expert];
            logits[expert] = part[i][0];
        }
    }
% if p.router_noise > 0 then
    if (a.logits || !a.seed) return;
    for (int expert = (int)threadIdx.x % 32; expert < E; expert += 32) {
        float raw = 0.0f;
#pragma unroll
        for (int s = 0; s < SPLIT; s++) raw += row[s * slice + E + expert];
        logits[expert] += noise(*a.seed, token, expert, raw);
    }
% end
}

// Selects for COUNT tokens from `first` on, a warp each, from the slices' sums or the given logits.
// `logits` [COUNT][E] and what select_tokens needs behind it are shared memory.
template <int COUNT>
__device__ __forceinline__ void select_from_slices(const op_args &a, float *logits, int first,
                                                   bool count) {
    int *counts = (int *)(logits + COUNT * E);
    const int token = first + (int)threadIdx.x / 32;
    const float *from = a.logits ? a.logits + (size_t)token * E
                                 : (const float *)a.scratch + (size_t)token * ROUTERS * E;
    if (token < a.tokens)
        gather_logits(a, from, token, logits + (size_t)(threadIdx.x / 32) * E);
    select_tokens<COUNT, COUNT>(a, logits, E, first, count ? counts : nullptr,
                                (float(*)[2])(counts + E));
}
% end
