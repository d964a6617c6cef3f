// race_war.cu - a value is overwritten while another warp may still read it
// grid=1 block=64 expect="race"
extern "C" __global__ void k(const int *in, int *out, int n)
{
    __shared__ int s[64];
    int t = threadIdx.x;
    s[t] = in[t];
    __syncthreads();
    int x = s[63 - t]; // BUG
#ifndef BUG
    __syncthreads();
#endif
    s[t] = x + 1; // BUG
    __syncthreads();
    out[t] = s[t ^ 32];
}
