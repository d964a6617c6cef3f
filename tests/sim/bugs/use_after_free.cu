// use_after_free.cu - the host freed a buffer that the kernel still uses
// grid=1 block=32 free=1 expect="use after free"
extern "C" __global__ void k(const int *in, int *out, int n)
{
    out[threadIdx.x] = in[threadIdx.x]; // BUG
}
