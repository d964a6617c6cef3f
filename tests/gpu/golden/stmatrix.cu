// stmatrix.cu - stmatrix of one, two and four matrices, as they are and transposed
// block=32 out=896 twin=1
#define STORE(text, at, ...) \
    asm volatile("stmatrix.sync.aligned.m8n8." text ::"r"(window(s + at) + lane * 16), __VA_ARGS__ : "memory")
extern "C" __global__ void k(const __grid_constant__ arguments a)
{
    __shared__ __align__(16) unsigned s[448];
    int lane = threadIdx.x;
    unsigned r[4];
    for (int i = 0; i < 4; i++) r[i] = a.in[i * 32 + lane];
    STORE("x1.shared.b16 [%0], {%1};", 0, "r"(r[0]));
    STORE("x1.trans.shared.b16 [%0], {%1};", 32, "r"(r[1]));
    STORE("x2.shared.b16 [%0], {%1, %2};", 64, "r"(r[0]), "r"(r[1]));
    STORE("x2.trans.shared.b16 [%0], {%1, %2};", 128, "r"(r[2]), "r"(r[3]));
    STORE("x4.shared.b16 [%0], {%1, %2, %3, %4};", 192, "r"(r[0]), "r"(r[1]), "r"(r[2]), "r"(r[3]));
    STORE("x4.trans.shared.b16 [%0], {%1, %2, %3, %4};", 320, "r"(r[0]), "r"(r[1]), "r"(r[2]), "r"(r[3]));
    __syncwarp();
    const unsigned short *in = (const unsigned short *)a.in;
    const int from[14] = {0, 1, 0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3}, turned = 0x3c32;
    for (int m = 0; m < 14; m++) {
        int row = lane / 4, column = lane % 4 * 2;
        const unsigned short *matrix = in + from[m] * 64;
        bool trans = turned >> m & 1;
        unsigned low = trans ? matrix[column * 8 + row] : matrix[row * 8 + column];
        unsigned high = trans ? matrix[(column + 1) * 8 + row] : matrix[row * 8 + column + 1];
        a.out[m * 32 + lane] = s[m * 32 + lane];
        a.out[448 + m * 32 + lane] = low | high << 16;
    }
}
