// bounds_shared.cu - one word past the end of shared memory
// grid=1 block=64 expect="out of bounds"
extern "C" __global__ void k(const int *in, int *out, int n)
{
    __shared__ int s[64];
    int t = threadIdx.x;
#ifdef BUG
    s[t + 1] = in[t]; // BUG
#else
    s[t] = in[t];
#endif
    __syncthreads();
    out[t] = t ? s[t] : 0;
}
