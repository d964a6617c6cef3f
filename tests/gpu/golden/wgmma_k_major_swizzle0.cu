// wgmma_k_major_swizzle0.cu - wgmma m64n96k16, both operands K-major, with no swizzle
// block=128 smem=13312 out=3072 twin=1 data=bf16
__device__ int place(int r, int k) { return swizzle(r / 8 * 512 + k / 8 * 128 + r % 8 * 16 + k % 8 * 2, 0); }
extern "C" __global__ void __launch_bounds__(128) k(const __grid_constant__ arguments a)
{
    extern __shared__ __align__(1024) unsigned char s[]; // A [64][32], then B [N][32]
    const unsigned short *A = (const unsigned short *)a.in, *B = A + 2048;
    const int N = 96, K = 32;
    for (int i = threadIdx.x; i < 64 * K; i += 128) {
        int r = i / K, k = i % K;
        *(unsigned short *)(s + place(r, k)) = A[i];
    }
    for (int i = threadIdx.x; i < N * K; i += 128) {
        int r = i / K, k = i % K;
        *(unsigned short *)(s + 4096 + place(r, k)) = B[i];
    }
    proxy_fence();
    __syncthreads();
    float d[N / 2];
    for (int i = 0; i < N / 2; i++) d[i] = 0;
    asm volatile("wgmma.fence.sync.aligned;" ::: "memory");
    for (int step = 0; step < 2; step++) {
        unsigned long long layout = 0ull << 62 | 32ull << 32 | 8ull << 16;
        unsigned long long da = layout | (window(s) + step * 256) >> 4, db = layout | (window(s) + 4096 + step * 256) >> 4;
        asm volatile("wgmma.mma_async.sync.aligned.m64n96k16.f32.bf16.bf16 {%0,%1,%2,%3,%4,%5,%6,%7,%8,%9,%10,%11,%12,%13,%14,%15,%16,%17,%18,%19,%20,%21,%22,%23,%24,%25,%26,%27,%28,%29,%30,%31,%32,%33,%34,%35,%36,%37,%38,%39,%40,%41,%42,%43,%44,%45,%46,%47}, %48, %49, 1, 1, 1, 0, 0;"
                     : "+f"(d[0]),"+f"(d[1]),"+f"(d[2]),"+f"(d[3]),"+f"(d[4]),"+f"(d[5]),"+f"(d[6]),"+f"(d[7]),"+f"(d[8]),"+f"(d[9]),"+f"(d[10]),"+f"(d[11]),"+f"(d[12]),"+f"(d[13]),"+f"(d[14]),"+f"(d[15]),"+f"(d[16]),"+f"(d[17]),"+f"(d[18]),"+f"(d[19]),"+f"(d[20]),"+f"(d[21]),"+f"(d[22]),"+f"(d[23]),"+f"(d[24]),"+f"(d[25]),"+f"(d[26]),"+f"(d[27]),"+f"(d[28]),"+f"(d[29]),"+f"(d[30]),"+f"(d[31]),"+f"(d[32]),"+f"(d[33]),"+f"(d[34]),"+f"(d[35]),"+f"(d[36]),"+f"(d[37]),"+f"(d[38]),"+f"(d[39]),"+f"(d[40]),"+f"(d[41]),"+f"(d[42]),"+f"(d[43]),"+f"(d[44]),"+f"(d[45]),"+f"(d[46]),"+f"(d[47]) : "l"(da), "l"(db));
    }
    asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory");
    asm volatile("wgmma.wait_group.sync.aligned 0;" ::: "memory");
    int lane = threadIdx.x % 32, warp = threadIdx.x / 32, g = lane / 4, q = lane % 4;
#pragma unroll // d stays in registers: it must not be touched before the wait
    for (int j = 0; j < N / 8; j++)
        for (int i = 0; i < 4; i++) {
            int row = warp * 16 + g + i / 2 * 8, column = j * 8 + 2 * q + i % 2;
            if (column % 4 != row % 4) continue; // a quarter of the results, of all rows and columns
            float sum = 0;
#pragma unroll 1
            for (int k = 0; k < K; k++) sum += bf16(A[row * K + k]) * bf16(B[column * K + k]);
            a.out[row * N / 4 + column / 4] = __float_as_uint(d[j * 4 + i]);
            a.out[16 * N + row * N / 4 + column / 4] = __float_as_uint(sum);
        }
}
