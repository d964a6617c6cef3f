// bulk_linear.cu - bulk copies without a tensor, there and back
// block=32 smem=1024 out=512 twin=1
extern "C" __global__ void k(const __grid_constant__ arguments a)
{
    extern __shared__ __align__(128) unsigned s[];
    __shared__ unsigned long long full;
    if (threadIdx.x == 0) {
        barrier_init(window(&full), 1);
        barrier_expect(window(&full), 1024);
        asm volatile("cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1], 1024, [%2];"
                     ::"r"(window(s)), "l"(a.in + 64), "r"(window(&full)) : "memory");
        barrier_wait(window(&full), 0);
        asm volatile("cp.async.bulk.global.shared::cta.bulk_group [%0], [%1], 1024;" ::"l"(a.out), "r"(window(s)) : "memory");
        asm volatile("cp.async.bulk.commit_group;" ::: "memory");
        asm volatile("cp.async.bulk.wait_group 0;" ::: "memory");
    }
    for (int i = threadIdx.x; i < 256; i += 32) a.out[256 + i] = a.in[64 + i];
}
