// bulk_reduce_unwritten.cu - a bulk reduction adds to memory that nobody has zeroed
// grid=1 block=32 arch=90 raw=1 expect="read of memory nobody wrote"
#include "async.cuh"

extern "C" __global__ void k(const int *in, int *out, int n)
{
    __shared__ __align__(128) int s[32];
    int t = threadIdx.x;
    s[t] = in[t];
    out[32 + t] = out[64 + t] = out[96 + t] = 0;
#ifndef BUG
    out[t] = 0;
#endif
    asm volatile("fence.proxy.async;" ::: "memory");
    __syncthreads();
    if (t == 0) {
        asm volatile("cp.reduce.async.bulk.global.shared::cta.bulk_group.add.s32 [%0], "
                     "[%1], 128;"
                     ::"l"(out), "r"(window(s)) : "memory"); // BUG
        bulk_commit();
        bulk_wait_read();
    }
}
