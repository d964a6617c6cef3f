// wgmma_gathered.cu - rows gathered by cp.async, which arrive by themselves; who multiplies them fences the proxies
// block=160 smem=10240 out=4096 twin=1 data=bf16
__device__ int source(int round, int row) { return (row * 7 + round * 5) % 64; }
extern "C" __global__ void __launch_bounds__(160) k(const __grid_constant__ arguments a)
{
    extern __shared__ __align__(1024) unsigned char s[]; // A [64][64], then B [8][64]
    __shared__ unsigned long long full, empty;
    const unsigned short *A = (const unsigned short *)a.in, *B = A + 4096;
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32, ROUNDS = 4;
    if (threadIdx.x == 0) {
        barrier_init(window(&full), 32);
        barrier_init(window(&empty), 1);
    }
    __syncthreads();
    for (int round = 0; warp == 4 && round < ROUNDS; round++) { // one stage, filled again and again
        barrier_wait(window(&empty), round & 1 ^ 1);
        for (int i = lane; i < 72 * 8; i += 32) {
            int row = i / 8, chunk = i % 8, bytes = row < 60 || row >= 64 ? 16 : 0;
            const unsigned short *from = row < 64 ? A + source(round, row) * 64 : B + (row - 64 + round * 8) * 64;
            asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;"
                         ::"r"(window(s) + swizzle(i * 16, 128)), "l"(from + chunk * 8), "r"(bytes) : "memory");
        }
        asm volatile("cp.async.mbarrier.arrive.noinc.shared::cta.b64 [%0];" ::"r"(window(&full)) : "memory");
    }
    for (int round = 0; warp < 4 && round < ROUNDS; round++) {
        float d[4];
        barrier_wait(window(&full), round & 1);
        proxy_fence();
        asm volatile("wgmma.fence.sync.aligned;" ::: "memory");
        for (int k = 0; k < 4; k++) {
            unsigned long long layout = 1ull << 62 | 64ull << 32 | 1ull << 16;
            unsigned long long da = layout | (window(s) + k * 32) >> 4, db = layout | (window(s) + 8192 + k * 32) >> 4;
            asm volatile("{ .reg .pred p; setp.ne.b32 p, %6, 0; wgmma.mma_async.sync.aligned.m64n8k16.f32.bf16.bf16 {%0,%1,%2,%3}, %4, %5, p, 1, 1, 0, 0; }"
                         : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3]) : "l"(da), "l"(db), "r"(k));
        }
        asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory");
        asm volatile("wgmma.wait_group.sync.aligned 0;" ::: "memory");
        if (threadIdx.x == 0) asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(window(&empty)) : "memory");
        __syncwarp();
        for (int i = 0; i < 4; i++) {
            int row = warp * 16 + lane / 4 + i / 2 * 8, column = lane % 4 * 2 + i % 2, at = round * 512 + row * 8 + column;
            float sum = 0;
            for (int k = 0; k < 64 && row < 60; k++)
                sum += bf16(A[source(round, row) * 64 + k]) * bf16(B[(column + round * 8) * 64 + k]);
            a.out[at] = __float_as_uint(d[i]);
            a.out[2048 + at] = __float_as_uint(sum);
        }
    }
}
