// bulk_bytes_high.cu - more bytes are announced than come
// grid=1 block=32 arch=90 expect="deadlock"
#include "async.cuh"

extern "C" __global__ void k(const int *in, int *out, int n)
{
    __shared__ __align__(128) int s[32];
    __shared__ unsigned long long full;
    int t = threadIdx.x;
#ifdef BUG
    const int bytes = 144;
#else
    const int bytes = 128;
#endif
    if (t == 0) {
        barrier_init(&full, 1);
        barrier_expect(&full, bytes);
        bulk_load(s, in, 128, &full);
    }
    __syncthreads();
    asm volatile("{ .reg .pred done; again: mbarrier.try_wait.parity.shared::cta.b64 done, "
                 "[%0], 0; @!done bra again; }"
                 ::"r"(window(&full)) : "memory"); // BUG
    out[t] = s[t];
}
