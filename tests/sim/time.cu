// time.cu - pairs of kernels whose order in time is known, for test_time.c. It is appended to
// bench/sim_speed.cu and uses its gemm. Kernels are k(const u32 *in, u32 *out, int n).
#define KERNEL(name) extern "C" __global__ void name(const u32 *in, u32 *out, int n)

KERNEL(copy_coalesced)
{
    for (int i = INDEX; i < n; i += gridDim.x * blockDim.x) out[i] = in[i];
}

// the same words, but neighbours are n / 32 words apart
KERNEL(copy_strided)
{
    int step = n / 32;
    for (int i = INDEX; i < n; i += gridDim.x * blockDim.x) {
        int at = (i & 31) * step + i / 32;
        out[at] = in[at];
    }
}

KERNEL(shared_rows)
{
    __shared__ u32 s[32 * 33];
    u32 x = 0;
    for (int i = threadIdx.x; i < 32 * 33; i += blockDim.x) s[i] = i;
    __syncthreads();
    for (int i = 0; i < n; i++) x += s[(threadIdx.x & 31) * 33 + (i & 31)];
    out[INDEX] = x;
}

KERNEL(shared_columns)
{
    __shared__ u32 s[32 * 33];
    u32 x = 0;
    for (int i = threadIdx.x; i < 32 * 33; i += blockDim.x) s[i] = i;
    __syncthreads();
    for (int i = 0; i < n; i++) x += s[(threadIdx.x & 31) * 32 + (i & 31)];
    out[INDEX] = x;
}

KERNEL(loads_apart)
{
    u32 x = 0;
#pragma unroll 16
    for (int i = 0; i < n; i++) x += in[INDEX + i * 64];
    out[INDEX] = x;
}

KERNEL(loads_chained)
{
    u32 x = INDEX;
    for (int i = 0; i < n; i++) x = in[x & 0xffff] & 0xffff;
    out[INDEX] = x;
}

KERNEL(chase)
{
    u32 x = 0;
#pragma unroll 1
    for (int i = 0; i < n; i++) x = in[x];
    out[INDEX] = x;
}

KERNEL(hoisted)
{
    float s = __uint_as_float(in[INDEX]), x = 1.0f;
#pragma unroll 1
    for (int i = 0; i < n; i++) x = x * s + 1.0f;
    out[INDEX] = __float_as_uint(x);
}

KERNEL(used_first)
{
    float s = __uint_as_float(in[INDEX]), x = s + 1.0f;
#pragma unroll 1
    for (int i = 0; i < n; i++) x = x * s + 1.0f;
    out[INDEX] = __float_as_uint(x);
}

// 128 chunks of 1 MiB, each read by eight blocks: by neighbours, or by blocks far apart
__device__ __forceinline__ void read_chunk(const u32 *in, u32 *out, u32 chunk)
{
    const uint4 *x = (const uint4 *)in + (size_t)chunk * 65536;
    u32 sum = 0;
#pragma unroll 8
    for (int i = threadIdx.x; i < 65536; i += 1024) sum += x[i].x + x[i].y + x[i].z + x[i].w;
    if (sum == 12345) *out = sum;
}

KERNEL(near_reuse)
{
    read_chunk(in, out, blockIdx.x / 8);
}

KERNEL(far_reuse)
{
    read_chunk(in, out, blockIdx.x % 128);
}

KERNEL(atomics_spread)
{
    for (int i = 0; i < n; i++) atomicAdd(out + INDEX, 1u);
}

KERNEL(atomics_one_word)
{
    for (int i = 0; i < n; i++) atomicAdd(out + (threadIdx.x & 1), i + threadIdx.x);
}

KERNEL(multiply)
{
    float x = (float)in[INDEX], y = 1.5f;
    for (int i = 0; i < n; i++) y = y * x + 0.5f;
    out[INDEX] = (u32)y;
}

KERNEL(divide)
{
    float x = (float)in[INDEX], y = 1.5f;
    for (int i = 0; i < n; i++) y = y / x + 0.5f;
    out[INDEX] = (u32)y;
}

// Block `first` does n loads in a row and sets a flag, out[n]; the others wait for it and do as
// many.
__device__ __forceinline__ void hand_over(const u32 *in, u32 *out, int n, u32 first)
{
    volatile u32 *flag = out + n;
    u32 x = threadIdx.x;
    if (blockIdx.x != first) {
        while (!*flag) {
        }
        __threadfence();
    }
    for (int i = 0; i < n; i++) x = in[x & 0xffff] & 0xffff;
    out[n + 1 + INDEX] = x;
    __threadfence();
    __syncthreads();
    if (blockIdx.x == first && threadIdx.x == 0) *flag = 1;
}

KERNEL(hand_on)
{
    hand_over(in, out, n, 0);
}

KERNEL(hand_back)
{
    hand_over(in, out, n, gridDim.x - 1);
}

#define TILE(bm, warps_m, warps_n)                                                                 \
    extern "C" __global__ void tile##bm(const u16 *a, const u16 *b, float *c, int n, int k)        \
    {                                                                                              \
        gemm<bm, 64, warps_m, warps_n>(a, b, c, n, k);                                             \
    }
TILE(16, 1, 4)
TILE(128, 4, 1)
