// mbarrier_too_many.cu - more arrivals than the phase expects while bytes are outstanding
// grid=1 block=32 arch=90 expect="mbarrier misuse"
#include "async.cuh"

extern "C" __global__ void k(const int *in, int *out, int n)
{
    __shared__ __align__(128) int s[32];
    __shared__ unsigned long long full;
    int t = threadIdx.x;
    if (t == 0) {
        asm volatile("mbarrier.init.shared::cta.b64 [%0], 1;"
                     ::"r"(window(&full)) : "memory"); // BUG
        barrier_expect(&full, 128);
        bulk_load(s, in, 128, &full);
#ifdef BUG
        asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];"
                     ::"r"(window(&full)) : "memory"); // BUG
#endif
    }
    __syncthreads();
    barrier_wait(&full, 0);
    out[t] = s[t];
}
