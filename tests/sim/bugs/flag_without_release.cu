// flag_without_release.cu - a flag is set before the data behind it is released
// grid=2 block=32 expect="race"
extern "C" __global__ void k(const int *in, int *out, int n)
{
    int t = threadIdx.x;
    volatile int *flag = out + 100;
    if (blockIdx.x == 0) {
        out[t] = in[t]; // BUG
#ifndef BUG
        __threadfence();
        __syncthreads();
#endif
        if (t == 0) *flag = 1;
    } else {
        while (*flag == 0)
            ;
        __threadfence();
        out[t + 32] = out[t]; // BUG
    }
}
