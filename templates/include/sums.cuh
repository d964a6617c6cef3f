// sums.cuh - sums of rows in memory: cleared, added to in any order, rounded to y. See sums.lua.
// Needs XT, D, the op's arguments, and a template with `lib.sums` and its parameters.
//
// Nobody waits for additions by vectors of red; those by the copy engine have a wait of their own.
% local op = "args_" .. p.kind
% local wide = c.wide == 1
% local bulk_type = (wide or p.x == "f32") and "f32" or "noftz." .. p.x
% moe.include("memory.cuh")
% moe.include("pdl.cuh")
% if c.bulk == 1 then
%   moe.include("tma.cuh")
% end

using sum_type = $(wide and "float" or "XT");
constexpr int SUM_TOKENS = $(t.lib.sums.tokens(p, c)), SUM_THREADS = $(t.lib.sums.threads);

__device__ __forceinline__ sum_type *sums_of(const $(op) &args) {
    return $(wide and "(float *)args.scratch" or "args.y");
}

// What a row of the kernel's own numbering is added to, and how much of it; may be older than the
// kernel ahead.
struct row_target {
    int token;
    float weight;
};

__device__ __forceinline__ row_target find_target(const $(op) &args, int row) {
    const int slot = load_older(args.row_slots + row);
% if p.weigh == "input" then
    const float weight = 1.0f;
% else
    const float weight = __int_as_float(load_older((const int *)args.weights + slot));
% end
    return {(int)((unsigned)slot / K), weight};
}
% if c.bulk == 1 then

// Adds `columns` sums of a row in shared memory to those of its token, from `column` on. Behind an
// async_proxy_fence of those who wrote the row, and a barrier; tensor_store_commit and _wait
// follow.
__device__ __forceinline__ void add_row(const $(op) &args, int token, unsigned from, int column,
                                        int columns) {
    asm volatile("cp.reduce.async.bulk.global.shared::cta.bulk_group.add.$(bulk_type) "
                 "[%0], [%1], %2;"
                 ::"l"(sums_of(args) + (long long)token * D + column), "r"(from),
                 "r"(columns * (int)sizeof(sum_type))
                 : "memory");
}
% elseif wide or p.x == "f32" then

// Adds two neighbours, of 8-aligned floats.
__device__ __forceinline__ void add_pair(float *to, float low, float high) {
% if d.sm >= 90 then
    asm volatile("red.global.add.v2.f32 [%0], {%1, %2};" ::"l"(to), "f"(low), "f"(high) : "memory");
% else
    atomicAdd(to, low);
    atomicAdd(to + 1, high);
% end
}
% else

// Adds pairs of 16-bit numbers to as many bytes, so aligned.
template <int COUNT>
__device__ __forceinline__ void add_words(XT *to, const unsigned (&word)[COUNT]) {
    static_assert(COUNT == 1 || COUNT == 2 || COUNT == 4, "one addition");
%   if d.sm >= 90 then
    if constexpr (COUNT == 4)
        asm volatile("red.global.add.noftz.v4.$(p.x)x2 [%0], {%1, %2, %3, %4};" ::"l"(to),
                     "r"(word[0]), "r"(word[1]), "r"(word[2]), "r"(word[3])
                     : "memory");
    else if constexpr (COUNT == 2)
        asm volatile("red.global.add.noftz.v2.$(p.x)x2 [%0], {%1, %2};" ::"l"(to), "r"(word[0]),
                     "r"(word[1])
                     : "memory");
    else
        asm volatile("red.global.add.noftz.$(p.x)x2 [%0], %1;" ::"l"(to), "r"(word[0]) : "memory");
%   else
#pragma unroll
    for (int i = 0; i < COUNT; i++)
        asm volatile("red.global.add.noftz.$(p.x)x2 [%0], %1;" ::"l"(to + 2 * i), "r"(word[i])
                     : "memory");
%   end
}
% end

extern "C" __global__ void __launch_bounds__(SUM_THREADS) $(moe.symbol("clear"))(const $(op) args) {
    constexpr int CHUNKS = D * (int)sizeof(sum_type) / 16; // of a token
    const int first = (int)blockIdx.x * SUM_TOKENS;
    const int chunks = min(SUM_TOKENS, args.tokens - first) * CHUNKS;
    sum_type *to = sums_of(args) + (long long)first * D;
    dependency_wait();
    dependents_launch();
    for (int i = threadIdx.x; i < chunks; i += SUM_THREADS)
        store_chunk(to + i * per_chunk<sum_type>(), chunk{});
}
% if wide then

extern "C" __global__ void __launch_bounds__(SUM_THREADS) $(moe.symbol("round"))(const $(op) args) {
    constexpr int CHUNKS = D / 8; // of a token
    const int first = (int)blockIdx.x * SUM_TOKENS;
    const int chunks = min(SUM_TOKENS, args.tokens - first) * CHUNKS;
    const float *from = sums_of(args) + (long long)first * D;
    XT *to = args.y + (long long)first * D;
    dependency_wait();
    dependents_launch();
    for (int i = threadIdx.x; i < chunks; i += SUM_THREADS) {
        float sum[8];
        chunk out;
        unpack_chunk<float>(load_chunk(from + i * 8).word, sum);
        unpack_chunk<float>(load_chunk(from + i * 8 + 4).word, sum + 4);
        pack_chunk<XT>(sum, out.word);
        store_chunk(to + i * 8, out);
    }
}
% end
