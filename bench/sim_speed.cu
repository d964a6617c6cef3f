// sim_speed.cu - the kernels that bench/sim_speed.c times on the simulated GPU.
typedef unsigned u32;
typedef unsigned short u16;
#define INDEX (blockIdx.x * blockDim.x + threadIdx.x)

extern "C" __global__ void alu(u32 *out, int rounds)
{
    u32 x = INDEX, y = 7;
    float f = 1.0f, g = (float)x;
    for (int i = 0; i < rounds; i++) {
        x = x * 1664525u + y;
        y ^= x >> 3;
        f = fmaf(f, 0.5f, g);
        g += f * 0.25f;
    }
    out[INDEX] = x + y + (u32)f + (u32)g;
}

extern "C" __global__ void shared_loads(u32 *out, int rounds)
{
    __shared__ u32 s[1024];
    for (int i = threadIdx.x; i < 1024; i += blockDim.x) s[i] = i;
    __syncthreads();
    u32 x = 0;
    for (int i = 0; i < rounds; i++) x += s[(threadIdx.x + i * 4) & 1023];
    out[INDEX] = x;
}

extern "C" __global__ void global_copy(const u32 *in, u32 *out, int n)
{
    for (int i = INDEX; i < n; i += gridDim.x * blockDim.x) out[i] = in[i];
}

extern "C" __global__ void collatz(u32 *out, int limit)
{
    u32 x = INDEX % limit + 1, steps = 0;
    while (x != 1) {
        x = x & 1 ? 3 * x + 1 : x / 2;
        steps++;
    }
    out[INDEX] = steps;
}

// C[m,n] = A[m,k] B[n,k]^T in bf16 with f32 sums: cp.async ring, ldmatrix, mma.sync.
constexpr int BK = 32, STAGES = 3, PITCH = 40; // elements; the pitch avoids bank conflicts

__device__ u32 window(const void *p)
{
    return (u32)__cvta_generic_to_shared(p);
}

__device__ void copy_tile(u16 *to, const u16 *from, int rows, int k)
{
    for (int i = threadIdx.x; i < rows * 4; i += blockDim.x)
        asm volatile("cp.async.cg.shared.global [%0], [%1], 16;"
                     ::"r"(window(to + i / 4 * PITCH + i % 4 * 8)),
                     "l"(from + i / 4 * k + i % 4 * 8) : "memory");
}

__device__ void load_matrix(u32 *r, const u16 *from)
{
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3]) : "r"(window(from)) : "memory");
}

