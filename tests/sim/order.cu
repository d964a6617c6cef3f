// order.cu - kernels of test_order.c: all of them are correct, and each orders its accesses in a
// way that a race check can get wrong. k(const unsigned *in, unsigned *out, int n), n words each.
typedef unsigned u32;
#define KERNEL(name) extern "C" __global__ void name(const u32 *in, u32 *out, int n)

// more barriers than the logical clock has ticks: shared and global memory change hands at each
KERNEL(clock_turns_over) {
    __shared__ u32 s[64];
    int t = threadIdx.x;
    s[t] = in[t];
    out[64 + t] = in[t];
    __syncthreads();
    for (int i = 0; i < 70000; i++) {
        u32 x = s[(t + 33) & 63], y = out[64 + ((t + 33) & 63)];
        __syncthreads();
        s[t] = x + 1;
        out[64 + t] = y + 2;
        __syncthreads();
    }
    out[t] = s[t];
}

// lanes exchange through shared memory, synchronised in groups that change every time
KERNEL(changing_groups) {
    __shared__ u32 s[32];
    int t = threadIdx.x;
    u32 x = in[t];
    for (int width = 2; width <= 32; width *= 2) {
        u32 mask = (width == 32 ? ~0u : (1u << width) - 1) << (t & ~(width - 1));
        s[t] = x;
        __syncwarp(mask);
        x += s[t ^ (width / 2)] * 3;
        __syncwarp(mask);
    }
    out[t] = x;
}

// producers fill a ring, consumers empty it: bar.arrive and bar.sync on two barriers a stage
KERNEL(ring_of_barriers) {
    __shared__ u32 ring[2][64];
    int t = threadIdx.x & 63;
    u32 sum = 0;
    if (threadIdx.x < 64) {
        for (int i = 0; i < 40; i++) {
            int stage = i & 1;
            if (i >= 2) asm volatile("bar.sync %0, 128;" ::"r"(3 + stage) : "memory");
            ring[stage][t] = in[i * 64 + t];
            asm volatile("bar.arrive %0, 128;" ::"r"(1 + stage) : "memory");
        }
    } else {
        for (int i = 0; i < 40; i++) {
            int stage = i & 1;
            asm volatile("bar.sync %0, 128;" ::"r"(1 + stage) : "memory");
            sum = sum * 5 + ring[stage][t ^ 40];
            if (i < 38) asm volatile("bar.arrive %0, 128;" ::"r"(3 + stage) : "memory");
        }
        out[t] = sum;
    }
}

// every block waits for all others, twice, and then reads what they wrote
__device__ void grid_barrier(u32 *count, u32 goal) {
    __syncthreads();
    if (threadIdx.x == 0) {
        __threadfence();
        atomicAdd(count, 1);
        while (*(volatile u32 *)count < goal) __nanosleep(20);
        __threadfence();
    }
    __syncthreads();
}

KERNEL(grid_barriers) {
    u32 *a = out + 1024, *b = out + 2048, *count = out + 4095;
    int t = threadIdx.x, i = blockIdx.x * blockDim.x + t, all = gridDim.x * blockDim.x;
    a[i] = in[i] >> 4;
    grid_barrier(count, gridDim.x);
    b[i] = a[(i + 100) % all] + 1;
    grid_barrier(count, 2 * gridDim.x);
    a[i] = b[(i + 37) % all] * 3;
}

// one block releases by st.release, the other acquires by ld.acquire
KERNEL(release_acquire) {
    u32 *flag = out + 4000, got;
    int t = threadIdx.x;
    if (blockIdx.x == 0) {
        out[1000 + t] = in[t];
        __syncthreads();
        if (t == 0) asm volatile("st.release.gpu.global.u32 [%0], 1;" ::"l"(flag) : "memory");
    } else {
        do asm volatile("ld.acquire.gpu.global.u32 %0, [%1];" : "=r"(got) : "l"(flag) : "memory");
        while (!got);
        out[t] = out[1000 + (t + 5) % 64] ^ 1;
    }
}

// two warps zero a counter and meet at a barrier of their own, then both add to it; the third warp,
// which never comes there, leaves the zero unseen by all of the block
KERNEL(atomics_behind_named_barrier) {
    __shared__ u32 count[32];
    int t = threadIdx.x & 31;
    if (threadIdx.x >= 64) {
        out[64 + t] = in[t];
        return;
    }
    if (threadIdx.x < 32) count[t] = 0;
    asm volatile("bar.sync 1, 64;" ::: "memory");
    atomicAdd(&count[in[threadIdx.x] & 7], 1);
    asm volatile("bar.sync 1, 64;" ::: "memory");
    out[threadIdx.x] = count[t];
}

// a warp hands a value to another through shared memory, with fences and a flag
KERNEL(flag_in_shared) {
    __shared__ volatile u32 flag;
    __shared__ u32 s[32];
    int t = threadIdx.x & 31;
    if (threadIdx.x == 0) flag = 0;
    __syncthreads();
    if (threadIdx.x < 32) {
        s[t] = in[t];
        __threadfence_block();
        __syncwarp();
        if (t == 0) flag = 1;
    } else {
        while (!flag) {
        }
        __threadfence_block();
        out[t] = s[31 - t];
    }
}

// all lanes, all warps and all blocks store the same value to the same place
KERNEL(same_value) {
    __shared__ u32 found;
    if (threadIdx.x == 0) found = 0;
    __syncthreads();
    if (in[threadIdx.x] & 1) found = 1;
    __syncthreads();
    out[7] = found;
    out[8 + threadIdx.x / 64] = 9;
}

// the lanes of one warp take turns at a lock that its other lanes spin on
KERNEL(lock_within_warp) {
    __shared__ u32 lock, total;
    if (threadIdx.x == 0) lock = total = 0;
    __syncthreads();
    for (bool done = false; !done;) {
        if (atomicCAS(&lock, 0, 1) == 0) {
            __threadfence_block();
            *(volatile u32 *)&total = *(volatile u32 *)&total + in[threadIdx.x] % 10;
            __threadfence_block();
            atomicExch(&lock, 0);
            done = true;
        }
    }
    __syncthreads();
    if (threadIdx.x == 0) out[0] = total;
}

// a word's readers change within a warp, and the last of them writes it; the other warp, which has
// seen none of it, keeps them all in memory
KERNEL(readers_take_turns) {
    __shared__ u32 s[64];
    int t = threadIdx.x;
    s[t] = in[t];
    out[t] = in[t];
    __syncwarp();
    u32 x = s[t ^ 1], y = out[t ^ 1];
    __syncwarp();
    s[t] = x + s[t] * 3;
    out[t] = y + out[t] * 5;
    __syncwarp();
    out[64 + t] = s[t ^ 2];
}
