// tma_store_3d.cu - boxes of three dimensions, one of which leaves the tensor in all of them; each thread waits for its own group
// block=128 smem=5120 out=1920 twin=1 out_map=40x6x8:32x4x4:64
extern "C" __global__ void k(const __grid_constant__ arguments a)
{
    extern __shared__ __align__(1024) unsigned char s[];
    for (int i = threadIdx.x; i < 512; i += 128) *(unsigned *)(s + swizzle(i * 4, 64)) = a.in[i];
    proxy_fence();
    __syncthreads();
    if (threadIdx.x % 64 == 0) {
        int last = threadIdx.x / 64; // the upper half of the depth is stored by another thread
        asm volatile("cp.async.bulk.tensor.3d.global.shared::cta.tile.bulk_group [%0, {%1, %2, %3}], [%4];"
                     ::"l"(&a.map[1]), "r"(last ? 24 : 16), "r"(last ? 3 : 0), "r"(last ? 5 : 1), "r"(window(s + last * 1024)) : "memory");
        asm volatile("cp.async.bulk.commit_group;" ::: "memory");
        asm volatile("cp.async.bulk.wait_group 0;" ::: "memory");
    }
    for (int i = threadIdx.x; i < 960; i += 128) {
        int x = 2 * i % 40, y = 2 * i / 40 % 6, z = 2 * i / 240;
        unsigned want = 0;
        if (x >= 16 && y < 4 && z >= 1 && z < 5) want = a.in[(z - 1) * 64 + y * 16 + (x - 16) / 2];
        if (x >= 24 && y >= 3 && z >= 5) want = a.in[256 + (z - 5) * 64 + (y - 3) * 16 + (x - 24) / 2];
        a.out[960 + i] = want;
    }
}
