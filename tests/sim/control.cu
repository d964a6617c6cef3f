// control.cu - kernels of test_control.c: divergence, calls, barriers, special registers.
// Every kernel is k(const unsigned *in, unsigned *out, int n), n words each.
typedef unsigned u32;
#define KERNEL(name) extern "C" __global__ void name(const u32 *in, u32 *out, int n)
#define INDEX (blockIdx.x * blockDim.x + threadIdx.x)

KERNEL(collatz)
{
    unsigned long long x = in[INDEX] % 100000 + 1;
    u32 steps = 0;
    while (x != 1) {
        x = x & 1 ? 3 * x + 1 : x / 2;
        steps++;
    }
    out[INDEX] = steps;
}

KERNEL(nested)
{
    u32 x = in[INDEX], sum = 0;
    for (u32 i = 0; i < (x & 15); i++) {
        if ((x >> i & 3) == 1) continue;
        for (u32 j = i; j < 20; j++) {
            if ((j * x & 31) == 7) break;
            sum += j ^ i;
            if (sum > 500) goto done;
        }
        sum += 3;
    }
done:
    out[INDEX] = sum;
}

KERNEL(cases)
{
    u32 x = in[INDEX], y = 0;
    switch (x % 13) {
    case 0: y = x + 1; break;
    case 1: y = x * 3; break;
    case 2: y = x >> 3; break;
    case 3: y = ~x; // falls through
    case 4: y += x / 7; break;
    case 5: y = x ^ 0x5555; break;
    case 6: y = x % 1000; break;
    case 7: return;
    case 8: y = __popc(x); break;
    case 9: y = __clz(x); break;
    case 10: y = __brev(x); break;
    default: y = 9;
    }
    out[INDEX] = y;
}

__device__ __noinline__ u32 mix(u32 a, unsigned long long b, float c, const u32 *p)
{
    return a * 3 + (u32)(b >> 32) + (u32)c + p[a & 7];
}

struct triple {
    u32 a, b, c;
};

__device__ __noinline__ triple make(u32 x)
{
    if (x & 1) return {x, x * 2, x * 3};
    return {x / 2, x / 3, x / 5};
}

// calls from divergent code, several parameters, a struct returned
KERNEL(calls)
{
    u32 x = in[INDEX], y = 0;
    if (x & 4) y = mix(x, (unsigned long long)x << 30, (float)(x & 255), in);
    triple t = make(x);
    if (x & 8) y += mix(t.a, 5ull << 32, 2.5f, in + 8);
    out[INDEX] = y + t.b - t.c;
}

// half of the warps, and half of each other warp, leave before the barrier
KERNEL(early_exit)
{
    __shared__ u32 s[256];
    int t = threadIdx.x;
    s[t] = 0;
    __syncthreads();
    if ((t >> 5 & 1) || (t & 1)) return;
    s[t] = in[t];
    __syncthreads();
    u32 sum = 0;
    for (int i = 0; i < 256; i += 2)
        if (!(i >> 5 & 1)) sum += s[i];
    out[t] = sum;
}

KERNEL(barrier_votes)
{
    int x = in[threadIdx.x] & 3;
    u32 count = __syncthreads_count(x == 0);
    u32 all = __syncthreads_and(x < 4), any = __syncthreads_or(x == 3 && threadIdx.x < 8);
    out[threadIdx.x] = count * 4 + (all != 0) * 2 + (any != 0);
}

// producers (warps 0, 1) hand buffers to consumers (warps 2, 3) through named barriers
KERNEL(named_barriers)
{
    __shared__ u32 s[2][64];
    int t = threadIdx.x, lane = t & 63;
    u32 sum = 0;
    for (int i = 0; i < 8; i++) {
        int b = i & 1; // barrier 1+b: full, 3+b: empty
        if (t < 64) {
            if (i >= 2) asm volatile("bar.sync %0, 128;" ::"r"(3 + b) : "memory");
            s[b][lane] = in[i * 64 + lane];
            asm volatile("bar.arrive %0, 128;" ::"r"(1 + b) : "memory");
        } else {
            asm volatile("bar.sync %0, 128;" ::"r"(1 + b) : "memory");
            sum = sum * 5 + s[b][63 - lane];
            if (i < 6) asm volatile("bar.arrive %0, 128;" ::"r"(3 + b) : "memory");
        }
    }
    if (t >= 64) out[lane] = sum;
}

