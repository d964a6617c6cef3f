// async_one_tile_more.cu - a copy loop runs one tile past the end of its input
// grid=1 block=32 expect="out of bounds"
__device__ unsigned window(const void *p)
{
    return (unsigned)__cvta_generic_to_shared(p);
}

extern "C" __global__ void k(const int *in, int *out, int n)
{
    __shared__ __align__(16) int s[128];
    int t = threadIdx.x;
#ifdef BUG
    const int tiles = 2;
#else
    const int tiles = 1;
#endif
    for (int i = 0; i < tiles; i++) {
        const int *from = in + i * 128 + t * 4;
        asm volatile("cp.async.cg.shared.global [%0], [%1], 16;"
                     ::"r"(window(&s[t * 4])), "l"(from) : "memory"); // BUG
        asm volatile("cp.async.wait_all;" ::: "memory");
        __syncthreads();
    }
    out[t] = s[t];
}
