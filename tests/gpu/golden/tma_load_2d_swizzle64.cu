// tma_load_2d_swizzle64.cu - a box that leaves the tensor on two sides; swizzled by 64 bytes
// block=128 smem=5120 out=512 twin=1 in_map=104x20:32x16:64
extern "C" __global__ void k(const __grid_constant__ arguments a)
{
    extern __shared__ __align__(1024) unsigned char s[];
    __shared__ unsigned long long full;
    const unsigned short *in = (const unsigned short *)a.in;
    const int W = 32, X = 104 - 32 / 2, Y = 12;
    if (threadIdx.x == 0) {
        barrier_init(window(&full), 1);
        barrier_expect(window(&full), W * 16 * 2);
        asm volatile("cp.async.bulk.tensor.2d.shared::cluster.global.tile.mbarrier::complete_tx::bytes [%0], [%1, {%2, %3}], [%4];"
                     ::"r"(window(s)), "l"(&a.map[0]), "r"(X), "r"(Y), "r"(window(&full)) : "memory");
    }
    __syncthreads();
    barrier_wait(window(&full), 0);
    for (int i = threadIdx.x; i < W * 8; i += 128) {
        unsigned want = 0;
        for (int h = 0; h < 2; h++) {
            int x = X + (2 * i + h) % W, y = Y + (2 * i + h) / W;
            if (x < 104 && y < 20) want |= (unsigned)in[y * 104 + x] << 16 * h;
        }
        a.out[i] = *(const unsigned *)(s + swizzle(i * 4, 64));
        a.out[W * 8 + i] = want;
    }
}
