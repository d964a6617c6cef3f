// race_same_warp.cu - lanes of one warp store different values to one word in one instruction
// grid=1 block=32 expect="race"
extern "C" __global__ void k(const int *in, int *out, int n)
{
    __shared__ int s[32];
    int t = threadIdx.x;
#ifdef BUG
    s[t / 2] = in[t]; // BUG
#else
    s[t] = in[t];
#endif
    __syncwarp();
    out[t] = s[t / 2];
}
