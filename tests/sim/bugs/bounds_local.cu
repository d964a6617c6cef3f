// bounds_local.cu - an index past the end of all local arrays
// grid=1 block=32 expect="out of bounds"
extern "C" __global__ void k(const int *in, int *out, int n)
{
    int a[8], t = threadIdx.x;
    for (int i = 0; i < 8; i++) a[i] = in[i] & 7;
#ifdef BUG
    a[(in[t] & 7) + 4096] = 1; // BUG
#else
    a[in[t] & 7] = 1;
#endif
    out[t] = a[in[t + 1] & 7];
}
