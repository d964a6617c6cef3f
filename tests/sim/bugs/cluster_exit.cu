// cluster_exit.cu - a block may end while its peer still reads its shared memory
// grid=2 block=32 arch=90 cluster=2 expect="missing wait"
#include "async.cuh"

extern "C" __global__ void k(const int *in, int *out, int n)
{
    __shared__ int s[32];
    int t = threadIdx.x, v = 0;
    s[t] = in[blockIdx.x * 32 + t];
    cluster_sync();
    asm volatile("ld.shared::cluster.s32 %0, [%1];"
                 : "=r"(v) : "r"(there(s + t, cluster_rank() ^ 1)) : "memory"); // BUG
#ifndef BUG
    cluster_sync();
#endif
    out[blockIdx.x * 32 + t] = v;
}
