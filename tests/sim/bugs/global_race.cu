// global_race.cu - blocks store different values to one word
// grid=4 block=32 expect="race"
extern "C" __global__ void k(const int *in, int *out, int n)
{
    int t = threadIdx.x;
#ifdef BUG
    out[t] = in[t + 32 * blockIdx.x]; // BUG
#else
    out[t + 32 * blockIdx.x] = in[t + 32 * blockIdx.x];
#endif
}
