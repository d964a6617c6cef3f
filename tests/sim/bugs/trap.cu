// trap.cu - a kernel gives up
// grid=1 block=32 expect="trap"
extern "C" __global__ void k(const int *in, int *out, int n)
{
    int t = threadIdx.x;
#ifdef BUG
    if (in[t] >= 0) __trap(); // BUG
#endif
    out[t] = in[t];
}
