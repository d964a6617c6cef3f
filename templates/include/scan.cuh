// scan.cuh - prefix sums by one warp.

// Calls store(i, sum of value(0) .. value(i-1)) for i = 0 .. count-1, in no order, and gives the
// sum of all to every lane. Each lane takes four neighbours, so that 128 values cost one round of
// shuffles.
template <typename Value, typename Store>
__device__ __forceinline__ int warp_scan(int count, Value value, Store store) {
    const int lane = (int)threadIdx.x % 32;
    int total = 0;
    for (int first = 0; first < count; first += 128) {
        const int at = first + lane * 4;
        int v[4], sum = 0;
#pragma unroll
        for (int i = 0; i < 4; i++) sum += v[i] = at + i < count ? value(at + i) : 0;
        int upto = sum;
#pragma unroll
        for (int step = 1; step < 32; step *= 2) {
            const int left = __shfl_up_sync(~0u, upto, step);
            if (lane >= step) upto += left;
        }
        int before = total + upto - sum;
#pragma unroll
        for (int i = 0; i < 4; i++) {
            if (at + i < count) store(at + i, before);
            before += v[i];
        }
        total += __shfl_sync(~0u, upto, 31);
    }
    return total;
}
