// misaligned_vector.cu - a 16-byte load from an address that is no multiple of 16
// grid=1 block=16 expect="misaligned"
extern "C" __global__ void k(const int *in, int *out, int n)
{
    int t = threadIdx.x;
#ifdef BUG
    const int *p = in + 4 * t + 1;
#else
    const int *p = in + 4 * t;
#endif
    int4 x = *(const int4 *)p; // BUG
    out[t] = x.x + x.y + x.z + x.w;
}
