// wrong_named_barrier.cu - a consumer waits on another barrier than its producer
// grid=1 block=128 expect="race"
extern "C" __global__ void k(const int *in, int *out, int n)
{
    __shared__ int s[64];
    int t = threadIdx.x;
    if (t < 64) {
        s[t] = in[t]; // BUG
        asm volatile("bar.arrive 1, 128;" ::: "memory");
        asm volatile("bar.sync 2, 64;" ::: "memory");
    } else {
#ifdef BUG
        asm volatile("bar.sync 3, 64;" ::: "memory");
#else
        asm volatile("bar.sync 1, 128;" ::: "memory");
#endif
        out[t] = s[t - 64]; // BUG
    }
}
