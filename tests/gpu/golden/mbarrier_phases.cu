// mbarrier_phases.cu - what try_wait says of both parities, phase after phase
// block=32 out=32 twin=1
__device__ unsigned passed(unsigned barrier, int parity)
{
    unsigned yes;
    asm volatile("{ .reg .pred p; mbarrier.test_wait.parity.shared::cta.b64 p, [%1], %2; selp.u32 %0, 1, 0, p; }"
                 : "=r"(yes) : "r"(barrier), "r"(parity) : "memory");
    return yes;
}

extern "C" __global__ void k(const __grid_constant__ arguments a)
{
    __shared__ unsigned long long b;
    if (threadIdx.x != 0) return;
    barrier_init(window(&b), 2);
    for (int i = 0; i < 8; i++) { // an arrival each: phases end at every second
        a.out[2 * i] = passed(window(&b), 0);
        a.out[2 * i + 1] = passed(window(&b), 1);
        int phase = i / 2 & 1;
        a.out[16 + 2 * i] = phase != 0;
        a.out[16 + 2 * i + 1] = phase != 1;
        asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(window(&b)) : "memory");
    }
}
