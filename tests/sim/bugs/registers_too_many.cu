// registers_too_many.cu - a warpgroup asks for more registers than the others have given back
// grid=1 block=384 n=384 arch=90 expect="deadlock"
extern "C" __global__ void __launch_bounds__(384, 1) k(const int *in, int *out, int n)
{
    int t = threadIdx.x;
    if (t < 128) {
        asm volatile("setmaxnreg.dec.sync.aligned.u32 40;");
    } else {
#ifdef BUG
        asm volatile("setmaxnreg.inc.sync.aligned.u32 240;"); // BUG
#else
        asm volatile("setmaxnreg.inc.sync.aligned.u32 232;");
#endif
    }
    out[t] = in[t];
}
