// bounds_load.cu - the last thread loads one element past the end
// grid=2 block=64 expect="out of bounds"
extern "C" __global__ void k(const int *in, int *out, int n)
{
    int t = blockIdx.x * blockDim.x + threadIdx.x;
    int next = 0;
#ifndef BUG
    if (t + 1 < n)
#endif
        next = in[t + 1]; // BUG
    out[t] = in[t] + next;
}
