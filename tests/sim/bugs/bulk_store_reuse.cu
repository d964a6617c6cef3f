// bulk_store_reuse.cu - the source of a bulk store is written again before it was read
// grid=1 block=32 arch=90 expect="missing wait"
#include "async.cuh"

extern "C" __global__ void k(const int *in, int *out, int n)
{
    __shared__ __align__(128) int s[32];
    int t = threadIdx.x;
    for (int i = 0; i < 2; i++) {
        s[t] = in[t] + i;
        proxy_fence();
        __syncthreads();
        if (t == 0) {
            asm volatile("cp.async.bulk.global.shared::cta.bulk_group [%0], [%1], 128;"
                         ::"l"(out + 32 * i), "r"(window(s)) : "memory"); // BUG
            asm volatile("cp.async.bulk.commit_group;" ::: "memory");
#ifndef BUG
            bulk_wait_read();
#endif
        }
        __syncthreads();
    }
    if (t == 0) bulk_wait_read();
}
