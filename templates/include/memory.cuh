// memory.cuh - 16-byte accesses, asynchronous copies to shared memory and ldmatrix, as inline PTX.

// 16 bytes; T elements through unpack_chunk and pack_chunk of types.cuh.
struct __align__(16) chunk {
    unsigned word[4];
};

__device__ __forceinline__ chunk load_chunk(const void *from) {
    return *(const chunk *)from;
}

__device__ __forceinline__ void store_chunk(void *to, const chunk &value) {
    *(chunk *)to = value;
}

// For global data that is read once by this block: does not displace what others reuse in L1.
__device__ __forceinline__ chunk load_chunk_once(const void *from) {
    chunk out;
    asm volatile("ld.global.L1::no_allocate.v4.u32 {%0, %1, %2, %3}, [%4];"
                 : "=r"(out.word[0]), "=r"(out.word[1]), "=r"(out.word[2]), "=r"(out.word[3])
                 : "l"(from));
    return out;
}

// 4, 8 or 16 bytes from registers; `to` is a multiple of that.
template <int COUNT> __device__ __forceinline__ void store_words(void *to,
                                                                 const unsigned (&word)[COUNT]) {
    static_assert(COUNT == 1 || COUNT == 2 || COUNT == 4, "one store");
    if constexpr (COUNT == 1)
        *(unsigned *)to = word[0];
    else if constexpr (COUNT == 2)
        *(uint2 *)to = make_uint2(word[0], word[1]);
    else
        *(uint4 *)to = make_uint4(word[0], word[1], word[2], word[3]);
}

// The 32-bit address of shared memory that ldmatrix, cp.async and the mbarriers take.
__device__ __forceinline__ unsigned shared_address(const void *p) {
    return (unsigned)__cvta_generic_to_shared(p);
}

// Copies 16 bytes global -> shared past the registers and L1. Where !valid it reads nothing and
// writes zeros; `from` must still be an address of global memory.
__device__ __forceinline__ void copy_async(unsigned to, const void *from, bool valid) {
    const int bytes = valid ? 16 : 0;
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(to), "l"(from), "r"(bytes)
                 : "memory");
}

__device__ __forceinline__ void copy_async(unsigned to, const void *from) {
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(to), "l"(from) : "memory");
}

// Closes this thread's group of copies.
__device__ __forceinline__ void copy_commit() {
    asm volatile("cp.async.commit_group;" ::: "memory");
}

// Waits until at most PENDING of this thread's groups are in flight. A barrier must follow before
// other threads may read what was copied.
template <int PENDING> __device__ __forceinline__ void copy_wait() {
    asm volatile("cp.async.wait_group %0;" ::"n"(PENDING) : "memory");
}

// Four 8x8 matrices of 16-bit elements (or 8x4 of 32-bit ones): lane i gives the address of row
// i%8 of matrix i/8 and gets of each matrix row i/4, bytes (i%4)*4 .. +3.
__device__ __forceinline__ void load_matrix(unsigned (&out)[4], unsigned address) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(out[0]), "=r"(out[1]), "=r"(out[2]), "=r"(out[3])
                 : "r"(address)
                 : "memory");
}

// Swizzle of a tile whose rows are ROW_BYTES (64, 128 or 256) long: chunk `c` of row `r` lies at
// chunk swizzle(r, c). Eight rows' chunks of one column then meet all 32 banks once.
template <int ROW_BYTES> __device__ __forceinline__ int swizzle(int r, int c) {
    static_assert(ROW_BYTES == 64 || ROW_BYTES == 128 || ROW_BYTES == 256, "row length");
    return ROW_BYTES == 64 ? c ^ (r >> 1 & 3) : c ^ (r & 7);
}
