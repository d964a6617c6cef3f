// bulk.cu - kernels of test_bulk.c: bulk reductions to global memory, element by element.
// Every kernel is k(const unsigned *in, unsigned *out, int n), n words each.
typedef unsigned u32;
#define KERNEL(name) extern "C" __global__ void name(const u32 *in, u32 *out, int n)

#if __CUDA_ARCH__ >= 900
__device__ void reduce_fence()
{
    asm volatile("fence.proxy.async;" ::: "memory");
}

// 512 words of shared memory onto as many that are there, in two groups; `mask` keeps floats finite
#define REDUCE(name, operation, mask)                                                              \
    KERNEL(name)                                                                                   \
    {                                                                                              \
        __shared__ __align__(16) u32 s[512];                                                       \
        for (int i = threadIdx.x; i < 512; i += 64) {                                              \
            s[i] = in[i] & mask;                                                                   \
            out[i] = in[1024 + i] & mask;                                                          \
        }                                                                                          \
        reduce_fence();                                                                            \
        __syncthreads();                                                                           \
        for (int half = 0; threadIdx.x == 0 && half < 2; half++) {                                 \
            asm volatile("cp.reduce.async.bulk.global.shared::cta.bulk_group." operation           \
                         " [%0], [%1], 1024;" ::"l"(out + half * 256),                             \
                         "r"((u32)__cvta_generic_to_shared(s + half * 256)) : "memory");           \
            asm volatile("cp.async.bulk.commit_group;" ::: "memory");                              \
        }                                                                                          \
        if (threadIdx.x == 0) asm volatile("cp.async.bulk.wait_group 0;" ::: "memory");            \
        __syncthreads();                                                                           \
        for (int i = threadIdx.x; i < 512; i += 64) out[1024 + i] = ~out[i];                       \
    }
#else
#define REDUCE(name, operation, mask)                                                              \
    KERNEL(name)                                                                                   \
    {                                                                                              \
    }
#endif
REDUCE(add_u32, "add.u32", ~0u)
REDUCE(add_s32, "add.s32", ~0u)
REDUCE(add_u64, "add.u64", ~0u)
REDUCE(min_u32, "min.u32", ~0u)
REDUCE(max_u32, "max.u32", ~0u)
REDUCE(min_s32, "min.s32", ~0u)
REDUCE(max_s32, "max.s32", ~0u)
REDUCE(min_u64, "min.u64", ~0u)
REDUCE(max_s64, "max.s64", ~0u)
REDUCE(inc_u32, "inc.u32", ~0u)
REDUCE(dec_u32, "dec.u32", ~0u)
REDUCE(and_b32, "and.b32", ~0u)
REDUCE(or_b32, "or.b32", ~0u)
REDUCE(xor_b64, "xor.b64", ~0u)
REDUCE(add_f32, "add.f32", 0x81ffffffu) // small ones: subnormal numbers are flushed
REDUCE(add_f64, "add.f64", 0xbfffffffu)
REDUCE(add_f16, "add.noftz.f16", 0xbfffbfffu)
REDUCE(add_bf16, "add.noftz.bf16", 0xbfffbfffu)
REDUCE(min_f16, "min.f16", ~0u)
REDUCE(max_bf16, "max.bf16", ~0u)
