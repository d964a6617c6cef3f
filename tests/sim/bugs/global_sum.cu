// global_sum.cu - blocks add to one word without an atomic
// grid=4 block=32 expect="race"
extern "C" __global__ void k(const int *in, int *out, int n)
{
    int t = threadIdx.x;
#ifdef BUG
    out[t] += in[t]; // BUG
#else
    atomicAdd(&out[t], in[t]);
#endif
}
