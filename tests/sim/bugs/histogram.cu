// histogram.cu - a histogram counts without atomics
// grid=1 block=64 expect="race"
extern "C" __global__ void k(const int *in, int *out, int n)
{
    __shared__ int bins[16];
    int t = threadIdx.x;
    if (t < 16) bins[t] = 0;
    __syncthreads();
#ifdef BUG
    bins[in[t] & 15]++; // BUG
#else
    atomicAdd(&bins[in[t] & 15], 1);
#endif
    __syncthreads();
    if (t < 16) out[t] = bins[t];
}
