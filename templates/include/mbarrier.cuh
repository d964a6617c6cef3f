// mbarrier.cuh - barriers in shared memory that count arrivals and bytes in flight (sm_90).
//
// A barrier is 8 bytes, 8-aligned, passed by its shared address. Its phase completes when all
// expected arrivals have come and no announced byte is outstanding; phases alternate in parity,
// the first has parity 0. Waiting for parity 1 on a fresh barrier returns at once.
% moe.include("memory.cuh")

__device__ __forceinline__ void barrier_init(unsigned barrier, int arrivals) {
    asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(barrier), "r"(arrivals)
                 : "memory");
}

// Makes initialised barriers visible to the asynchronous proxy and to the cluster. A block (or
// cluster) barrier must follow before others use them.
__device__ __forceinline__ void barrier_init_fence() {
    asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
}

__device__ __forceinline__ void barrier_arrive(unsigned barrier) {
    asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(barrier) : "memory");
}

// Arrives at the barrier of block `rank` of the cluster that stands where `barrier` does here.
__device__ __forceinline__ void barrier_arrive_remote(unsigned barrier, unsigned rank) {
    asm volatile("{\n\t"
                 ".reg .b32 there;\n\t"
                 "mapa.shared::cluster.u32 there, %0, %1;\n\t"
                 "mbarrier.arrive.release.cluster.shared::cluster.b64 _, [there];\n\t"
                 "}" ::"r"(barrier), "r"(rank)
                 : "memory");
}

// Arrives and announces bytes that copies will report to this barrier.
__device__ __forceinline__ void barrier_arrive_expect(unsigned barrier, unsigned bytes) {
    asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(barrier),
                 "r"(bytes)
                 : "memory");
}

// Makes this thread's cp.async copies so far arrive at the barrier once, when they are done. The
// arrival counts among those that the barrier was initialised with.
__device__ __forceinline__ void barrier_arrive_copies(unsigned barrier) {
    asm volatile("cp.async.mbarrier.arrive.noinc.shared::cta.b64 [%0];" ::"r"(barrier) : "memory");
}

// Waits until the phase of this parity has completed.
__device__ __forceinline__ void barrier_wait(unsigned barrier, unsigned parity) {
    asm volatile("{\n\t"
                 ".reg .pred done;\n\t"
                 "again:\n\t"
                 "mbarrier.try_wait.parity.shared::cta.b64 done, [%0], %1;\n\t"
                 "@!done bra again;\n\t"
                 "}" ::"r"(barrier), "r"(parity)
                 : "memory");
}

// The same where blocks of the cluster arrive: their earlier accesses happened before.
__device__ __forceinline__ void barrier_wait_cluster(unsigned barrier, unsigned parity) {
    asm volatile("{\n\t"
                 ".reg .pred done;\n\t"
                 "again:\n\t"
                 "mbarrier.try_wait.parity.acquire.cluster.shared::cta.b64 done, [%0], %1;\n\t"
                 "@!done bra again;\n\t"
                 "}" ::"r"(barrier), "r"(parity)
                 : "memory");
}

// All blocks of the cluster.
__device__ __forceinline__ void cluster_sync() {
    asm volatile("barrier.cluster.arrive.release.aligned;\n\t"
                 "barrier.cluster.wait.acquire.aligned;" ::: "memory");
}

__device__ __forceinline__ unsigned cluster_rank() {
    unsigned rank;
    asm("mov.u32 %0, %%cluster_ctarank;" : "=r"(rank));
    return rank;
}

// Registers of a warpgroup: all its warps execute this once, in one branch of the kernel.
template <int COUNT> __device__ __forceinline__ void registers_raise() {
    asm volatile("setmaxnreg.inc.sync.aligned.u32 %0;" ::"n"(COUNT));
}

template <int COUNT> __device__ __forceinline__ void registers_lower() {
    asm volatile("setmaxnreg.dec.sync.aligned.u32 %0;" ::"n"(COUNT));
}
