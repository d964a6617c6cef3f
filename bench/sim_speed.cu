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
