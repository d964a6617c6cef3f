// bulk_wrong_parity.cu - the parity of the other turn: waiting ends at once
// grid=1 block=64 arch=90 expect="nobody wrote"
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
            bulk_load(s[i % 2], in + i % 3 * 32, 128, &full[i % 2]);
        }
    } else if (t >= 32) {
        for (int i = 0; i < 6; i++) {
#ifdef BUG
            barrier_wait(&full[i % 2], (i / 2 & 1) ^ 1);
#else
            barrier_wait(&full[i % 2], i / 2 & 1);
#endif
            sum = sum * 3 + s[i % 2][t - 32]; // BUG
            barrier_arrive(&empty[i % 2]);
        }
        out[t - 32] = sum;
    }
}
