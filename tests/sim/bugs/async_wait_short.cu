// async_wait_short.cu - wait_group leaves one group too many in flight
// grid=1 block=32 expect="missing wait"
__device__ unsigned window(const void *p)
{
    return (unsigned)__cvta_generic_to_shared(p);
}

extern "C" __global__ void k(const int *in, int *out, int n)
{
    __shared__ __align__(16) int s[3][64];
    int t = threadIdx.x, sum = 0;
    for (int i = 0; i < 3; i++) {
        if (t < 16)
            asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(window(&s[i][t * 4])),
                         "l"(in + (i & 1) * 64 + t * 4) : "memory");
        asm volatile("cp.async.commit_group;" ::: "memory");
    }
#ifdef BUG
    asm volatile("cp.async.wait_group 2;" ::: "memory");
#else
    asm volatile("cp.async.wait_group 1;" ::: "memory");
#endif
    __syncthreads();
    for (int i = 0; i < 2; i++) sum += s[i][t]; // BUG
    asm volatile("cp.async.wait_all;" ::: "memory");
    out[t] = sum;
}
