// cluster_shared.cu - blocks of a cluster load, store and add in one another's shared memory, by both kinds of addresses
// block=64 cluster=2 out=768 twin=1
__device__ void cluster_sync()
{
    asm volatile("barrier.cluster.arrive.release.aligned; barrier.cluster.wait.acquire.aligned;" ::: "memory");
}
extern "C" __global__ void k(const __grid_constant__ arguments a)
{
    __shared__ unsigned s[64], stored[64], sum;
    unsigned rank, t = threadIdx.x, at, v, owner, old;
    asm("mov.u32 %0, %%cluster_ctarank;" : "=r"(rank));
    unsigned peer = rank ^ 1;
    s[t] = a.in[rank * 64 + t];
    if (t == 0) sum = rank;
    cluster_sync();
    asm("mapa.shared::cluster.u32 %0, %1, %2;" : "=r"(at) : "r"(window(s + t)), "r"(peer));
    asm("getctarank.shared::cluster.u32 %0, %1;" : "=r"(owner) : "r"(at));
    asm volatile("ld.shared::cluster.u32 %0, [%1];" : "=r"(v) : "r"(at) : "memory");
    unsigned long long generic;
    asm("mapa.u64 %0, %1, %2;" : "=l"(generic) : "l"(stored + t), "r"(peer));
    *(unsigned *)generic = a.in[rank * 64 + t] + 1;
    asm("mapa.shared::cluster.u32 %0, %1, %2;" : "=r"(at) : "r"(window(&sum)), "r"(peer));
    asm volatile("atom.shared::cluster.add.u32 %0, [%1], %2;" : "=r"(old) : "r"(at), "r"(t) : "memory");
    cluster_sync();
    unsigned *out = a.out + rank * 192;
    out[t] = v;
    out[64 + t] = stored[t];
    out[128 + t] = sum << 8 | owner;
    out[384 + t] = a.in[peer * 64 + t];
    out[448 + t] = a.in[peer * 64 + t] + 1;
    out[512 + t] = (rank + 2016) << 8 | peer;
    (void)old;
}
