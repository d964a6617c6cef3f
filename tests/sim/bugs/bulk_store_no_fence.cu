// bulk_store_no_fence.cu - ordinary writes, then a bulk store of them with no proxy fence between
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
        asm volatile("cp.async.bulk.global.shared::cta.bulk_group [%0], [%1], 128;"
                     ::"l"(out), "r"(window(s)) : "memory"); // BUG
        asm volatile("cp.async.bulk.commit_group;" ::: "memory");
        bulk_wait_read();
    }
}