template <int BM, int BN, int WARPS_M, int WARPS_N>
__device__ void gemm(const u16 *a, const u16 *b, float *c, int n, int k)
{
    constexpr int WM = BM / WARPS_M, WN = BN / WARPS_N, MI = WM / 16, NI = WN / 8;
    extern __shared__ __align__(16) u16 ring[];
    int lane = threadIdx.x & 31, warp = threadIdx.x >> 5, tiles_n = n / BN;
    int m0 = blockIdx.x / tiles_n * BM, n0 = blockIdx.x % tiles_n * BN;
    int wm = warp % WARPS_M * WM, wn = warp / WARPS_M * WN, steps = k / BK;
    float sum[MI][NI][4] = {};

    a += (size_t)m0 * k;
    b += (size_t)n0 * k;
    for (int s = 0; s < STAGES - 1; s++) {
        u16 *stage = ring + s * (BM + BN) * PITCH;
        if (s < steps) copy_tile(stage, a + s * BK, BM, k);
        if (s < steps) copy_tile(stage + BM * PITCH, b + s * BK, BN, k);
        asm volatile("cp.async.commit_group;" ::: "memory");
    }
    for (int step = 0; step < steps; step++) {
        asm volatile("cp.async.wait_group %0;" ::"n"(STAGES - 2) : "memory");
        __syncthreads();
        int next = step + STAGES - 1;
        if (next < steps) {
            u16 *stage = ring + next % STAGES * (BM + BN) * PITCH;
            copy_tile(stage, a + next * BK, BM, k);
            copy_tile(stage + BM * PITCH, b + next * BK, BN, k);
        }
        asm volatile("cp.async.commit_group;" ::: "memory");
        const u16 *ta = ring + step % STAGES * (BM + BN) * PITCH, *tb = ta + BM * PITCH;
#pragma unroll
        for (int kk = 0; kk < BK; kk += 16) {
            u32 ra[MI][4], rb[NI][2];
#pragma unroll
            for (int i = 0; i < MI; i++)
                load_matrix(ra[i], ta + (wm + i * 16 + lane % 16) * PITCH + kk + lane / 16 * 8);
#pragma unroll
            for (int j = 0; j < NI; j += 2)
                load_matrix(rb[j], tb + (wn + j * 8 + lane / 16 * 8 + lane % 8) * PITCH + kk +
                                       lane / 8 % 2 * 8);
#pragma unroll
            for (int i = 0; i < MI; i++)
#pragma unroll
                for (int j = 0; j < NI; j++)
                    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 "
                                 "{%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
                                 : "+f"(sum[i][j][0]), "+f"(sum[i][j][1]), "+f"(sum[i][j][2]),
                                   "+f"(sum[i][j][3])
                                 : "r"(ra[i][0]), "r"(ra[i][1]), "r"(ra[i][2]), "r"(ra[i][3]),
                                   "r"(rb[j][0]), "r"(rb[j][1]));
        }
    }
#pragma unroll
    for (int i = 0; i < MI; i++)
#pragma unroll
        for (int j = 0; j < NI; j++)
#pragma unroll
            for (int h = 0; h < 2; h++) {
                int row = m0 + wm + i * 16 + h * 8 + lane / 4;
                int column = n0 + wn + j * 8 + lane % 4 * 2;
                float2 *to = (float2 *)(c + (size_t)row * n + column);
                *to = make_float2(sum[i][j][2 * h], sum[i][j][2 * h + 1]);
            }
}

extern "C" __global__ void gemm64(const u16 *a, const u16 *b, float *c, int n, int k)
{
    gemm<64, 64, 2, 2>(a, b, c, n, k);
}

extern "C" __global__ void gemm128(const u16 *a, const u16 *b, float *c, int n, int k)
{
    gemm<128, 128, 2, 4>(a, b, c, n, k);
}

#if __CUDA_ARCH__ >= 900
__device__ void load(u32 to, const u16 *from, u32 barrier)
{
    asm volatile("cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes "
                 "[%0], [%1], 16384, [%2];" ::"r"(to), "l"(from), "r"(barrier) : "memory");
}

__device__ void wait(u32 barrier, int parity)
{
    asm volatile("{ .reg .pred done; again: mbarrier.try_wait.parity.shared::cta.b64 done, [%0], "
                 "%1; @!done bra again; }" ::"r"(barrier), "r"(parity) : "memory");
}

__device__ unsigned long long rows(u32 at)
{
    return 1ull << 62 | 64ull << 32 | 1ull << 16 | at >> 4;
}

