// bulk_reduce_bounds.cu - a bulk reduction that is one line longer than its destination
// grid=1 block=32 n=32 arch=90 expect="out of bounds"
#include "async.cuh"

extern "C" __global__ void k(const int *in, int *out, int n)
{
    __shared__ __align__(128) int s[36];
    int t = threadIdx.x;
    s[t] = in[t];
    if (t < 4) s[32 + t] = 0;
    proxy_fence();
    __syncthreads();
#ifdef BUG
    int bytes = 144;
#else
    int bytes = 128;
#endif
    if (t == 0) {
        asm volatile("cp.reduce.async.bulk.global.shared::cta.bulk_group.add.s32 [%0], "
                     "[%1], %2;"
                     ::"l"(out), "r"(window(s)), "r"(bytes) : "memory"); // BUG
        bulk_commit();
        bulk_wait_read();
    }
}
