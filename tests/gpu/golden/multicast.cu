// multicast.cu - each block of a cluster fetches half of a stage for both; they give it back to one another
// block=64 cluster=2 smem=3072 out=8192 twin=1 in_map=64x64:64x8:128
__device__ void cluster_sync()
{
    asm volatile("barrier.cluster.arrive.release.aligned; barrier.cluster.wait.acquire.aligned;" ::: "memory");
}
__device__ void wait_cluster(unsigned barrier, int parity)
{
    asm volatile("{ .reg .pred done; again: mbarrier.try_wait.parity.acquire.cluster.shared::cta.b64 done, [%0], %1;"
                 " @!done bra again; }" ::"r"(barrier), "r"(parity) : "memory");
}
extern "C" __global__ void k(const __grid_constant__ arguments a)
{
    extern __shared__ __align__(1024) unsigned char s[]; // 16 rows
    __shared__ unsigned long long full, empty;
    unsigned rank, t = threadIdx.x;
    asm("mov.u32 %0, %%cluster_ctarank;" : "=r"(rank));
    if (t == 0) {
        asm volatile("prefetch.tensormap [%0];" ::"l"(&a.map[0]) : "memory");
        barrier_init(window(&full), 1);
        barrier_init(window(&empty), 2);
    }
    cluster_sync();
    for (int step = 0; step < 4; step++) {
        if (t == 0) {
            wait_cluster(window(&empty), step & 1 ^ 1);
            barrier_expect(window(&full), 2048);
            asm volatile("cp.async.bulk.tensor.2d.shared::cluster.global.tile.mbarrier::complete_tx::bytes.multicast::cluster [%0], [%1, {%2, %3}], [%4], %5;"
                         ::"r"(window(s + rank * 1024)), "l"(&a.map[0]), "r"(0), "r"(step * 16 + (int)rank * 8), "r"(window(&full)), "h"((unsigned short)3) : "memory");
        }
        barrier_wait(window(&full), step & 1);
        for (int i = t; i < 512; i += 64) {
            unsigned at = rank * 2048 + step * 512 + i;
            a.out[at] = *(const unsigned *)(s + swizzle(i * 4, 128));
            a.out[4096 + at] = a.in[step * 512 + i];
        }
        __syncthreads();
        if (t < 2)
            asm volatile("{ .reg .b32 there; mapa.shared::cluster.u32 there, %0, %1;"
                         " mbarrier.arrive.release.cluster.shared::cluster.b64 _, [there]; }"
                         ::"r"(window(&empty)), "r"(t) : "memory");
    }
    cluster_sync(); // the other block may still arrive here
}
