// mma_m16n8k8_tf32.cu - mma.sync of tf32
// block=32 out=256 twin=1 data=f32
extern "C" __global__ void k(const __grid_constant__ arguments a)
{
    const unsigned *A = a.in, *B = A + 128; // [16][8], [8][8]
    int lane = threadIdx.x, g = lane / 4, q = lane % 4;
    float c[4] = {0, 0, 0, 0};
    asm("mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
        : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
        : "r"(A[g * 8 + q]), "r"(A[(g + 8) * 8 + q]), "r"(A[g * 8 + q + 4]), "r"(A[(g + 8) * 8 + q + 4]),
          "r"(B[g * 8 + q]), "r"(B[g * 8 + q + 4]));
    for (int i = 0; i < 4; i++) {
        int row = g + i / 2 * 8, column = 2 * q + i % 2;
        float sum = 0;
        for (int n = 0; n < 8; n++)
            sum += __uint_as_float(A[row * 8 + n]) * __uint_as_float(B[column * 8 + n]);
        a.out[row * 8 + column] = __float_as_uint(c[i]);
        a.out[128 + row * 8 + column] = __float_as_uint(sum);
    }
}
