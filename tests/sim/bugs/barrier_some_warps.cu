// barrier_some_warps.cu - a barrier waits for more threads than come
// grid=1 block=96 expect="deadlock"
extern "C" __global__ void k(const int *in, int *out, int n)
{
    int t = threadIdx.x;
    if (t < 64) {
#ifdef BUG
        asm volatile("bar.sync 1, 96;" ::: "memory"); // BUG
#else
        asm volatile("bar.sync 1, 64;" ::: "memory");
#endif
    }
    out[t] = in[t];
}
