// transpose.cuh - an 8x8 matrix of 16-bit elements in one register of a warp's lanes.
//
// Lane i holds row i/4, columns 2*(i%4) and the next, and gets the same of the transpose.
% moe.include("exchange.cuh")

__device__ __forceinline__ unsigned transpose(unsigned word) {
    unsigned out;
    asm volatile("movmatrix.sync.aligned.m8n8.trans.b16 %0, %1;" : "=r"(out) : "r"(word));
    return out;
}
