// async_no_wait.cu - cp.async data is read without waiting for it
// grid=1 block=32 expect="missing wait"
__device__ unsigned window(const void *p)
{
    return (unsigned)__cvta_generic_to_shared(p);
}

extern "C" __global__ void k(const int *in, int *out, int n)
{
    __shared__ __align__(16) int s[128];
    int t = threadIdx.x;
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(window(&s[t * 4])),
                 "l"(in + t * 4) : "memory");
    asm volatile("cp.async.commit_group;" ::: "memory");
#ifndef BUG
    asm volatile("cp.async.wait_group 0;" ::: "memory");
#endif
    __syncthreads();
    out[t] = s[t * 4]; // BUG
}
