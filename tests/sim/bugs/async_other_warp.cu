// async_other_warp.cu - a warp reads what another one copied, without a barrier after the wait
// grid=1 block=64 expect="race"
__device__ unsigned window(const void *p)
{
    return (unsigned)__cvta_generic_to_shared(p);
}

extern "C" __global__ void k(const int *in, int *out, int n)
{
    __shared__ __align__(16) int s[128];
    int t = threadIdx.x;
    if (t < 32)
        asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(window(&s[t * 4])),
                     "l"(in + t * 4) : "memory");
    asm volatile("cp.async.wait_all;" ::: "memory");
#ifndef BUG
    __syncthreads();
#else
    if (t < 32) return;
#endif
    out[t] = s[t * 2]; // BUG
}
