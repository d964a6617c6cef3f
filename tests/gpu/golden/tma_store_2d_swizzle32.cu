// tma_store_2d_swizzle32.cu - a box stored where it leaves the tensor on two sides: it is clipped; swizzled by 32 bytes
// block=128 smem=3072 out=2080 twin=1 out_map=104x20:16x16:32
extern "C" __global__ void k(const __grid_constant__ arguments a)
{
    extern __shared__ __align__(1024) unsigned char s[];
    const int W = 16, X = (104 - W / 2) / 8 * 8, Y = 10; // boxes begin at 16 bytes, not below 0
    for (int i = threadIdx.x; i < W * 8; i += 128) *(unsigned *)(s + swizzle(i * 4, 32)) = a.in[i];
    proxy_fence();
    __syncthreads();
    if (threadIdx.x == 0) {
        asm volatile("cp.async.bulk.tensor.2d.global.shared::cta.tile.bulk_group [%0, {%1, %2}], [%3];"
                     ::"l"(&a.map[1]), "r"(X), "r"(Y), "r"(window(s)) : "memory");
        asm volatile("cp.async.bulk.commit_group;" ::: "memory");
        asm volatile("cp.async.bulk.wait_group.read 0;" ::: "memory");
    }
    for (int i = threadIdx.x; i < 1040; i += 128) {
        int x = 2 * i % 104 - X, y = 2 * i / 104 - Y;
        a.out[1040 + i] = x >= 0 && y >= 0 ? a.in[(y * W + x) / 2] : 0;
    }
}
