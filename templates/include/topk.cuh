// topk.cuh - the K largest of a token's E keys, by one warp, with everything in registers.
//
// Larger keys come first; of equal ones the lower expert. The K experts are distinct and in 0..E-1
// whatever the keys are, as long as K of them are above 0.

constexpr int PER_LANE = (E + 31) / 32;

// Keys of experts lane, lane+32, ...; 0: taken, masked, or no such expert.
using keys = unsigned[PER_LANE];

__device__ __forceinline__ bool is_inside(int expert) { return E % 32 == 0 || expert < E; }

constexpr float MOST = 3.402823466e+38f;

// Infinities count as the largest finite values of their sign and NaN as the lowest, so that
// softmaxes always exist and keys have an order. -0 becomes +0, which it equals.
__device__ __forceinline__ float finite(float v) {
    return fminf(fmaxf(v, -MOST), MOST) + 0.0f;
}

// Unsigned integers in the order of finite floats; above 0 for every one.
__device__ __forceinline__ unsigned order_key(float v) {
    const unsigned bits = __float_as_uint(v);
    return bits >> 31 ? ~bits : bits | 0x80000000u;
}

__device__ __forceinline__ float key_value(unsigned key) {
    return __uint_as_float(key >> 31 ? key ^ 0x80000000u : ~key);
}

__device__ __forceinline__ float warp_sum(float v) {
#pragma unroll
    for (int step = 16; step > 0; step /= 2) v += __shfl_xor_sync(~0u, v, step);
    return v;
}

// Of finite values.
__device__ __forceinline__ float warp_max(float v) {
    return key_value(__reduce_max_sync(~0u, order_key(v)));
}

// Lane j < COUNT gets the place of the j-th largest key, which is i*32 + lane for a lane's key[i];
// of equal keys the lower place comes first. These keys become 0.
template <int COUNT, int PER> __device__ __forceinline__ int take(unsigned (&key)[PER]) {
    const int lane = (int)threadIdx.x % 32;
    int mine = 0;
#pragma unroll 1
    for (int j = 0; j < COUNT; j++) {
        unsigned best = key[0];
        int own = lane;
#pragma unroll
        for (int i = 1; i < PER; i++) {
            if (key[i] > best) own = i * 32 + lane;
            best = max(best, key[i]);
        }
        const unsigned top = __reduce_max_sync(~0u, best);
        const int place = (int)__reduce_min_sync(~0u, best == top ? (unsigned)own : ~0u);
        if (j == lane) mine = place;
#pragma unroll
        for (int i = 0; i < PER; i++)
            if (i * 32 + lane == place) key[i] = 0;
    }
    return mine;
}

// Lane j < K gets the expert of choice j. Their keys become 0.
__device__ __forceinline__ int choose(keys &key) { return take<K>(key); }
