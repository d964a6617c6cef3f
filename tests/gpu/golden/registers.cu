// registers.cu - warpgroups hand registers over, and a kernel waits for those ahead and lets others start
// block=256 out=512 twin=1
extern "C" __global__ void __launch_bounds__(256, 1) k(const __grid_constant__ arguments a)
{
    asm volatile("griddepcontrol.wait;" ::: "memory");
    asm volatile("griddepcontrol.launch_dependents;");
    unsigned sum = a.in[threadIdx.x];
    if (threadIdx.x < 128) {
        asm volatile("setmaxnreg.dec.sync.aligned.u32 40;");
        sum += 1;
    } else {
        asm volatile("setmaxnreg.inc.sync.aligned.u32 232;");
        sum += 2;
    }
    a.out[threadIdx.x] = sum;
    a.out[256 + threadIdx.x] = a.in[threadIdx.x] + 1 + threadIdx.x / 128;
}
