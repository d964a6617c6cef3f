// race_raw.cu - shared memory is read before the barrier that makes it visible
// grid=1 block=64 expect="race"
extern "C" __global__ void k(const int *in, int *out, int n)
{
    __shared__ int s[64];
    int t = threadIdx.x;
    s[t] = in[t]; // BUG
#ifndef BUG
    __syncthreads();
#endif
    out[t] = s[63 - t]; // BUG
}
