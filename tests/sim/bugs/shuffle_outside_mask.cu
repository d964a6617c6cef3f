// shuffle_outside_mask.cu - the first step of a sum by shuffles reaches beyond its mask
// grid=1 block=32 expect="shuffle from a lane that takes no part"
extern "C" __global__ void k(const int *in, int *out, int n)
{
    int t = threadIdx.x, s = in[t];
#ifdef BUG
    const int first = 16;
#else
    const int first = 8;
#endif
    if (t < 16)
        for (int d = first; d > 0; d >>= 1)
            s += __shfl_down_sync(0xffffu, s, d, first * 2); // BUG
    out[t] = s;
}
