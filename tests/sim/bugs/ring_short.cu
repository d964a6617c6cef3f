// ring_short.cu - a ring one stage too small: the copy lands in the tile that others still read
// grid=1 block=64 expect="race"
__device__ unsigned window(const void *p)
{
    return (unsigned)__cvta_generic_to_shared(p);
}

extern "C" __global__ void k(const int *in, int *out, int n)
{
#ifdef BUG
    const int stages = 2;
#else
    const int stages = 3;
#endif
    __shared__ __align__(16) int s[3][64];
    int t = threadIdx.x, sum = 0;
    for (int i = 0; i < 2; i++) {
        if (t < 16)
            asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(window(&s[i][t * 4])),
                         "l"(in + (i & 1) * 64 + t * 4) : "memory");
        asm volatile("cp.async.commit_group;" ::: "memory");
    }
    for (int i = 0; i < 6; i++) {
        asm volatile("cp.async.wait_group 1;" ::: "memory");
        __syncthreads();
        sum = sum * 3 + s[i % stages][63 - t]; // BUG
        if (i < 4 && t < 16)
            asm volatile("cp.async.cg.shared.global [%0], [%1], 16;"
                         ::"r"(window(&s[(i + 2) % stages][t * 4])), "l"(in + (i & 1) * 64 + t * 4)
                         : "memory");
        asm volatile("cp.async.commit_group;" ::: "memory");
    }
    out[t] = sum;
}
