// race_waw.cu - two warps store different values to one word
// grid=1 block=64 expect="race"
extern "C" __global__ void k(const int *in, int *out, int n)
{
    __shared__ int s[32];
    int t = threadIdx.x;
#ifdef BUG
    s[t & 31] = in[t]; // BUG
#else
    if (t < 32) s[t] = in[t];
#endif
    __syncthreads();
    out[t] = s[t & 31] != 0;
}
