// race_bytes.cu - neighbouring bytes are no race, but the same byte is
// grid=1 block=64 expect="race"
extern "C" __global__ void k(const int *in, int *out, int n)
{
    __shared__ unsigned char s[64];
    int t = threadIdx.x;
#ifdef BUG
    s[(t + 1) % 63] = (unsigned char)in[t]; // BUG
    if (t == 63) s[63] = 0;
#else
    s[(t + 1) % 64] = (unsigned char)in[t];
#endif
    __syncthreads();
    out[t] = s[t];
}
