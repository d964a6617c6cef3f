// bulk_early_release.cu - a stage is given back before it was read
// grid=1 block=64 arch=90 expect="race"
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
            barrier_wait(&empty[i % 2], (i / 2 & 1) ^ 1);
            barrier_expect(&full[i % 2], 128);
            bulk_load(s[i % 2], in + i % 3 * 32, 128, &full[i % 2]); // BUG
        }
    } else if (t >= 32) {
        for (int i = 0; i < 6; i++) {
            barrier_wait(&full[i % 2], i / 2 & 1);
#ifdef BUG
            barrier_arrive(&empty[i % 2]);
            sum = sum * 3 + s[i % 2][t - 32]; // BUG
#else
            sum = sum * 3 + s[i % 2][t - 32];
            barrier_arrive(&empty[i % 2]);
#endif
        }
        out[t - 32] = sum;
    }
}
