// pdl.cuh - programmatic dependent launch: kernels of a layer overlap at their ends. No-ops below
// sm_90. NVRTC declares no intrinsics for it.

// Waits until the kernels ahead on the stream have ended and their writes are visible. Nothing that
// the last of them made may be read before, and no global memory written; those before it have
// ended already, as every kernel lets the next one start only after its own wait: load_older reads
// what they made, and asynchronous copies do.
__device__ __forceinline__ void dependency_wait() {
#if __CUDA_ARCH__ >= 900
    asm volatile("griddepcontrol.wait;" ::: "memory");
#endif
}

// A load past L1, for use before dependency_wait: nothing says that an SM's L1 has lost by then
// what it held before a kernel wrote there.
__device__ __forceinline__ int load_older(const int *from) {
    int out;
    asm volatile("ld.relaxed.gpu.global.s32 %0, [%1];" : "=r"(out) : "l"(from));
    return out;
}

// Lets the next kernel's blocks start as soon as every block has come here or ended: they use SMs
// that idle, and wait by themselves for what this kernel still makes.
__device__ __forceinline__ void dependents_launch() {
#if __CUDA_ARCH__ >= 900
    asm volatile("griddepcontrol.launch_dependents;" ::: "memory");
#endif
}
