// matrix.cu - kernels of test_matrix.c: mma.sync, ldmatrix and stmatrix, one warp a block.
// Every kernel is k(const unsigned *in, unsigned *out, int n). A lane of an mma takes A from words
// 0..3, B from 4..5 and C from 8..11 of its 16 words; elements are small integers, so that every
// sum is exact in any order.
typedef unsigned u32;
#define KERNEL(name) extern "C" __global__ void name(const u32 *in, u32 *out, int n)
#define INDEX (blockIdx.x * blockDim.x + threadIdx.x)

__device__ float element(u32 bits)
{
    return (float)((int)(bits & 15) - 8);
}

__device__ u32 pair_bf16(u32 w)
{
    u32 d;
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(d) : "f"(element(w >> 16)), "f"(element(w)));
    return d;
}

__device__ u32 pair_f16(u32 w)
{
    u32 d;
    asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(d) : "f"(element(w >> 16)), "f"(element(w)));
    return d;
}

__device__ u32 one_tf32(u32 w)
{
    u32 d;
    asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(d) : "f"((float)((int)(w & 511) - 256)));
    return d;
}

template <u32 (*operand)(u32)> struct fragments {
    u32 a[4], b[2];
    float c[4];
    __device__ fragments(const u32 *in)
    {
        for (int i = 0; i < 4; i++) a[i] = operand(in[i]);
        for (int i = 0; i < 2; i++) b[i] = operand(in[4 + i]);
        for (int i = 0; i < 4; i++) c[i] = (float)((int)(in[8 + i] & 255) - 128);
    }
    __device__ void store(u32 *out)
    {
        for (int i = 0; i < 4; i++) out[i] = __float_as_uint(c[i]);
    }
};

#define C4(f) "+f"(f.c[0]), "+f"(f.c[1]), "+f"(f.c[2]), "+f"(f.c[3])
#define A4(f) "r"(f.a[0]), "r"(f.a[1]), "r"(f.a[2]), "r"(f.a[3])
#define A2(f) "r"(f.a[0]), "r"(f.a[1])
#define B2(f) "r"(f.b[0]), "r"(f.b[1])

#define MMA_A4_B2(name, operand, shape_types)                                                      \
    KERNEL(name)                                                                                   \
    {                                                                                              \
        fragments<operand> f(in + INDEX * 16);                                                     \
        asm volatile("mma.sync.aligned." shape_types                                               \
                     " {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"                      \
                     : C4(f) : A4(f), B2(f));                                                      \
        f.store(out + INDEX * 4);                                                                  \
    }
#define MMA_A2_B1(name, operand, shape_types)                                                      \
    KERNEL(name)                                                                                   \
    {                                                                                              \
        fragments<operand> f(in + INDEX * 16);                                                     \
        asm volatile("mma.sync.aligned." shape_types                                               \
                     " {%0,%1,%2,%3}, {%4,%5}, {%6}, {%0,%1,%2,%3};"                               \
                     : C4(f) : A2(f), "r"(f.b[0]));                                                \
        f.store(out + INDEX * 4);                                                                  \
    }
MMA_A4_B2(mma_bf16_k16, pair_bf16, "m16n8k16.row.col.f32.bf16.bf16.f32")
MMA_A4_B2(mma_f16_k16, pair_f16, "m16n8k16.row.col.f32.f16.f16.f32")
MMA_A2_B1(mma_bf16_k8, pair_bf16, "m16n8k8.row.col.f32.bf16.bf16.f32")
MMA_A2_B1(mma_f16_k8, pair_f16, "m16n8k8.row.col.f32.f16.f16.f32")
MMA_A4_B2(mma_tf32_k8, one_tf32, "m16n8k8.row.col.f32.tf32.tf32.f32")
MMA_A2_B1(mma_tf32_k4, one_tf32, "m16n8k4.row.col.f32.tf32.tf32.f32")

// accumulators in f16: two registers of pairs
KERNEL(mma_f16_acc_k16)
{
    fragments<pair_f16> f(in + INDEX * 16);
    u32 c0 = pair_f16(in[INDEX * 16 + 8]), c1 = pair_f16(in[INDEX * 16 + 9]);
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f16.f16.f16.f16 {%0,%1}, {%2,%3,%4,%5},"
                 " {%6,%7}, {%0,%1};" : "+r"(c0), "+r"(c1) : A4(f), B2(f));
    out[INDEX * 4] = c0;
    out[INDEX * 4 + 1] = c1;
}

KERNEL(mma_f16_acc_k8)
{
    fragments<pair_f16> f(in + INDEX * 16);
    u32 c0 = pair_f16(in[INDEX * 16 + 8]), c1 = pair_f16(in[INDEX * 16 + 9]);
    asm volatile("mma.sync.aligned.m16n8k8.row.col.f16.f16.f16.f16 {%0,%1}, {%2,%3}, {%4}, {%0,%1};"
                 : "+r"(c0), "+r"(c1) : A2(f), "r"(f.b[0]));
    out[INDEX * 4] = c0;
    out[INDEX * 4 + 1] = c1;
}

