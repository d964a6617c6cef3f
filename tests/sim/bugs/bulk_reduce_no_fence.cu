// bulk_reduce_no_fence.cu - ordinary writes, then a bulk reduction of them, no proxy fence between
// grid=1 block=32 arch=90 expect="missing proxy fence"
#include "async.cuh"

extern "C" __global__ void k(const int *in, int *out, int n)
{
    __shared__ __align__(128) int s[32];
    int t = threadIdx.x;
    s[t] = in[t] + 1; // BUG
#ifndef BUG
    proxy_fence();
#endif
    __syncthreads();
    if (t == 0) {
        asm volatile("cp.reduce.async.bulk.global.shared::cta.bulk_group.add.s32 [%0], "
                     "[%1], 128;"
                     ::"l"(out), "r"(window(s)) : "memory"); // BUG
        bulk_commit();
        bulk_wait_read();
    }
}
