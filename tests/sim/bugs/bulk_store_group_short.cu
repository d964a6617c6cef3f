// bulk_store_group_short.cu - two groups of bulk stores, and the wait leaves the one that is needed
// grid=1 block=32 arch=90 expect="missing wait"
#include "async.cuh"

extern "C" __global__ void k(const int *in, int *out, int n)
{
    __shared__ __align__(128) int s[2][32];
    int t = threadIdx.x;
    s[0][t] = in[t] + 1;
    s[1][t] = in[t] + 2;
    proxy_fence();
    __syncthreads();
    if (t == 0) {
        for (int i = 0; i < 2; i++) {
            asm volatile("cp.async.bulk.global.shared::cta.bulk_group [%0], [%1], 128;"
                         ::"l"(out + 32 * i), "r"(window(s[i])) : "memory"); // BUG
            bulk_commit();
        }
        asm volatile("cp.async.bulk.wait_group.read 1;" ::: "memory");
    }
    __syncthreads();
#ifdef BUG
    s[1][t] = 0;
#else
    s[0][t] = 0;
#endif
    proxy_fence();
    __syncthreads();
    if (t == 0) bulk_wait_read(); // BUG
}
