// cluster_bounds.cu - a load one word behind the shared memory of a peer
// grid=2 block=32 arch=90 cluster=2 expect="out of bounds"
#include "async.cuh"

extern "C" __global__ void k(const int *in, int *out, int n)
{
    __shared__ int s[32];
    int t = threadIdx.x, v;
    s[t] = in[t];
#ifdef BUG
    int *last = s + t + 1;
#else
    int *last = s + t;
#endif
    cluster_sync();
    asm volatile("ld.shared::cluster.s32 %0, [%1];"
                 : "=r"(v) : "r"(there(last, cluster_rank() ^ 1)) : "memory"); // BUG
    cluster_sync();
    out[blockIdx.x * 32 + t] = v;
}
