// cluster.cuh - shared memory of other blocks of the cluster (sm_90).

// The address that `address` has in block `rank`.
__device__ __forceinline__ unsigned address_in(unsigned address, unsigned rank) {
    unsigned there;
    asm("mapa.shared::cluster.u32 %0, %1, %2;" : "=r"(there) : "r"(address), "r"(rank));
    return there;
}

// 16 bytes from an address of any block.
__device__ __forceinline__ float4 load_from_cluster(unsigned address) {
    float4 out;
    asm volatile("ld.shared::cluster.v4.f32 {%0, %1, %2, %3}, [%4];"
                 : "=f"(out.x), "=f"(out.y), "=f"(out.z), "=f"(out.w)
                 : "r"(address)
                 : "memory");
    return out;
}
