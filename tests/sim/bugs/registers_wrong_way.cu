// registers_wrong_way.cu - setmaxnreg.dec to more registers than a thread has by then
// grid=1 block=128 arch=90 expect="value out of range"
extern "C" __global__ void __launch_bounds__(128, 1) k(const int *in, int *out, int n)
{
    int t = threadIdx.x;
    asm volatile("setmaxnreg.dec.sync.aligned.u32 64;");
    __syncthreads();
#ifdef BUG
    asm volatile("setmaxnreg.dec.sync.aligned.u32 96;"); // BUG
#else
    asm volatile("setmaxnreg.dec.sync.aligned.u32 40;");
#endif
    out[t] = in[t];
}
