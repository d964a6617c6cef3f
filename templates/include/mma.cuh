// mma.cuh - tensor-core products of one warp: c += a * b^T, fp32 accumulation.
//
// With g = lane/4 and q = lane%4, every lane holds
//   c: rows g (c0 c1) and g+8 (c2 c3), columns 2q and 2q+1;
//   a: 16-bit: a0 = row g, a1 = row g+8 at k = 2q,2q+1; a2, a3 the same at k+8;
//      tf32:   a0 = row g, a1 = row g+8 at k = q;       a2, a3 the same at k+4;
//   b: column g, at the k of a0 (b0) and of a2 (b1).
// Both are what load_matrix gives for 32-byte slices of K-contiguous rows.

template <typename T>
__device__ __forceinline__ void mma_16bit(float (&c)[4], const unsigned (&a)[4], unsigned b0,
                                          unsigned b1) {
    static_assert(sizeof(T) == 2, "mma_16bit is for bf16 and f16");
    if constexpr (same<T, bf16>::value == 1)
        asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 "
            "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
            : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
            : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
    else
        asm("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 "
            "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
            : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
            : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

__device__ __forceinline__ void mma_tf32(float (&c)[4], const unsigned (&a)[4], unsigned b0,
                                         unsigned b1) {
    asm("mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 "
        "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
        : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

// Splits fp32 bits into tf32 parts with v ~ big + small to 2^-21 of v: big is v rounded to 11
// significant bits, small is what is left (exact), cut to tf32. Three products, small*big +
// big*small + big*big, then reach fp32's accuracy. Integer steps, as the conversion instruction
// is slow on some chips. Values that are not finite give NaN.
__device__ __forceinline__ void split_tf32(unsigned v, unsigned &big, unsigned &small) {
    big = v + 0x1000u & 0xffffe000u;
    small = __float_as_uint(__uint_as_float(v) - __uint_as_float(big)) & 0xffffe000u;
}
