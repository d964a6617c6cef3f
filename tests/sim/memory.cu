// memory.cu - kernels of test_memory.c: widths, address spaces, atomics, asynchronous copies.
// Every kernel is k(const unsigned *in, unsigned *out, int n), n words each.
typedef unsigned u32;
typedef unsigned long long u64;
#define KERNEL(name) extern "C" __global__ void name(const u32 *in, u32 *out, int n)
#define INDEX (blockIdx.x * blockDim.x + threadIdx.x)

// ---- widths: element i for all i that fit, through a register of the type
#define COPY(name, type)                                                                           \
    KERNEL(copy_##name)                                                                            \
    {                                                                                              \
        int count = n * 4 / sizeof(type);                                                          \
        for (int i = INDEX; i < count; i += gridDim.x * blockDim.x)                                \
            ((type *)out)[i] = ((const type *)in)[i];                                              \
    }
COPY(u8, unsigned char)
COPY(u16, unsigned short)
COPY(u32, unsigned)
COPY(u64, unsigned long long)
COPY(char2, char2)
COPY(char4, char4)
COPY(ushort2, ushort2)
COPY(ushort4, ushort4)
COPY(float2, float2)
COPY(uint4, uint4)
COPY(double2, double2)

KERNEL(copy_hints)
{
    for (int i = INDEX; i < n / 16; i += gridDim.x * blockDim.x) {
        const uint4 *from = (const uint4 *)in + i * 4;
        uint4 *to = (uint4 *)out + i * 4;
        __stcs(to, __ldg(from));
        __stcg(to + 1, __ldcg(from + 1));
        __stwt(to + 2, __ldcs(from + 2));
        to[3] = __ldlu(from + 3);
    }
}

// signed and unsigned narrow loads extend differently
KERNEL(extend)
{
    const signed char *s = (const signed char *)in;
    const short *h = (const short *)in;
    out[INDEX] = s[INDEX] + h[INDEX] * 3 + ((const unsigned char *)in)[INDEX] * 65536;
}

// ---- address spaces
__constant__ int table[8] = {3, 1, 4, 1, 5, 9, 2, 6};
__device__ int offsets[4] = {100, 200, 300, 400};

__device__ __noinline__ u32 sum_of(const u32 *p, int count)
{
    u32 sum = 0;
    for (int i = 0; i < count; i++) sum += p[i];
    return sum;
}

// one function, pointers into three spaces
KERNEL(generic)
{
    __shared__ u32 shared[64];
    u32 local[8];
    int t = threadIdx.x;
    shared[t] = in[t];
    for (int i = 0; i < 8; i++) local[(i + t) & 7] = in[t + i] ^ i;
    __syncthreads();
    const u32 *p = t % 3 == 0 ? shared + (t & 31) : t % 3 == 1 ? local : in + t;
    out[t] = sum_of(p, 8);
}

KERNEL(local_array)
{
    u32 a[16];
    int t = INDEX;
    for (int i = 0; i < 16; i++) a[i] = i;
    for (int i = 0; i < 32; i++) a[in[t + i] & 15] += in[t + i] >> 8;
    u32 sum = 0;
    for (int i = 0; i < 16; i++) sum = sum * 31 + a[i];
    out[t] = sum;
}

KERNEL(tables)
{
    int t = INDEX;
    out[t] = table[in[t] & 7] + offsets[in[t] >> 3 & 3];
}

KERNEL(transpose)
{
    __shared__ u32 tile[32][33];
    int x = threadIdx.x & 31, y = threadIdx.x >> 5;
    for (int r = y; r < 32; r += 8) tile[r][x] = in[r * 32 + x];
    __syncthreads();
    for (int r = y; r < 32; r += 8) out[r * 32 + x] = tile[x][r];
}

KERNEL(dynamic_shared)
{
    extern __shared__ __align__(16) unsigned char bytes[];
    __shared__ u32 fixed[32];
    u32 *words = (u32 *)(bytes + 256);
    int t = threadIdx.x;
    if (t < 32) fixed[t] = t;
    words[t] = in[t];
    __syncthreads();
    out[t] = words[blockDim.x - 1 - t] + fixed[t & 31];
}

// neighbours store bytes and halves of one word: no race
KERNEL(narrow_neighbours)
{
    __shared__ unsigned short halves[256];
    __shared__ unsigned char bytes[256];
    int t = threadIdx.x, mixed = (t & 7) * 32 + (t >> 3); // neighbours in different warps
    halves[mixed] = (unsigned short)in[mixed];
    bytes[mixed] = (unsigned char)(in[mixed] >> 16);
    ((unsigned short *)out)[mixed + blockIdx.x * 256] = (unsigned short)in[mixed];
    __syncthreads();
    out[1024 + t + blockIdx.x * 256] = halves[255 - t] | bytes[t] << 16;
}

// ---- atomics: every thread on a few words
template <class T> __device__ void atomics(T *w, u32 x)
{
    atomicAdd(w + 0, x);
    atomicSub(w + 1, x);
    atomicMin(w + 2, x);
    atomicMax(w + 3, x);
    atomicAnd(w + 4, x | 0xff00ff);
    atomicOr(w + 5, x & 0x0f0f0f);
    atomicXor(w + 6, x);
    atomicMin((int *)w + 7, (int)x);
    atomicMax((int *)w + 8, (int)x);
    atomicInc(w + 9, 37);
    atomicDec(w + 10, 41);
    u32 old = *(volatile u32 *)(w + 11), seen;
    do { // multiply by compare and swap
        seen = old;
        old = atomicCAS(w + 11, seen, seen * 5 + 1);
    } while (old != seen);
    atomicAdd((float *)w + 12, (float)(x & 15));
    atomicAdd((u64 *)(w + 14), (u64)x << 8);
    atomicMax((u64 *)(w + 16), (u64)x << 16);
    atomicAdd((double *)(w + 18), (double)(x & 1023));
    atomicExch(w + 20, 77);
    if (atomicCAS(w + 21, 0u, 1u) == 0) atomicAdd(w + 22, 1u);
    atomicAdd_block(w + 23, 1u);
}

KERNEL(atomics_global)
{
    atomics(out + 32 * blockIdx.x, in[INDEX]);
}

KERNEL(atomics_shared)
{
    __shared__ __align__(8) u32 w[32];
    if (threadIdx.x < 32) w[threadIdx.x] = 0;
    __syncthreads();
    atomics(w, in[INDEX]);
    __syncthreads();
    if (threadIdx.x < 32) out[32 * blockIdx.x + threadIdx.x] = w[threadIdx.x];
}

// what atomics return: tickets are handed out once each
KERNEL(tickets)
{
    u32 ticket = atomicAdd(out, 1u);
    out[1 + ticket] = 1;
    if (threadIdx.x == 0) atomicExch(out + 3000 + blockIdx.x, 9u);
}

// packed halves: 1.0 and 2.0 in every lane
KERNEL(atomics_packed)
{
    u32 f16 = 0x40003c00, old;
    asm volatile("atom.global.add.noftz.f16x2 %0, [%1], %2;" : "=r"(old) : "l"(out + (INDEX & 3)),
                 "r"(f16) : "memory");
    asm volatile("red.global.add.noftz.f16x2 [%0], %1;" ::"l"(out + 8), "r"(f16) : "memory");
}

#if __CUDA_ARCH__ >= 900
KERNEL(atomics_bf16)
{
    u32 bf16 = 0x40003f80;
    asm volatile("red.global.add.noftz.bf16x2 [%0], %1;" ::"l"(out), "r"(bf16) : "memory");
}
#else
KERNEL(atomics_bf16)
{
}
#endif

#if __CUDA_ARCH__ >= 900
KERNEL(atomics_vector)
{
    float2 a = atomicAdd((float2 *)out, make_float2(1, 2));
    atomicAdd((float4 *)out + 1, make_float4(3, 4, 5, 6));
    if (threadIdx.x == 31) ((float2 *)out)[4] = a;
}
#else
KERNEL(atomics_vector)
{
}
#endif

// ---- order between blocks
// the block that comes last adds up what the others left
KERNEL(last_block)
{
    __shared__ bool last;
    out[1 + INDEX] = in[INDEX] & 0xffff;
    __threadfence();
    __syncthreads();
    if (threadIdx.x == 0) last = atomicAdd(out, 1u) == gridDim.x - 1;
    __syncthreads();
    if (!last) return;
    __threadfence();
    u32 sum = 0;
    for (int i = threadIdx.x; i < gridDim.x * blockDim.x; i += blockDim.x)
        sum += *(volatile u32 *)(out + 1 + i);
    atomicAdd(out + 4000, sum);
}

// each block waits for the sum of the one before it
KERNEL(chained)
{
    if (threadIdx.x) return;
    u32 b = blockIdx.x, before = 0, flag = 0;
    if (b > 0) {
        while (!flag)
            asm volatile("ld.acquire.gpu.global.u32 %0, [%1];" : "=r"(flag)
                         : "l"(out + 1000 + b - 1) : "memory");
        before = out[b - 1];
    }
    out[b] = before + (in[b] & 0xff);
    asm volatile("st.release.gpu.global.u32 [%0], %1;" ::"l"(out + 1000 + b), "r"(1u) : "memory");
}

// ---- asynchronous copies
__device__ u32 window(const void *p)
{
    return (u32)__cvta_generic_to_shared(p);
}

KERNEL(async_widths)
{
    __shared__ __align__(16) u32 s[3][256];
    int t = threadIdx.x; // 64 threads, 16 bytes each
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(window(&s[0][t * 4])),
                 "l"(in + t * 4) : "memory");
    for (int i = 0; i < 2; i++)
        asm volatile("cp.async.ca.shared.global [%0], [%1], 8;" ::"r"(window(&s[1][t * 4 + i * 2])),
                     "l"(in + 256 + t * 4 + i * 2) : "memory");
    for (int i = 0; i < 4; i++)
        asm volatile("cp.async.ca.shared.global [%0], [%1], 4;" ::"r"(window(&s[2][t * 4 + i])),
                     "l"(in + 512 + t * 4 + i) : "memory");
    asm volatile("cp.async.wait_all;" ::: "memory");
    __syncthreads();
    for (int i = t; i < 768; i += 64) out[i] = s[i / 256][(i & 255) ^ 5];
}

