// spin.cu - a block waits for a flag that nobody sets
// grid=2 block=32 expect="deadlock"
extern "C" __global__ void k(const int *in, int *out, int n)
{
    int t = threadIdx.x;
    volatile int *flag = out + 100;
#ifndef BUG
    if (blockIdx.x == 0 && t == 0) *flag = 1;
#endif
    while (*flag == 0) // BUG
        ;
    out[t + 32 * blockIdx.x] = 1;
}
