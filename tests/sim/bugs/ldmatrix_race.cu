// ldmatrix_race.cu - ldmatrix reads a tile before the barrier
// grid=1 block=64 expect="race"
__device__ unsigned window(const void *p)
{
    return (unsigned)__cvta_generic_to_shared(p);
}

extern "C" __global__ void k(const int *in, int *out, int n)
{
    __shared__ __align__(16) int s[128];
    int t = threadIdx.x, r;
    s[t] = in[t]; // BUG
    s[t + 64] = in[t];
#ifndef BUG
    __syncthreads();
#endif
    unsigned at = window(s + (t ^ 32) % 32 * 4);
    asm volatile("ldmatrix.sync.aligned.m8n8.x1.shared.b16 {%0}, [%1];"
                 : "=r"(r) : "r"(at) : "memory"); // BUG
    out[t] = r;
}
