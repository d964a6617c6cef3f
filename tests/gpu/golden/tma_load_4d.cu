// tma_load_4d.cu - gate rows and up rows of one expert by one box of four dimensions
// block=128 smem=5120 out=2048 twin=1 in_map=72x12x2x3:64x16x2x1:128
extern "C" __global__ void k(const __grid_constant__ arguments a)
{
    extern __shared__ __align__(1024) unsigned char s[];
    __shared__ unsigned long long full;
    const unsigned short *in = (const unsigned short *)a.in;
    if (threadIdx.x == 0) {
        barrier_init(window(&full), 1);
        barrier_expect(window(&full), 4096);
        asm volatile("cp.async.bulk.tensor.4d.shared::cluster.global.tile.mbarrier::complete_tx::bytes [%0], [%1, {%2, %3, %4, %5}], [%6];"
                     ::"r"(window(s)), "l"(&a.map[0]), "r"(16), "r"(4), "r"(0), "r"(2), "r"(window(&full)) : "memory");
    }
    __syncthreads();
    barrier_wait(window(&full), 0);
    for (int i = threadIdx.x; i < 1024; i += 128) {
        unsigned want = 0;
        for (int h = 0; h < 2; h++) {
            int x = 16 + (2 * i + h) % 64, y = 4 + (2 * i + h) / 64 % 16, z = (2 * i + h) / 1024;
            if (x < 72 && y < 12) want |= (unsigned)in[((2 * 2 + z) * 12 + y) * 72 + x] << 16 * h;
        }
        a.out[i] = *(const unsigned *)(s + swizzle(i * 4, 128));
        a.out[1024 + i] = want;
    }
}
