// barrier_divergent.cu - __syncthreads in a branch that half of a warp takes
// grid=1 block=64 expect="divergent barrier"
extern "C" __global__ void k(const int *in, int *out, int n)
{
    __shared__ int s[64];
    int t = threadIdx.x;
    s[t] = in[t];
#ifdef BUG
    if (t & 1) __syncthreads(); // BUG
#else
    __syncthreads();
#endif
    out[t] = s[t];
}
