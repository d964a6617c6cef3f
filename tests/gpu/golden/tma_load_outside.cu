// tma_load_outside.cu - boxes that lie outside of the tensor are zeros and count with all their bytes
// block=128 smem=5120 out=2048 twin=1 in_map=64x16:64x8:128
extern "C" __global__ void k(const __grid_constant__ arguments a)
{
    extern __shared__ __align__(1024) unsigned char s[];
    __shared__ unsigned long long full;
    for (int i = threadIdx.x; i < 1024; i += 128) *(unsigned *)(s + i * 4) = ~0u;
    proxy_fence();
    __syncthreads();
    if (threadIdx.x == 0) {
        const int x[4] = {0, 64, 0, -64}, y[4] = {16, 0, -8, 1 << 20};
        barrier_init(window(&full), 1);
        barrier_expect(window(&full), 4096);
        for (int i = 0; i < 4; i++)
            asm volatile("cp.async.bulk.tensor.2d.shared::cluster.global.tile.mbarrier::complete_tx::bytes [%0], [%1, {%2, %3}], [%4];"
                         ::"r"(window(s + i * 1024)), "l"(&a.map[0]), "r"(x[i]), "r"(y[i]), "r"(window(&full)) : "memory");
    }
    __syncthreads();
    barrier_wait(window(&full), 0);
    for (int i = threadIdx.x; i < 1024; i += 128) {
        a.out[i] = *(const unsigned *)(s + i * 4);
        a.out[1024 + i] = 0;
    }
}
