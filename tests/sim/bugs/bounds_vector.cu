// bounds_vector.cu - a 16-byte load reaches past the end of 128 + 2 words
// grid=1 block=33 n=130 expect="out of bounds"
extern "C" __global__ void k(const int *in, int *out, int n)
{
    int t = threadIdx.x;
#ifndef BUG
    if (t < 32)
#endif
    {
        int4 x = ((const int4 *)in)[t]; // BUG
        out[t] = x.x + x.w;
    }
}
