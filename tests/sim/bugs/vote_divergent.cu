// vote_divergent.cu - a vote names lanes that have left the kernel
// grid=1 block=32 expect="never meet"
extern "C" __global__ void k(const int *in, int *out, int n)
{
    int t = threadIdx.x;
#ifdef BUG
    if (t == 5) return;
#endif
    out[t] = __any_sync(0xffffffff, in[t] > 3); // BUG
}
