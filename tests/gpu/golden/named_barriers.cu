// named_barriers.cu - two groups take turns by barriers that one arrives at and the other waits for
// block=256 out=512 twin=1
__device__ void arrive(int barrier) { asm volatile("bar.arrive %0, 256;" ::"r"(barrier) : "memory"); }
__device__ void wait(int barrier) { asm volatile("bar.sync %0, 256;" ::"r"(barrier) : "memory"); }
extern "C" __global__ void k(const __grid_constant__ arguments a)
{
    __shared__ unsigned s[128];
    int group = threadIdx.x / 128, t = threadIdx.x % 128;
    unsigned sum = 0;
    if (group == 0) s[t] = a.in[t];
    if (group == 1) arrive(1);
    for (int turn = 0; turn < 4; turn++) { // the last arrival has nobody who waits
        wait(1 + group);
        s[t] = s[t] * 3 + group;
        sum += s[t];
        arrive(2 - group);
    }
    a.out[threadIdx.x] = sum;
    unsigned v = a.in[t], want = 0;
    for (int step = 0; step < 8; step++) {
        v = v * 3 + step % 2;
        if (step % 2 == group) want += v;
    }
    a.out[256 + threadIdx.x] = want;
}
