// tma_reduce_3d_bf16.cu - boxes of bf16 in three dimensions: one added, one kept where it is larger
// block=128 smem=3072 out=1536 twin=1 data=bf16 out_map=24x8x8:16x4x4:32
extern "C" __global__ void k(const __grid_constant__ arguments a)
{
    extern __shared__ __align__(1024) unsigned char s[];
    const unsigned short *in = (const unsigned short *)a.in, *there = in + 1024;
    unsigned short *want = (unsigned short *)(a.out + 768);
    for (int i = threadIdx.x; i < 256; i += 128) *(unsigned *)(s + swizzle(i * 4, 32)) = a.in[i];
    for (int i = threadIdx.x; i < 768; i += 128) a.out[i] = a.out[768 + i] = a.in[512 + i];
    asm volatile("fence.proxy.async;" ::: "memory");
    __syncthreads();
    if (threadIdx.x == 0) {
        asm volatile("cp.reduce.async.bulk.tensor.3d.global.shared::cta.add.tile.bulk_group [%0, {%1, %2, %3}], [%4];"
                     ::"l"(&a.map[1]), "r"(16), "r"(6), "r"(1), "r"(window(s)) : "memory");
        asm volatile("cp.reduce.async.bulk.tensor.3d.global.shared::cta.max.tile.bulk_group [%0, {%1, %2, %3}], [%4];"
                     ::"l"(&a.map[1]), "r"(16), "r"(0), "r"(6), "r"(window(s + 512)) : "memory");
        asm volatile("cp.async.bulk.commit_group;" ::: "memory");
        asm volatile("cp.async.bulk.wait_group 0;" ::: "memory");
    }
    for (int i = threadIdx.x; i < 256; i += 128) {
        int x = i % 16, y = i / 16 % 4, z = i / 64;
        int added = x + 16 + (y + 6) * 24 + (z + 1) * 192, kept = x + 16 + y * 24 + (z + 6) * 192;
        float other = bf16(in[256 + i]);
        if (x < 8 && y < 2) want[added] = __float_as_uint(bf16(there[added]) + bf16(in[i])) >> 16;
        if (x < 8 && z < 2 && other > bf16(there[kept])) want[kept] = in[256 + i];
    }
}
