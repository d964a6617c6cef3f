// registers_differ.cu - the warps of a warpgroup do not agree on how many registers they keep
// grid=1 block=128 arch=90 expect="collective that can never meet"
extern "C" __global__ void __launch_bounds__(128, 1) k(const int *in, int *out, int n)
{
    int t = threadIdx.x;
#ifdef BUG
    if (t < 64) asm volatile("setmaxnreg.dec.sync.aligned.u32 40;"); // BUG
    else
#endif
    asm volatile("setmaxnreg.dec.sync.aligned.u32 48;"); // BUG
    out[t] = in[t];
}