// ---- ldmatrix: four 8x8 tiles of 16-bit elements, rows 48 bytes apart
__device__ u32 staged(u32 *tiles, const u32 *in)
{
    for (int i = threadIdx.x; i < 32 * 12; i += 32) tiles[i] = in[blockIdx.x * 32 * 12 + i];
    __syncwarp();
    return (u32)__cvta_generic_to_shared(tiles + threadIdx.x * 12);
}

#define R1 "=r"(r[0])
#define R2 "=r"(r[0]), "=r"(r[1])
#define R4 "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
#define LOAD(name, count, text)                                                                    \
    KERNEL(name)                                                                                   \
    {                                                                                              \
        __shared__ __align__(16) u32 tiles[32 * 12];                                               \
        u32 at = staged(tiles, in), r[4];                                                          \
        asm volatile("ldmatrix.sync.aligned.m8n8." text : R##count : "r"(at) : "memory");          \
        for (int i = 0; i < count; i++) out[INDEX * 4 + i] = r[i];                                 \
    }
LOAD(load_x1, 1, "x1.shared.b16 {%0}, [%1];")
LOAD(load_x1_trans, 1, "x1.trans.shared.b16 {%0}, [%1];")
LOAD(load_x2, 2, "x2.shared.b16 {%0,%1}, [%2];")
LOAD(load_x2_trans, 2, "x2.trans.shared.b16 {%0,%1}, [%2];")
LOAD(load_x4, 4, "x4.shared.b16 {%0,%1,%2,%3}, [%4];")
LOAD(load_x4_trans, 4, "x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];")

#if __CUDA_ARCH__ >= 900
#define STORE4(name, text)                                                                         \
    KERNEL(name)                                                                                   \
    {                                                                                              \
        __shared__ __align__(16) u32 tiles[32 * 4];                                                \
        u32 at = (u32)__cvta_generic_to_shared(tiles + threadIdx.x * 4);                           \
        const u32 *r = in + INDEX * 4;                                                             \
        asm volatile("stmatrix.sync.aligned.m8n8." text ::"r"(at), "r"(r[0]), "r"(r[1]),           \
                     "r"(r[2]), "r"(r[3]) : "memory");                                             \
        __syncwarp();                                                                              \
        for (int i = 0; i < 4; i++) out[INDEX * 4 + i] = tiles[threadIdx.x * 4 + i];               \
    }
#else
#define STORE4(name, text)                                                                         \
    KERNEL(name)                                                                                   \
    {                                                                                              \
    }
#endif
STORE4(store_x4, "x4.shared.b16 [%0], {%1,%2,%3,%4};")
STORE4(store_x4_trans, "x4.trans.shared.b16 [%0], {%1,%2,%3,%4};")

// ---- a tile as templates build it: 16x8x32 from shared memory through ldmatrix
KERNEL(tile)
{
    __shared__ __align__(16) u32 a[16 * 20], b[8 * 20]; // rows of 32 elements, padded to 80 bytes
    int t = threadIdx.x;
    const u32 *from = in + blockIdx.x * 512;
    for (int i = t; i < 256; i += 32) a[i / 16 * 20 + i % 16] = pair_bf16(from[i]);
    for (int i = t; i < 128; i += 32) b[i / 16 * 20 + i % 16] = pair_bf16(from[256 + i]);
    __syncwarp();
    float c[4] = {0, 0, 0, 0};
    for (int k = 0; k < 2; k++) {
        u32 ra[4], rb[2];
        u32 at = (u32)__cvta_generic_to_shared(a + (t % 16) * 20 + k * 8 + t / 16 * 4);
        u32 bt = (u32)__cvta_generic_to_shared(b + (t % 8) * 20 + k * 8 + t / 8 % 2 * 4);
        asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
                     : "=r"(ra[0]), "=r"(ra[1]), "=r"(ra[2]), "=r"(ra[3]) : "r"(at) : "memory");
        asm volatile("ldmatrix.sync.aligned.m8n8.x2.shared.b16 {%0,%1}, [%2];"
                     : "=r"(rb[0]), "=r"(rb[1]) : "r"(bt) : "memory");
        asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32"
                     " {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
                     : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
                     : "r"(ra[0]), "r"(ra[1]), "r"(ra[2]), "r"(ra[3]), "r"(rb[0]), "r"(rb[1]));
    }
    for (int i = 0; i < 4; i++)
        out[blockIdx.x * 128 + (t / 4 + i / 2 * 8) * 8 + t % 4 * 2 + i % 2] = __float_as_uint(c[i]);
}
