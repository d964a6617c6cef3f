// shuffle_outside.cu - a shuffle reads a lane that is not in the mask
// grid=1 block=32 expect="takes no part"
extern "C" __global__ void k(const int *in, int *out, int n)
{
    int t = threadIdx.x, x = in[t];
#ifdef BUG
    if (t < 16) x = __shfl_down_sync(0x0000ffff, x, 8); // BUG
#else
    if (t < 16) x = __shfl_down_sync(0x0000ffff, x, 8, 16);
#endif
    out[t] = x;
}
