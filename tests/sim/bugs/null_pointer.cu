// null_pointer.cu - a store through a null pointer
// grid=1 block=32 expect="out of bounds"
extern "C" __global__ void k(const int *in, int *out, int n)
{
    int t = threadIdx.x;
    int *p = out;
#ifdef BUG
    if (n > 0) p = (int *)(size_t)(n - 128);
#endif
    p[t] = in[t]; // BUG
}
