// bounds_store.cu - the last thread stores one element past the end
// grid=2 block=64 expect="out of bounds"
extern "C" __global__ void k(const int *in, int *out, int n)
{
    int t = blockIdx.x * blockDim.x + threadIdx.x;
#ifdef BUG
    out[t + 1] = in[t]; // BUG
#else
    out[t] = in[t];
#endif
}
