// wgmma_n64_f16.cu - wgmma m64n64k16 from shared memory, both operands K-major with the 128-byte swizzle
// block=128 smem=43008 out=8192 twin=1 data=f16
extern "C" __global__ void __launch_bounds__(128) k(const __grid_constant__ arguments a)
{
    extern __shared__ __align__(1024) unsigned char s[]; // A [64][64], B [64][64]
    const unsigned short *A = (const unsigned short *)a.in, *B = A + 4096;
    const int N = 64, ROWS = N < 64 ? 64 : 4096 / N;
    for (int i = threadIdx.x; i < 4096; i += 128)
        *(unsigned short *)(s + swizzle(i * 2, 128)) = A[i];
    for (int i = threadIdx.x; i < N * 64; i += 128)
        *(unsigned short *)(s + 8192 + swizzle(i * 2, 128)) = B[i % 8192];
    proxy_fence();
    __syncthreads();
    float d[N / 2];
    for (int i = 0; i < N / 2; i++) d[i] = 0;
    asm volatile("wgmma.fence.sync.aligned;" ::: "memory");
    for (int k = 0; k < 4; k++) {
        unsigned long long layout = 1ull << 62 | 64ull << 32 | 1ull << 16;
        unsigned long long da = layout | (window(s) + k * 32) >> 4, db = layout | (window(s) + 8192 + k * 32) >> 4;
        asm volatile("{ .reg .pred p; setp.ne.b32 p, %34, 0; wgmma.mma_async.sync.aligned.m64n64k16.f32.f16.f16 {%0,%1,%2,%3,%4,%5,%6,%7,%8,%9,%10,%11,%12,%13,%14,%15,%16,%17,%18,%19,%20,%21,%22,%23,%24,%25,%26,%27,%28,%29,%30,%31}, %32, %33, p, 1, 1, 0, 0; }"
                     : "+f"(d[0]),"+f"(d[1]),"+f"(d[2]),"+f"(d[3]),"+f"(d[4]),"+f"(d[5]),"+f"(d[6]),"+f"(d[7]),"+f"(d[8]),"+f"(d[9]),"+f"(d[10]),"+f"(d[11]),"+f"(d[12]),"+f"(d[13]),"+f"(d[14]),"+f"(d[15]),"+f"(d[16]),"+f"(d[17]),"+f"(d[18]),"+f"(d[19]),"+f"(d[20]),"+f"(d[21]),"+f"(d[22]),"+f"(d[23]),"+f"(d[24]),"+f"(d[25]),"+f"(d[26]),"+f"(d[27]),"+f"(d[28]),"+f"(d[29]),"+f"(d[30]),"+f"(d[31]) : "l"(da), "l"(db), "r"(k));
    }
    asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory");
    asm volatile("wgmma.wait_group.sync.aligned 0;" ::: "memory");
    int lane = threadIdx.x % 32, warp = threadIdx.x / 32, g = lane / 4, q = lane % 4;
#pragma unroll // d stays in registers: it must not be touched before the wait
    for (int j = 0; j < N / 8; j++)
        for (int i = 0; i < 4; i++) {
            int row = warp * 16 + g + i / 2 * 8, column = j * 8 + 2 * q + i % 2;
            if (row >= ROWS) continue;
            float sum = 0;
#pragma unroll 1
            for (int k = 0; k < 64; k++) sum += f16(A[row * 64 + k]) * f16(B[(column * 64 + k) % 8192]);
            a.out[row * N + column] = __float_as_uint(d[j * 4 + i]);
            a.out[ROWS * N + row * N + column] = __float_as_uint(sum);
        }
}
