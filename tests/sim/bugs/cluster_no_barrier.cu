// cluster_no_barrier.cu - a block changes its shared memory while its peer reads it
// grid=2 block=32 arch=90 cluster=2 expect="race"
#include "async.cuh"

extern "C" __global__ void k(const int *in, int *out, int n)
{
    __shared__ int s[32];
    int t = threadIdx.x, v;
    s[t] = in[blockIdx.x * 32 + t];
    cluster_sync();
    asm volatile("ld.shared::cluster.s32 %0, [%1];"
                 : "=r"(v) : "r"(there(s + t, cluster_rank() ^ 1)) : "memory"); // BUG
#ifndef BUG
    cluster_sync();
#endif
    s[t] = v + 1; // BUG
    cluster_sync();
    out[blockIdx.x * 32 + t] = s[t];
}
