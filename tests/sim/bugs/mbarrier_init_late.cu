// mbarrier_init_late.cu - another warp arrives with no barrier since the initialisation
// grid=1 block=64 arch=90 expect="mbarrier misuse"
#include "async.cuh"

extern "C" __global__ void k(const int *in, int *out, int n)
{
    __shared__ unsigned long long ready;
    int t = threadIdx.x;
    if (t == 0)
        asm volatile("mbarrier.init.shared::cta.b64 [%0], 33;"
                     ::"r"(window(&ready)) : "memory"); // BUG
#ifndef BUG
    __syncthreads();
#endif
    if (t >= 32)
        asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];"
                     ::"r"(window(&ready)) : "memory"); // BUG
    if (t == 0) {
        barrier_arrive(&ready);
        barrier_wait(&ready, 0);
        out[0] = 1;
    }
}
