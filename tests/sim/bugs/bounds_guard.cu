// bounds_guard.cu - the guard of the last, partly filled block is missing
// grid=2 block=96 expect="out of bounds"
extern "C" __global__ void k(const int *in, int *out, int n)
{
    int t = blockIdx.x * blockDim.x + threadIdx.x;
#ifndef BUG
    if (t < n)
#endif
        out[t] = in[t < n ? t : 0]; // BUG
}
