// tma.cuh - bulk tensor copies between global and shared memory (sm_90).
//
// One thread copies a box. Coordinates are elements, fastest dimension first; that one, in bytes,
// is a multiple of 16, and those of a store are not negative. What lies outside the tensor is read
// as zero and not written. Boxes in shared memory start at multiples of 128 bytes (of 1024 with a
// 128-byte swizzle) and are swizzled by absolute address: bits 4-6 ^= bits 7-9.
% moe.include("memory.cuh")

// What the runtime encodes. Kernels take it in their arguments, which must be __grid_constant__.
struct __align__(128) tensor_map {
    unsigned long long opaque[16];
};

__device__ __forceinline__ void tensor_prefetch(const tensor_map &map) {
    asm volatile("prefetch.tensormap [%0];" ::"l"(&map) : "memory");
}

% -- tensor_load(to, map, barrier, c0, ...): the box's bytes, outside ones included, are reported to
% -- the barrier. tensor_store(map, from, c0, ...): joins this thread's open group of stores.
% for rank = 2, 4 do
%   local names, inputs, params = {}, {}, {}
%   for i = 0, rank - 1 do
%     params[#params + 1] = "int c" .. i
%     names[#names + 1] = "%" .. (3 + i)
%     inputs[#inputs + 1] = '"r"(c' .. i .. ')'
%   end
__device__ __forceinline__ void tensor_load(unsigned to, const tensor_map &map, unsigned barrier,
                                            $(table.concat(params, ", "))) {
    asm volatile("cp.async.bulk.tensor.$(rank)d.shared::cluster.global.tile"
                 ".mbarrier::complete_tx::bytes"
                 " [%0], [%1, {$(table.concat(names, ", "))}], [%2];" ::"r"(to),
                 "l"(&map), "r"(barrier), $(table.concat(inputs, ", "))
                 : "memory");
}

// The same into all blocks of the cluster whose bit is set, at the same place and with the barrier
// at the same place there.
__device__ __forceinline__ void tensor_load_multicast(unsigned to, const tensor_map &map,
                                                      unsigned barrier, unsigned short blocks,
                                                      $(table.concat(params, ", "))) {
    asm volatile("cp.async.bulk.tensor.$(rank)d.shared::cluster.global.tile"
                 ".mbarrier::complete_tx::bytes"
                 ".multicast::cluster [%0], [%1, {$(table.concat(names, ", "))}], [%2], "
                 "%$(3 + rank);" ::"r"(to),
                 "l"(&map), "r"(barrier), $(table.concat(inputs, ", ")), "h"(blocks)
                 : "memory");
}

%   for i = 0, rank - 1 do names[i + 1] = "%" .. (2 + i) end
__device__ __forceinline__ void tensor_store(const tensor_map &map, unsigned from,
                                             $(table.concat(params, ", "))) {
    asm volatile("cp.async.bulk.tensor.$(rank)d.global.shared::cta.tile.bulk_group"
                 " [%0, {$(table.concat(names, ", "))}], [%1];" ::"l"(&map),
                 "r"(from), $(table.concat(inputs, ", "))
                 : "memory");
}

% end
// Closes this thread's group of stores.
__device__ __forceinline__ void tensor_store_commit() {
    asm volatile("cp.async.bulk.commit_group;" ::: "memory");
}

// Waits until at most PENDING of this thread's groups still read shared memory.
template <int PENDING> __device__ __forceinline__ void tensor_store_wait_read() {
    asm volatile("cp.async.bulk.wait_group.read %0;" ::"n"(PENDING) : "memory");
}

// Waits until at most PENDING of this thread's groups are not yet written.
template <int PENDING> __device__ __forceinline__ void tensor_store_wait() {
    asm volatile("cp.async.bulk.wait_group %0;" ::"n"(PENDING) : "memory");
}

// Orders this thread's ordinary accesses to shared memory before later ones of the asynchronous
// proxy (bulk copies, wgmma). A barrier then passes the order on to the thread that issues them.
__device__ __forceinline__ void async_proxy_fence() {
    asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
}
