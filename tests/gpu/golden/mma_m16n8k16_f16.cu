// mma_m16n8k16_f16.cu - mma.sync of f16 with f32 sums: fragments as PTX lays them out
// block=32 out=256 twin=1 data=f16
extern "C" __global__ void k(const __grid_constant__ arguments a)
{
    const unsigned short *A = (const unsigned short *)a.in, *B = A + 256; // [16][16], [8][16]
    int lane = threadIdx.x, g = lane / 4, q = lane % 4;
    unsigned f[4], b[2];
    float c[4] = {1, 2, 3, 4};
    for (int i = 0; i < 4; i++) f[i] = *(const unsigned *)&A[(g + i % 2 * 8) * 16 + 2 * q + i / 2 * 8];
    for (int i = 0; i < 2; i++) b[i] = *(const unsigned *)&B[g * 16 + 2 * q + i * 8];
    asm("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
        : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
        : "r"(f[0]), "r"(f[1]), "r"(f[2]), "r"(f[3]), "r"(b[0]), "r"(b[1]));
    for (int i = 0; i < 4; i++) {
        int row = g + i / 2 * 8, column = 2 * q + i % 2;
        float sum = 1.0f + i;
        for (int n = 0; n < 16; n++) sum += f16(A[row * 16 + n]) * f16(B[column * 16 + n]);
        a.out[row * 8 + column] = __float_as_uint(c[i]);
        a.out[128 + row * 8 + column] = __float_as_uint(sum);
    }
}