__device__ void multiply(float (&d)[64], u32 a, u32 b)
{
    asm volatile("wgmma.mma_async.sync.aligned.m64n128k16.f32.bf16.bf16 {"
                 "%0,%1,%2,%3,%4,%5,%6,%7,%8,%9,%10,%11,%12,%13,%14,%15,"
                 "%16,%17,%18,%19,%20,%21,%22,%23,%24,%25,%26,%27,%28,%29,%30,%31,"
                 "%32,%33,%34,%35,%36,%37,%38,%39,%40,%41,%42,%43,%44,%45,%46,%47,"
                 "%48,%49,%50,%51,%52,%53,%54,%55,%56,%57,%58,%59,%60,%61,%62,%63}, %64, %65, 1, "
                 "1, 1, 0, 0;"
                 : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3]),
                       "+f"(d[4]), "+f"(d[5]), "+f"(d[6]), "+f"(d[7]),
                       "+f"(d[8]), "+f"(d[9]), "+f"(d[10]), "+f"(d[11]),
                       "+f"(d[12]), "+f"(d[13]), "+f"(d[14]), "+f"(d[15]),
                       "+f"(d[16]), "+f"(d[17]), "+f"(d[18]), "+f"(d[19]),
                       "+f"(d[20]), "+f"(d[21]), "+f"(d[22]), "+f"(d[23]),
                       "+f"(d[24]), "+f"(d[25]), "+f"(d[26]), "+f"(d[27]),
                       "+f"(d[28]), "+f"(d[29]), "+f"(d[30]), "+f"(d[31]),
                       "+f"(d[32]), "+f"(d[33]), "+f"(d[34]), "+f"(d[35]),
                       "+f"(d[36]), "+f"(d[37]), "+f"(d[38]), "+f"(d[39]),
                       "+f"(d[40]), "+f"(d[41]), "+f"(d[42]), "+f"(d[43]),
                       "+f"(d[44]), "+f"(d[45]), "+f"(d[46]), "+f"(d[47]),
                       "+f"(d[48]), "+f"(d[49]), "+f"(d[50]), "+f"(d[51]),
                       "+f"(d[52]), "+f"(d[53]), "+f"(d[54]), "+f"(d[55]),
                       "+f"(d[56]), "+f"(d[57]), "+f"(d[58]), "+f"(d[59]),
                       "+f"(d[60]), "+f"(d[61]), "+f"(d[62]), "+f"(d[63])
                 : "l"(rows(a)), "l"(rows(b)));
}

// 128x128x64 tiles of ones, so that it does not matter which lines a plain bulk copy brings; two
// stages, two warpgroups.
extern "C" __global__ void __launch_bounds__(256) gemm_wgmma(const u16 *a, const u16 *b, float *c,
                                                             int n, int k)
{
    extern __shared__ __align__(1024) unsigned char tiles[];
    __shared__ unsigned long long full[2];
    int t = threadIdx.x, group = t / 128, steps = k / 64;
    if (t == 0) {
        for (int i = 0; i < 2; i++)
            asm volatile("mbarrier.init.shared::cta.b64 [%0], 1;" ::"r"(window(full + i))
                         : "memory");
        asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
    }
    __syncthreads();
    float d[64] = {};
    for (int step = -1; step < steps; step++) {
        if (t == 0 && step + 1 < steps) {
            u32 stage = (step + 1) % 2, to = window(tiles) + stage * 32768;
            u32 barrier = window(full + stage);
            asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], 32768;" ::"r"(barrier)
                         : "memory");
            load(to, a + (step + 1) * 8192, barrier);
            load(to + 16384, b + (step + 1) * 8192, barrier);
        }
        if (step < 0) continue;
        u32 at = window(tiles) + step % 2 * 32768;
        wait(window(full + step % 2), step / 2 % 2);
        asm volatile("wgmma.fence.sync.aligned;" ::: "memory");
        for (int i = 0; i < 4; i++) multiply(d, at + group * 8192 + i * 32, at + 16384 + i * 32);
        asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory");
        asm volatile("wgmma.wait_group.sync.aligned 0;" ::: "memory");
        __syncthreads();
    }
    int row = blockIdx.x / (n / 128) * 128 + t / 32 * 16 + t % 32 / 4;
    int column = blockIdx.x % (n / 128) * 128 + t % 4 * 2;
    for (int j = 0; j < 16; j++)
        for (int h = 0; h < 2; h++)
            *(float2 *)(c + (size_t)(row + h * 8) * n + column + j * 8) =
                make_float2(d[4 * j + 2 * h], d[4 * j + 2 * h + 1]);
}
#endif
