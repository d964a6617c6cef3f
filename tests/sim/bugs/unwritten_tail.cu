// unwritten_tail.cu - a reduction reads shared words that only a full block would have written
// grid=1 block=48 expect="nobody wrote"
extern "C" __global__ void k(const int *in, int *out, int n)
{
    __shared__ int s[64];
    int t = threadIdx.x;
    s[t] = in[t];
#ifndef BUG
    if (t < 16) s[48 + t] = 0;
#endif
    __syncthreads();
    if (t < 32) out[t] = s[t] + s[t + 32]; // BUG
}
