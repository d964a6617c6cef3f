// bulk_reduce_race.cu - one warp adds to memory by a bulk reduction, another by a load and a store
// grid=1 block=64 arch=90 expect="race"
#include "async.cuh"

extern "C" __global__ void k(const int *in, int *out, int n)
{
    __shared__ __align__(128) int s[32];
    int t = threadIdx.x;
    if (t < 32) s[t] = in[t];
    proxy_fence();
    __syncthreads();
    if (t == 0) {
        asm volatile("cp.reduce.async.bulk.global.shared::cta.bulk_group.add.s32 [%0], "
                     "[%1], 128;"
                     ::"l"(out), "r"(window(s)) : "memory"); // BUG
        bulk_commit();
        bulk_wait();
    }
#ifdef BUG
    if (t >= 32) out[t - 32] += 7; // BUG
#else
    if (t >= 32) atomicAdd(out + t - 32, 7);
#endif
}
