// registers_some_warps.cu - three of the four warps of a warpgroup give their registers back
// grid=1 block=128 arch=90 expect="collective that can never meet"
extern "C" __global__ void __launch_bounds__(128, 1) k(const int *in, int *out, int n)
{
    int t = threadIdx.x;
#ifdef BUG
    if (t < 96)
#endif
    asm volatile("setmaxnreg.dec.sync.aligned.u32 40;"); // BUG
    out[t] = in[t];
}
