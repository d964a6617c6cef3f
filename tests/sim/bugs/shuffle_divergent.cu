// shuffle_divergent.cu - a shuffle names lanes that never come
// grid=1 block=32 expect="takes no part"
extern "C" __global__ void k(const int *in, int *out, int n)
{
    int t = threadIdx.x, x = in[t];
#ifdef BUG
    if (t & 1) x = __shfl_xor_sync(0xffffffff, x, 1); // BUG
#else
    x = __shfl_xor_sync(0xffffffff, x, 1);
#endif
    out[t] = x;
}
