// global_neighbour.cu - a block reads what another one writes in the same launch
// grid=2 block=64 expect="race"
extern "C" __global__ void k(const int *in, int *out, int n)
{
    int t = blockIdx.x * blockDim.x + threadIdx.x;
#ifdef BUG
    out[t] = in[t]; // BUG
    out[t] = out[t ^ 64]; // BUG
#else
    out[t] = in[t ^ 64];
#endif
}
