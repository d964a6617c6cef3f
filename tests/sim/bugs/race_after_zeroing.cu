// race_after_zeroing.cu - bins are counted into before all of them are zeroed
// grid=1 block=128 expect="race"
extern "C" __global__ void k(const int *in, int *out, int n)
{
    __shared__ int bins[128];
    int t = threadIdx.x;
    bins[t] = 0; // BUG
#ifndef BUG
    __syncthreads();
#endif
    atomicAdd(&bins[in[t] & 127], 1); // BUG
    __syncthreads();
    out[t] = bins[t];
}
