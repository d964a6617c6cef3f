// race_before_total.cu - a total is read while other warps still add to it
// grid=1 block=96 expect="race"
extern "C" __global__ void k(const int *in, int *out, int n)
{
    __shared__ int total;
    int t = threadIdx.x;
    if (t == 0) total = 0;
    __syncthreads();
    atomicAdd(&total, in[t]); // BUG
#ifndef BUG
    __syncthreads();
#endif
    out[t] = total; // BUG
}
