// elect.cu - elect.sync chooses one lane of the mask
// block=32 out=64 twin=1
extern "C" __global__ void k(const __grid_constant__ arguments a)
{
    unsigned lane, yes;
    asm volatile("{ .reg .pred p; elect.sync %0|p, 0xffffffff; selp.u32 %1, 1, 0, p; }" : "=r"(lane), "=r"(yes));
    unsigned all = __reduce_add_sync(~0u, yes);
    a.out[threadIdx.x] = all << 8 | (lane < 32);
    a.out[32 + threadIdx.x] = 1 << 8 | 1;
}
