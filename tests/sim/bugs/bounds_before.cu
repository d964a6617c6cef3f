// bounds_before.cu - an index below zero
// grid=1 block=64 expect="out of bounds"
extern "C" __global__ void k(const int *in, int *out, int n)
{
    int t = threadIdx.x;
#ifdef BUG
    out[t] = in[t - 1]; // BUG
#else
    out[t] = in[t > 0 ? t - 1 : 0];
#endif
}
