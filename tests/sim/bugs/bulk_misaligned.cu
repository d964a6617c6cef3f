// bulk_misaligned.cu - a bulk store to an address that is no multiple of 16
// grid=1 block=32 arch=90 expect="misaligned access"
#include "async.cuh"

extern "C" __global__ void k(const int *in, int *out, int n)
{
    __shared__ __align__(128) int s[32];
    int t = threadIdx.x;
    s[t] = in[t];
    proxy_fence();
    __syncthreads();
#ifdef BUG
    int *to = out + 2;
#else
    int *to = out + 4;
#endif
    if (t == 0) {
        asm volatile("cp.async.bulk.global.shared::cta.bulk_group [%0], [%1], 64;"
                     ::"l"(to), "r"(window(s)) : "memory"); // BUG
        bulk_commit();
        bulk_wait_read();
    }
}
