// wgmma_factor_changed.cu - a factor in registers is changed for the next product under this one
// grid=1 block=128 arch=90 expect="matrix operation misuse"
#include "async.cuh"

extern "C" __global__ void k(const int *in, int *out, int n)
{
    __shared__ __align__(1024) int b[64];
    int t = threadIdx.x;
    float d[4] = {0, 0, 0, 0};
    unsigned left = 0x3f803f80;
    if (t < 64) b[t] = 0x3f803f80;
    proxy_fence();
    __syncthreads();
    for (int i = 0; i < 2; i++) {
        multiply_fence();
        asm volatile("wgmma.mma_async.sync.aligned.m64n8k16.f32.bf16.bf16 {%0, %1, %2, %3}, "
                     "{%4, %4, %4, %4}, %5, 1, 1, 1, 0;"
                     : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
                     : "r"(left), "l"(matrix(b))); // BUG
        multiply_commit();
#ifndef BUG
        multiply_wait();
#endif
        asm volatile("add.u32 %0, %0, 0x00800080;" : "+r"(left)); // BUG
    }
    multiply_wait();
    out[t] = (int)d[0];
}
