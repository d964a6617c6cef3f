// misaligned_shared.cu - an 8-byte store to shared memory at an odd word
// grid=1 block=16 expect="misaligned"
extern "C" __global__ void k(const int *in, int *out, int n)
{
    __shared__ __align__(8) int s[64];
    int t = threadIdx.x;
#ifdef BUG
    int *p = s + 2 * t + 1;
#else
    int *p = s + 2 * t;
#endif
    *(int2 *)p = make_int2(in[t], 1); // BUG
    __syncwarp();
    out[t] = s[2 * t + 1];
}
