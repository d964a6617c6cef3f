// bulk_store_at_end.cu - the block ends while a bulk store may still read its shared memory
// grid=1 block=32 arch=90 expect="missing wait"
#include "async.cuh"

extern "C" __global__ void k(const int *in, int *out, int n)
{
    __shared__ __align__(128) int s[32];
    int t = threadIdx.x;
    s[t] = in[t] + 1;
    proxy_fence();
    __syncthreads();
    if (t == 0) {
        asm volatile("cp.async.bulk.global.shared::cta.bulk_group [%0], [%1], 128;"
                     ::"l"(out), "r"(window(s)) : "memory"); // BUG
        asm volatile("cp.async.bulk.commit_group;" ::: "memory");
#ifndef BUG
        bulk_wait_read();
#endif
    }
}