KERNEL(warp_scan)
{
    __shared__ u32 totals[8];
    int t = threadIdx.x, lane = t & 31, warp = t >> 5;
    u32 x = in[t] & 0xffff;
    for (int d = 1; d < 32; d *= 2) {
        u32 y = __shfl_up_sync(~0u, x, d);
        if (lane >= d) x += y;
    }
    if (lane == 31) totals[warp] = x;
    __syncthreads();
    for (int i = 0; i < warp; i++) x += totals[i];
    out[t] = x;
}

// lanes exchange through shared memory with __syncwarp
KERNEL(syncwarp)
{
    __shared__ u32 s[128];
    int t = threadIdx.x;
    u32 x = in[t];
    for (int i = 0; i < 5; i++) {
        s[t] = x;
        __syncwarp();
        x = x * 3 + s[t ^ (1 << i)];
        __syncwarp();
    }
    out[t] = x;
}

KERNEL(registers)
{
    u32 lane, warp, lanes_below, clusters;
    asm("mov.u32 %0, %%laneid;" : "=r"(lane));
    asm("mov.u32 %0, %%warpid;" : "=r"(warp));
    asm("mov.u32 %0, %%lanemask_lt;" : "=r"(lanes_below));
    clusters = clock64() > 0;
    out[INDEX] = lane + warp * 100 + __popc(lanes_below) * 10000 + gridDim.x * 1000000 +
                 blockDim.x * 10000000 + (clusters ? 0 : 1);
}

// votes in a block that ends in the middle of a warp
KERNEL(partial_warp)
{
    u32 ballot = __ballot_sync(__activemask(), in[threadIdx.x] & 1);
    out[threadIdx.x] = ballot;
}

// asm with scoped names, a local loop, and a label used twice in the kernel
KERNEL(inline_asm)
{
    u32 x = in[INDEX] & 1023, a, b;
    asm volatile("{\n .reg .pred p;\n .reg .u32 r;\n mov.u32 r, %1;\n mov.u32 %0, 0;\n"
                 "LOOP:\n setp.lt.u32 p, r, 17;\n @p bra DONE;\n sub.u32 r, r, 17;\n"
                 " add.u32 %0, %0, 1;\n bra.uni LOOP;\nDONE:\n}" : "=r"(a) : "r"(x));
    asm volatile("{\n .reg .pred p;\n .reg .u32 r;\n mov.u32 r, %1;\n mov.u32 %0, 0;\n"
                 "LOOP:\n setp.lt.u32 p, r, 5;\n @p bra DONE;\n sub.u32 r, r, 5;\n"
                 " add.u32 %0, %0, 1;\n bra LOOP;\nDONE:\n}" : "=r"(b) : "r"(x));
    out[INDEX] = a * 65536 + b;
}

// the math library's slow paths: full-range division, exp, log, sqrt, powers
KERNEL(math)
{
    float x = (float)(in[INDEX] & 1023) / 64.0f - 8.0f;
    float e = expf(x), l = logf(e), s = sqrtf(e * e), t = tanhf(x), r = erff(x) + erff(-x);
    out[INDEX] = (fabsf(l - x) < 1e-4f) | (fabsf(s - e) <= 2e-6f * e) << 1 |
                 (fabsf(t - (1 - 2 / (__expf(2 * x) + 1))) < 1e-5f) << 2 | (fabsf(r) < 1e-6f) << 3 |
                 (fabs(exp2((double)x) - (double)exp2f(x)) < 1e-5 * exp2((double)x)) << 4;
}
