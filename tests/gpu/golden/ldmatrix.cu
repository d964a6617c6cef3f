// ldmatrix.cu - ldmatrix.x4 with and without .trans, stmatrix.x4 and movmatrix
// block=32 out=1024 twin=1
extern "C" __global__ void k(const __grid_constant__ arguments a)
{
    __shared__ __align__(16) unsigned short s[4][8][8], t[4][8][8];
    int lane = threadIdx.x;
    for (int i = lane; i < 128; i += 32) ((unsigned *)s)[i] = a.in[i];
    __syncwarp();
    unsigned r[4], v[4], m[4];
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3]) : "r"(window(s[lane / 8][lane % 8])));
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
                 : "=r"(v[0]), "=r"(v[1]), "=r"(v[2]), "=r"(v[3]) : "r"(window(s[lane / 8][lane % 8])));
    asm volatile("stmatrix.sync.aligned.m8n8.x4.shared.b16 [%4], {%0,%1,%2,%3};"
                 ::"r"(r[0]), "r"(r[1]), "r"(r[2]), "r"(r[3]), "r"(window(t[lane / 8][lane % 8])) : "memory");
    for (int i = 0; i < 4; i++)
        asm("movmatrix.sync.aligned.m8n8.trans.b16 %0, %1;" : "=r"(m[i]) : "r"(r[i]));
    __syncwarp();
    int g = lane / 4, q = lane % 4;
    for (int i = 0; i < 4; i++) {
        unsigned plain = s[i][g][2 * q] | (unsigned)s[i][g][2 * q + 1] << 16;
        unsigned turned = s[i][2 * q][g] | (unsigned)s[i][2 * q + 1][g] << 16;
        unsigned got[4] = {r[i], v[i], ((unsigned *)t)[i * 32 + lane], m[i]};
        unsigned want[4] = {plain, turned, ((unsigned *)s)[i * 32 + lane], turned};
        for (int j = 0; j < 4; j++) {
            a.out[j * 128 + i * 32 + lane] = got[j];
            a.out[512 + j * 128 + i * 32 + lane] = want[j];
        }
    }
}
