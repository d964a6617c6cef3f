// cp_async.cu - cp.async of 16 and 4 bytes, part of them zeros; and their arrival at an mbarrier
// block=32 out=512 twin=1
extern "C" __global__ void k(const __grid_constant__ arguments a)
{
    __shared__ __align__(16) unsigned s[256];
    __shared__ unsigned long long full;
    int lane = threadIdx.x;
    if (lane == 0) barrier_init(window(&full), 32);
    __syncwarp();
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(window(s + 4 * lane)), "l"(a.in + 4 * lane), "r"(lane % 5 * 4) : "memory");
    for (int i = 0; i < 4; i++)
        asm volatile("cp.async.ca.shared.global [%0], [%1], 4;" ::"r"(window(s + 128 + i * 32 + lane)), "l"(a.in + 128 + (i * 32 + lane) * 3) : "memory");
    asm volatile("cp.async.mbarrier.arrive.noinc.shared::cta.b64 [%0];" ::"r"(window(&full)) : "memory");
    barrier_wait(window(&full), 0);
    for (int i = lane; i < 256; i += 32) {
        a.out[i] = s[i];
        a.out[256 + i] = i >= 128 ? a.in[128 + (i - 128) * 3] : i % 4 < i / 4 % 5 ? a.in[i] : 0;
    }
}
