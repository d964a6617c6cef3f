// barrier_branches.cu - two halves of a warp come to two different __syncthreads
// grid=1 block=64 expect="divergent barrier"
extern "C" __global__ void k(const int *in, int *out, int n)
{
    __shared__ int s[64];
    int t = threadIdx.x;
    s[t] = in[t];
#ifdef BUG
    if (t & 1) {
        s[t] += 1;
        __syncthreads(); // BUG
    } else {
        s[t] += 2;
        __syncthreads(); // BUG
    }
#else
    s[t] += t & 1 ? 1 : 2;
    __syncthreads();
#endif
    out[t] = s[63 - t];
}
