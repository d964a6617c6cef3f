// wgmma_f32.cuh - d += a * b^T of a warpgroup, where a [64,16] is f32 and b is bf16, as exact as if
// both were f32.
//
// The 24 significant bits of an f32 number make three bf16 numbers of 8 each, from which it is the
// exact sum; so three products, of a in registers, do. Numbers below 2^-102 lose bits that bf16
// does not reach; one that is not finite gives NaN. Registers are laid out as those of mma.cuh.
//
// The products that a template needs are made for the n in t.lib.columns(p, c, d).

% for _, n in ipairs(t.lib.columns(p, c, d)) do
%   local names, sums = {}, {}
%   for i = 0, n // 2 - 1 do
%     names[#names + 1] = "%" .. i
%     sums[#sums + 1] = '"+f"(d[' .. i .. '])'
%   end
%   local at = n // 2
// d [64,$(n)]; where !add, d is overwritten.
__device__ __forceinline__ void wgmma(float (&d)[$(n // 2)], const unsigned (&a)[4],
                                      unsigned long long b, bool add) {
    asm volatile("{\n\t"
                 ".reg .pred add;\n\t"
                 "setp.ne.b32 add, %$(at + 5), 0;\n\t"
                 "wgmma.mma_async.sync.aligned.m64n$(n)k16.f32.bf16.bf16 "
                 "{$(table.concat(names, ", "))}, {%$(at), %$(at + 1), %$(at + 2), %$(at + 3)}, "
                 "%$(at + 4), add, 1, 1, 0;\n\t"
                 "}"
                 : $(table.concat(sums, ", "))
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b), "r"((int)add));
}

% end
// Two neighbours' upper halves as a word of bf16; what is left of them stays.
__device__ __forceinline__ unsigned cut(float &low, float &high) {
    const unsigned a = __float_as_uint(low), b = __float_as_uint(high);
    low -= __uint_as_float(a & 0xffff0000u);
    high -= __uint_as_float(b & 0xffff0000u);
    return __byte_perm(a, b, 0x7632);
}

// A lane's part of 16 columns from `k` on, a multiple of 16 below 32, of its warp's 16 rows. These
// start at `rows` and have 32 elements, with the 128-byte swizzle.
__device__ __forceinline__ void load_parts(unsigned rows, int k, unsigned (&part)[3][4]) {
    const int g = (int)threadIdx.x % 32 / 4, q = (int)threadIdx.x % 4;
#pragma unroll
    for (int i = 0; i < 4; i++) {
        const int chunk = k / 4 + i / 2 * 2 + q / 2;
        const unsigned from = rows + (g + i % 2 * 8) * 128 + (chunk ^ g) * 16 + q % 2 * 8;
        float low, high;
        asm volatile("ld.shared.v2.f32 {%0, %1}, [%2];" : "=f"(low), "=f"(high) : "r"(from)
                     : "memory");
#pragma unroll
        for (int p = 0; p < 3; p++) part[p][i] = cut(low, high);
    }
}
