// bulk_no_empty_wait.cu - a stage is filled again while others may still read it
// grid=1 block=64 arch=90 expect="missing wait"
#include "async.cuh"

extern "C" __global__ void k(const int *in, int *out, int n)
{
    __shared__ __align__(128) int s[2][32];
    __shared__ unsigned long long full[2], empty[2];
    int t = threadIdx.x, sum = 0;
    if (t < 2) {
        barrier_init(&full[t], 1);
        barrier_init(&empty[t], 32);
    }
    __syncthreads();
    if (t == 0) {
        for (int i = 0; i < 6; i++) {
#ifndef BUG
            barrier_wait(&empty[i % 2], (i / 2 & 1) ^ 1);
#endif
            barrier_expect(&full[i % 2], 128);
            bulk_load(s[i % 2], in + i % 3 * 32, 128, &full[i % 2]); // BUG
        }
    } else if (t >= 32) {
        for (int i = 0; i < 6; i++) {
            barrier_wait(&full[i % 2], i / 2 & 1);
            sum = sum * 3 + s[i % 2][t - 32];
            barrier_arrive(&empty[i % 2]);
        }
        out[t - 32] = sum;
    }
}
