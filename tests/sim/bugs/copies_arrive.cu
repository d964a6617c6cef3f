// copies_arrive.cu - gathered copies arrive at an mbarrier by themselves; nobody waits for it
// grid=1 block=64 arch=90 expect="missing wait"
#include "async.cuh"

extern "C" __global__ void k(const int *in, int *out, int n)
{
    __shared__ __align__(128) int s[128];
    __shared__ unsigned long long full;
    int t = threadIdx.x;
    if (t == 0) barrier_init(&full, 32);
    __syncthreads();
    if (t < 32) {
        asm volatile("cp.async.cg.shared.global [%0], [%1], 16;"
                     ::"r"(window(s + 4 * t)), "l"(in + 4 * t) : "memory"); // BUG
        asm volatile("cp.async.mbarrier.arrive.noinc.shared::cta.b64 [%0];"
                     ::"r"(window(&full)) : "memory");
#ifdef BUG
        barrier_wait(&full, 1);
#else
    } else {
        barrier_wait(&full, 0);
    }
    if (t >= 32) {
#endif
        out[t % 32] = s[2 * (t % 32) + 1]; // BUG
    }
}
