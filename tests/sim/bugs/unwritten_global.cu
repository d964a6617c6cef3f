// unwritten_global.cu - a kernel adds to memory that nobody initialised
// grid=1 block=64 raw=1 expect="nobody wrote"
extern "C" __global__ void k(const int *in, int *out, int n)
{
    int t = threadIdx.x;
#ifdef BUG
    out[t] += in[t]; // BUG
#else
    out[t] = in[t];
#endif
}
