// wgmma_no_proxy_fence.cu - operands are written by ordinary stores, and no proxy fence follows
// grid=1 block=128 arch=90 expect="missing proxy fence"
#include "async.cuh"

extern "C" __global__ void k(const int *in, int *out, int n)
{
    __shared__ __align__(1024) int a[512], b[64];
    int t = threadIdx.x;
    float d[4] = {0, 0, 0, 0};
    for (int i = t; i < 512; i += 128) a[i] = 0x3f803f80;
    if (t < 64) b[t] = 0x3f803f80; // BUG
#ifndef BUG
    proxy_fence();
#endif
    __syncthreads();
    multiply_fence();
    asm volatile("wgmma.mma_async.sync.aligned.m64n8k16.f32.bf16.bf16 {%0, %1, %2, %3}, %4, "
                 "%5, 0, 1, 1, 0, 0;"
                 : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
                 : "l"(matrix(a)), "l"(matrix(b))); // BUG
    multiply_commit();
    multiply_wait();
    out[t] = (int)d[0];
}
