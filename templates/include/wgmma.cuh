// wgmma.cuh - tensor-core products of a warpgroup (four warps): d += a * b^T, fp32 accumulation.
//
// Both operands lie in shared memory, K-contiguous, in rows of 128 (64) bytes with the 128-byte
// (64-byte) swizzle: what bulk tensor copies with boxes of 64 (32) elements leave there, eight rows
// after eight rows. With g = lane/4, q = lane%4 and warp w of the group, d[4j .. 4j+3] are rows
// 16w + g (first two) and 16w + g + 8, columns 8j + 2q and 8j + 2q + 1.
//
// The products that a template needs are made for the n in t.lib.columns(p, c, d).

// A descriptor of rows from `address`, a multiple of eight rows; + 2 is 16 elements further along
// K.
template <int ROW_BYTES = 128>
__device__ __forceinline__ unsigned long long matrix_of(unsigned address) {
    static_assert(ROW_BYTES == 128 || ROW_BYTES == 64, "row length");
    constexpr unsigned long long STRIDE = 8 * ROW_BYTES >> 4; // from eight rows to the next
    constexpr unsigned long long SWIZZLE = ROW_BYTES == 128 ? 1ull << 62 : 2ull << 62;
    return SWIZZLE | STRIDE << 32 | 1ull << 16 | (address & 0x3ffff) >> 4;
}

// Registers that were written by other instructions may be used from here on.
__device__ __forceinline__ void wgmma_fence() {
    asm volatile("wgmma.fence.sync.aligned;" ::: "memory");
}

__device__ __forceinline__ void wgmma_commit() {
    asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory");
}

// Waits until at most PENDING groups are under way.
template <int PENDING> __device__ __forceinline__ void wgmma_wait() {
    asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(PENDING) : "memory");
}

% for _, n in ipairs(t.lib.columns(p, c, d)) do
%   local names, sums = {}, {}
%   for i = 0, n // 2 - 1 do
%     names[#names + 1] = "%" .. i
%     sums[#sums + 1] = '"+f"(d[' .. i .. '])'
%   end
%   local a, b, add = "%" .. n // 2, "%" .. n // 2 + 1, "%" .. n // 2 + 2
// d [64,$(n)]; where !add, d is overwritten.
__device__ __forceinline__ void wgmma(float (&d)[$(n // 2)], unsigned long long a,
                                      unsigned long long b, bool add) {
    asm volatile("{\n\t"
                 ".reg .pred add;\n\t"
                 "setp.ne.b32 add, $(add), 0;\n\t"
                 "wgmma.mma_async.sync.aligned.m64n$(n)k16.f32.$(p.x).$(p.x) "
                 "{$(table.concat(names, ", "))}, $(a), $(b), add, 1, 1, 0, 0;\n\t"
                 "}"
                 : $(table.concat(sums, ", "))
                 : "l"(a), "l"(b), "r"((int)add));
}
% end
