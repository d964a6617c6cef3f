// lane_lock_no_fence.cu - a lock that lanes of a warp take in turn, released without a fence
// grid=1 block=64 expect="race"
__device__ int lock, sum;

extern "C" __global__ void k(const int *in, int *out, int n)
{
    for (bool done = false; !done;)
        if (atomicCAS(&lock, 0, 1) == 0) {
            __threadfence();
            sum += in[threadIdx.x]; // BUG
#ifndef BUG
            __threadfence();
#endif
            atomicExch(&lock, 0);
            done = true;
        }
    out[threadIdx.x] = in[threadIdx.x];
}
