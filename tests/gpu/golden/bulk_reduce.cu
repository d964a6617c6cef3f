// bulk_reduce.cu - bulk reductions without a tensor: f32 and bf16 sums, integer minimum, bits
// block=64 smem=2048 out=1024 twin=1 data=bf16
#define REDUCE(type, at) \
    asm volatile("cp.reduce.async.bulk.global.shared::cta.bulk_group." type " [%0], [%1], 512;" \
                 ::"l"(a.out + at), "r"(window(s + at)) : "memory")
__device__ unsigned pair_sum(unsigned x, unsigned y)
{
    // eighths of at most 4 in magnitude are bf16 numbers: the upper half is the sum
    unsigned low = __float_as_uint(bf16(x) + bf16(y)) >> 16, high = __float_as_uint(bf16(x >> 16) + bf16(y >> 16)) >> 16;
    return low | high << 16;
}
extern "C" __global__ void k(const __grid_constant__ arguments a)
{
    extern __shared__ __align__(128) unsigned s[];
    for (int i = threadIdx.x; i < 512; i += 64) {
        bool floats = i < 128;
        s[i] = floats ? a.in[i] << 16 : a.in[i];
        a.out[i] = floats ? a.in[512 + i] << 16 : a.in[512 + i];
    }
    asm volatile("fence.proxy.async;" ::: "memory");
    __syncthreads();
    if (threadIdx.x == 0) {
        REDUCE("add.f32", 0);
        REDUCE("add.noftz.bf16", 128);
        REDUCE("min.s32", 256);
        REDUCE("xor.b32", 384);
        asm volatile("cp.async.bulk.commit_group;" ::: "memory");
        asm volatile("cp.async.bulk.wait_group 0;" ::: "memory");
    }
    for (int i = threadIdx.x; i < 128; i += 64) {
        float sum = __uint_as_float(a.in[i] << 16) + __uint_as_float(a.in[512 + i] << 16);
        int x = a.in[256 + i], y = a.in[768 + i];
        a.out[512 + i] = __float_as_uint(sum);
        a.out[640 + i] = pair_sum(a.in[128 + i], a.in[640 + i]);
        a.out[768 + i] = x < y ? x : y;
        a.out[896 + i] = a.in[384 + i] ^ a.in[896 + i];
    }
}
