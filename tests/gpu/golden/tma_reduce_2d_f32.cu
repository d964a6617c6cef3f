// tma_reduce_2d_f32.cu - a swizzled box of f32 added where it leaves the tensor on two sides
// block=128 smem=3072 out=1560 twin=1 data=f32 out_map=52x15:32x16:128
extern "C" __global__ void k(const __grid_constant__ arguments a)
{
    extern __shared__ __align__(1024) unsigned char s[];
    for (int i = threadIdx.x; i < 512; i += 128) *(unsigned *)(s + swizzle(i * 4, 128)) = a.in[i];
    for (int i = threadIdx.x; i < 780; i += 128) a.out[i] = a.in[512 + i];
    asm volatile("fence.proxy.async;" ::: "memory");
    __syncthreads();
    if (threadIdx.x == 0) {
        asm volatile("cp.reduce.async.bulk.tensor.2d.global.shared::cta.add.tile.bulk_group [%0, {%1, %2}], [%3];"
                     ::"l"(&a.map[1]), "r"(36), "r"(5), "r"(window(s)) : "memory");
        asm volatile("cp.async.bulk.commit_group;" ::: "memory");
        asm volatile("cp.async.bulk.wait_group 0;" ::: "memory");
    }
    for (int i = threadIdx.x; i < 780; i += 128) {
        int x = i % 52 - 36, y = i / 52 - 5;
        float sum = __uint_as_float(a.in[512 + i]);
        if (x >= 0 && y >= 0) sum += __uint_as_float(a.in[y * 32 + x]);
        a.out[780 + i] = __float_as_uint(sum);
    }
}
