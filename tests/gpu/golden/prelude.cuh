// prelude.cuh - what the micro-tests share: arguments and conversions by ordinary instructions.
struct __align__(128) tensor_map { unsigned long long opaque[16]; };
struct arguments { tensor_map map[2]; const unsigned *in; unsigned *out; };

__device__ unsigned window(const void *p) { return (unsigned)__cvta_generic_to_shared(p); }
__device__ float bf16(unsigned short v) { return __uint_as_float((unsigned)v << 16); }
__device__ float f16(unsigned short v)
{
    float out;
    asm("cvt.f32.f16 %0, %1;" : "=f"(out) : "h"(v));
    return out;
}
__device__ void barrier_init(unsigned barrier, int arrivals)
{
    asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(barrier), "r"(arrivals) : "memory");
    asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
}
__device__ void barrier_expect(unsigned barrier, int bytes)
{
    asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(barrier), "r"(bytes) : "memory");
}
__device__ void barrier_wait(unsigned barrier, int parity)
{
    asm volatile("{ .reg .pred done; again: mbarrier.try_wait.parity.shared::cta.b64 done, [%0], %1;"
                 " @!done bra again; }" ::"r"(barrier), "r"(parity) : "memory");
}
__device__ void proxy_fence() { asm volatile("fence.proxy.async.shared::cta;" ::: "memory"); }
__device__ int swizzle(int address, int bytes)
{
    int mask = bytes ? bytes / 16 - 1 : 0;
    return address ^ (address >> 7 & mask) << 4;
}
