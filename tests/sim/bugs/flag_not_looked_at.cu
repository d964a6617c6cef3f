// flag_not_looked_at.cu - a block reads what another has published, and never looked at the flag
// grid=40 block=32 expect="race"
extern "C" __global__ void k(const int *in, int *out, int n)
{
    int t = threadIdx.x, *flag = out + 64;
    if (blockIdx.x == 0) {
        out[t] = in[t]; // BUG
        __threadfence();
        __syncthreads();
        if (t == 0) atomicExch(flag, 1);
    } else if (blockIdx.x == gridDim.x - 1) { // begins when the others have long ended
#ifndef BUG
        while (t == 0 && atomicAdd(flag, 0) == 0) {}
        __syncthreads();
#endif
        out[32 + t] = out[t]; // BUG
    }
}
