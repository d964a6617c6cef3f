// unwritten_shared.cu - bins are not zeroed before they are counted into
// grid=1 block=64 expect="nobody wrote"
extern "C" __global__ void k(const int *in, int *out, int n)
{
    __shared__ int bins[64];
    int t = threadIdx.x;
#ifndef BUG
    bins[t] = 0;
    __syncthreads();
#endif
    atomicAdd(&bins[in[t] & 63], 1); // BUG
    __syncthreads();
    out[t] = 1;
}
