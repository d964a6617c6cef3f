// tma_store_2d_swizzle128.cu - a swizzled box stored where it leaves the tensor on two sides: it is clipped
// block=128 smem=3072 out=2080 twin=1 out_map=104x20:64x16:128
extern "C" __global__ void k(const __grid_constant__ arguments a)
{
    extern __shared__ __align__(1024) unsigned char s[];
    for (int i = threadIdx.x; i < 512; i += 128) *(unsigned *)(s + swizzle(i * 4, 128)) = a.in[i];
    proxy_fence();
    __syncthreads();
    if (threadIdx.x == 0) {
        asm volatile("cp.async.bulk.tensor.2d.global.shared::cta.tile.bulk_group [%0, {%1, %2}], [%3];"
                     ::"l"(&a.map[1]), "r"(72), "r"(10), "r"(window(s)) : "memory");
        asm volatile("cp.async.bulk.commit_group;" ::: "memory");
        asm volatile("cp.async.bulk.wait_group 0;" ::: "memory");
    }
    for (int i = threadIdx.x; i < 1040; i += 128) {
        int x = 2 * i % 104 - 72, y = 2 * i / 104 - 10;
        a.out[1040 + i] = x >= 0 && y >= 0 ? a.in[y * 32 + x / 2] : 0;
    }
}