// source size t % 17: the rest of the 16 bytes becomes zero
KERNEL(async_zero_fill)
{
    __shared__ __align__(16) u32 s[256];
    int t = threadIdx.x, size = t % 17;
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(window(&s[t * 4])),
                 "l"(in + t * 4), "r"(size) : "memory");
    asm volatile("cp.async.commit_group;" ::: "memory");
    asm volatile("cp.async.wait_group 0;" ::: "memory");
    for (int i = 0; i < 4; i++) out[t * 4 + i] = s[t * 4 + i];
}

// a ring of three stages, two in flight, over 16 tiles of 64 words
KERNEL(async_ring)
{
    __shared__ __align__(16) u32 s[3][64];
    int t = threadIdx.x; // 32 threads: 16 copy, all read
    u32 sum = 0;
    for (int tile = 0; tile < 2; tile++) {
        if (t < 16)
            asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(window(&s[tile][t * 4])),
                         "l"(in + tile * 64 + t * 4) : "memory");
        asm volatile("cp.async.commit_group;" ::: "memory");
    }
    for (int tile = 0; tile < 16; tile++) {
        asm volatile("cp.async.wait_group 1;" ::: "memory");
        __syncthreads();
        if (tile + 2 < 16 && t < 16)
            asm volatile("cp.async.cg.shared.global [%0], [%1], 16;"
                         ::"r"(window(&s[(tile + 2) % 3][t * 4])),
                         "l"(in + (tile + 2) * 64 + t * 4) : "memory");
        asm volatile("cp.async.commit_group;" ::: "memory");
        sum = sum * 3 + s[tile % 3][t] + s[tile % 3][63 - t];
    }
    out[t] = sum;
}
