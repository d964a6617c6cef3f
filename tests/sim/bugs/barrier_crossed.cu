// barrier_crossed.cu - two warps wait for each other at different barriers
// grid=1 block=64 expect="deadlock"
extern "C" __global__ void k(const int *in, int *out, int n)
{
    int t = threadIdx.x;
    if (t < 32) {
        asm volatile("bar.sync 1, 64;" ::: "memory"); // BUG
    } else {
#ifdef BUG
        asm volatile("bar.sync 2, 64;" ::: "memory"); // BUG
#else
        asm volatile("bar.sync 1, 64;" ::: "memory");
#endif
    }
    out[t] = in[t];
}
