// bulk_bytes_low.cu - fewer bytes are announced than come: the phase ends before the second copy
// grid=1 block=32 arch=90 expect="missing wait"
#include "async.cuh"

extern "C" __global__ void k(const int *in, int *out, int n)
{
    __shared__ __align__(128) int s[64];
    __shared__ unsigned long long full;
    int t = threadIdx.x;
#ifdef BUG
    const int bytes = 128;
#else
    const int bytes = 256;
#endif
    if (t == 0) {
        barrier_init(&full, 1);
        barrier_expect(&full, bytes);
        bulk_load(s, in, 128, &full);
        bulk_load(s + 32, in + 32, 128, &full); // BUG
    }
    __syncthreads();
    barrier_wait(&full, 0);
    out[t] = s[t] + s[32 + t]; // BUG
}
