// wgmma_half_group.cu - two warps of a warpgroup come to the product
// grid=1 block=128 arch=90 expect="deadlock"
#include "async.cuh"

extern "C" __global__ void k(const int *in, int *out, int n)
{
    __shared__ __align__(1024) int a[512], b[64];
    int t = threadIdx.x;
    float d[4] = {0, 0, 0, 0};
    for (int i = t; i < 512; i += 128) a[i] = 0x3f803f80;
    if (t < 64) b[t] = 0x3f803f80;
    proxy_fence();
    __syncthreads();
#ifdef BUG
    if (t >= 64) return;
#endif
    multiply_fence();
    multiply(d, a, b);
    multiply_commit();
    asm volatile("wgmma.wait_group.sync.aligned 0;" ::: "memory"); // BUG
    out[t] = (int)d[0];
}
