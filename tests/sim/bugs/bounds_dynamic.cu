// bounds_dynamic.cu - dynamic shared memory is used past what the launch asked for
// grid=1 block=64 smem=256 expect="out of bounds"
extern "C" __global__ void k(const int *in, int *out, int n)
{
    extern __shared__ int s[];
    int t = threadIdx.x;
#ifdef BUG
    s[2 * t] = in[t]; // BUG
#else
    s[t] = in[t];
#endif
    __syncthreads();
    out[t] = t < 2 ? s[0] : 0;
}
