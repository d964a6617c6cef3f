// split.cuh - SPLIT neighbouring blocks share a tile, each with a part of K, so that few tiles keep
// all SMs busy. Needs BLOCK_SUMS, the sums that a block makes, and a template with `lib.split`.
//
// The sums of all shares meet, and are added in the order of K: the same input gives the same bits,
// whoever comes first. From sm_90 on the blocks are a cluster and read one another's shared memory,
// where each keeps its sums at the same place; every block then finishes a part of the tile. Below,
// sums go to scratch, and a second kernel adds and finishes: its launch costs what counting
// arrivals would, and no counter has to be zero again for the next launch.
% local split = t.lib.split

__device__ __forceinline__ int share_of_block() {
    return (int)blockIdx.x % SPLIT;
}

// Steps first .. end-1 along K are those of a share.
struct depth_range {
    int first, end;
};

__device__ __forceinline__ depth_range range_of(int share, int steps) {
    return {share * steps / SPLIT, (share + 1) * steps / SPLIT};
}
% if split.clustered(p, c, d) then
%   moe.include("mbarrier.cuh")
%   moe.include("cluster.cuh")

// What block `share` of the cluster has where `from` is here.
__device__ __forceinline__ float load_share(unsigned from, int share) {
    float out;
    asm volatile("ld.shared::cluster.f32 %0, [%1];"
                 : "=f"(out)
                 : "r"(address_in(from, share))
                 : "memory");
    return out;
}

// The total of sum `at`, of which each block keeps its share at sums[at]. Between two barriers of
// the cluster: all shares must be there, and no block may end or reuse `sums` before all have read.
__device__ __forceinline__ float add_shares(const float *sums, int at) {
    float total = 0.0f;
#pragma unroll
    for (int share = 0; share < SPLIT; share++)
        total += load_share(shared_address(sums + at), share);
    return total;
}
% elseif split.scratched(p, c, d) then

// Where the sums of a tile's shares stand, one share after the other.
__device__ __forceinline__ float *shares_of(const args_$(p.kind) &args, int tile) {
    return (float *)args.scratch + (long long)tile * SPLIT * BLOCK_SUMS;
}

// The total of sum `at`.
__device__ __forceinline__ float add_shares(const float *sums, int at) {
    float total = 0.0f;
#pragma unroll
    for (int share = 0; share < SPLIT; share++) total += sums[share * BLOCK_SUMS + at];
    return total;
}
% end
