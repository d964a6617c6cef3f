// race_loop.cu - the barrier at the end of a loop is missing: the next round overwrites
// grid=1 block=128 expect="race"
extern "C" __global__ void k(const int *in, int *out, int n)
{
    __shared__ int s[128];
    int t = threadIdx.x, sum = 0;
    for (int i = 0; i < 4; i++) {
        s[t] = in[(t + i * 32) & 127]; // BUG
        __syncthreads();
        sum = sum * 3 + s[127 - t]; // BUG
#ifndef BUG
        __syncthreads();
#endif
    }
    out[t] = sum;
}
