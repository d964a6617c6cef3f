// cluster_store_not_seen.cu - a peer's stores are read, its mbarrier not waited for
// grid=2 block=32 arch=90 cluster=2 expect="race"
#include "async.cuh"

extern "C" __global__ void k(const int *in, int *out, int n)
{
    __shared__ int s[32];
    __shared__ unsigned long long full;
    int t = threadIdx.x;
    unsigned peer = cluster_rank() ^ 1;
    s[t] = 0;
    if (t == 0) {
        barrier_init(&full, 32);
        asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
    }
    cluster_sync();
    asm volatile("st.shared::cluster.s32 [%0], %1;"
                 ::"r"(there(s + t, peer)), "r"(in[blockIdx.x * 32 + t]) : "memory"); // BUG
    asm volatile("mbarrier.arrive.release.cluster.shared::cluster.b64 _, [%0];"
                 ::"r"(there(&full, peer)) : "memory");
#ifndef BUG
    barrier_wait(&full, 0);
#endif
    out[blockIdx.x * 32 + t] = s[t]; // BUG
    cluster_sync();
}
