// vote_divergent.cu - two votes in two branches name each other's lanes
// grid=1 block=32 expect="never meet"
extern "C" __global__ void k(const int *in, int *out, int n)
{
    int t = threadIdx.x;
#ifdef BUG
    if (t & 1)
        out[t] = __any_sync(0xffffffff, in[t] > 3); // BUG
    else
        out[t] = __all_sync(0xffffffff, in[t] > 3) + 5;
#else
    int any = __any_sync(0xffffffff, in[t] > 3), all = __all_sync(0xffffffff, in[t] > 3);
    out[t] = t & 1 ? any : all + 5;
#endif
}
