// bulk_no_wait.cu - a bulk copy is read before its mbarrier was waited for
// grid=1 block=32 arch=90 expect="missing wait"
#include "async.cuh"

extern "C" __global__ void k(const int *in, int *out, int n)
{
    __shared__ __align__(128) int s[32];
    __shared__ unsigned long long full;
    int t = threadIdx.x;
    if (t == 0) {
        barrier_init(&full, 1);
        barrier_expect(&full, 128);
        bulk_load(s, in, 128, &full); // BUG
    }
    __syncthreads();
#ifndef BUG
    barrier_wait(&full, 0);
#endif
    out[t] = s[t]; // BUG
#ifdef BUG
    barrier_wait(&full, 0);
#endif
}
