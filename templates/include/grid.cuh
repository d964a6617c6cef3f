// grid.cuh - a barrier of all blocks of a grid, which must all run at once.

// `counter` was zero before the kernel; `round` numbers a block's barriers from 1 on. What any
// block wrote before is seen by all behind it.
__device__ __forceinline__ void grid_barrier(int *counter, int round) {
    __syncthreads();
    if (threadIdx.x == 0) {
        const int all = round * (int)gridDim.x;
        __threadfence();
        atomicAdd(counter, 1);
        int come = 0;
        while (come < all)
            asm volatile("ld.acquire.gpu.global.s32 %0, [%1];" : "=r"(come) : "l"(counter)
                         : "memory");
    }
    __syncthreads();
}
