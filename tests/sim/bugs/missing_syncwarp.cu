// missing_syncwarp.cu - lanes of a warp exchange through shared memory without __syncwarp
// grid=1 block=32 expect="race"
extern "C" __global__ void k(const int *in, int *out, int n)
{
    __shared__ int s[32];
    int t = threadIdx.x;
    s[t] = in[t]; // BUG
#ifndef BUG
    __syncwarp();
#endif
    out[t] = s[31 - t]; // BUG
}
