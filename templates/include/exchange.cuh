// exchange.cuh - lanes of a matrix fragment exchange columns, so that each stores wide.

// Four lanes that hold one row's columns 2q, 2q+1 of COUNT (1, 2, 4) neighbouring tiles exchange
// them, so that each ends up with 2*COUNT neighbouring columns of one tile.
template <int COUNT> __device__ __forceinline__ void exchange(unsigned (&word)[COUNT], int q) {
    if constexpr (COUNT >= 2) {
        const bool odd = q & 1;
#pragma unroll
        for (int i = 0; i < COUNT; i += 2) {
            const unsigned got = __shfl_xor_sync(~0u, odd ? word[i] : word[i + 1], 1);
            if (odd)
                word[i] = got;
            else
                word[i + 1] = got;
        }
    }
    if constexpr (COUNT == 4) {
        const bool high = q & 2;
#pragma unroll
        for (int i = 0; i < 2; i++) {
            const unsigned got = __shfl_xor_sync(~0u, high ? word[i] : word[i + 2], 2);
            if (high)
                word[i] = got;
            else
                word[i + 2] = got;
        }
    }
}
