// stripes.cuh - which tiles a persistent block of a grouped GEMM makes, and in which order. Needs
// LISTED, BM, HEIGHT (rows of a tile, of all blocks of a cluster), OUT_N, N_BLOCKS, CLUSTER, GROUP,
// RASTER.
//
// Work is dealt out in units that take about the same time: a tile; or, of an expert's last row
// tile that has no more than BM/2 rows, two neighbouring column blocks, as rows of nobody are not
// multiplied by whole 64. Cluster c makes units c, c + clusters, ...: no block gets more than one
// unit more than another, whatever the router did. That alone takes 7% off gemm_up of 512 experts
// with 320 rows each; tiles dealt out one by one would lose it again, since an expert has 12 of
// them and 132 SMs are a multiple of that: the short tiles would always meet the same blocks.
//
// Units follow one another expert by expert, in stripes of GROUP row tiles with all columns (RASTER
// 0), or of GROUP column blocks with all rows (1): blocks that run together share weights and rows
// in L2, and DRAM gives each expert's weights once. Heavy experts first would not shorten the tail,
// which is one unit in any order, and would leave the light experts, which want DRAM more than the
// tensor cores, to compete with one another at the end instead of filling the heavy ones' gaps.
% moe.include("walk.cuh")
% moe.include("scan.cuh")
% moe.include("mbarrier.cuh")

constexpr int FEW = BM > 64 ? BM / 2 : 0; // rows of a tile that makes half a unit

// Row tiles of an expert that have more than FEW rows.
__device__ __forceinline__ int full_tiles(int rows) {
    return (rows + HEIGHT - 1 - FEW) / HEIGHT;
}

__device__ __forceinline__ int units_of(int rows) {
    const int full = full_tiles(rows);
    return full * N_BLOCKS + (rows > full * HEIGHT ? (N_BLOCKS + 1) / 2 : 0);
}

// Makes the tables, all threads at once; a barrier must follow. `tiles` counts units here.
__device__ __forceinline__ tile_map load_units(const int *expert_start, const int *expert_rows,
                                               int *to) {
    int *units = to, *start = to + LISTED + 1, *rows = to + 2 * LISTED + 1;
    for (int i = threadIdx.x; i < LISTED; i += blockDim.x) {
        start[i] = load_older(expert_start + i);
        rows[i] = load_older(expert_rows + i);
    }
    __syncthreads();
    if (threadIdx.x < 32) {
        const int total = warp_scan(LISTED, [&](int i) { return units_of(rows[i]); },
                                    [&](int i, int before) { units[i] = before; });
        if (threadIdx.x == 0) units[LISTED] = total;
    }
    return tile_map{units, start, rows};
}

struct place {
    int expert, row, end; // rows row .. end-1 are the expert's; at most BM of them are ours
    int column;
};

// Goes through this block's tiles. Whole warps step it, and know the tile.
// Goes through this block's tiles. Whole warps step it, and know the tile. There is one way out of
// a step, so that the compiler knows that warps stay together.
struct tile_walk {
    place at;
    int unit, step;
    bool second; // the unit has one more tile

    __device__ __forceinline__ tile_walk() {
        step = (int)gridDim.x / CLUSTER;
        unit = (int)blockIdx.x / CLUSTER - step;
        second = false;
        at.expert = 0;
    }

    // Moves `at` to the next tile; false behind the last.
    __device__ __forceinline__ bool next(const tile_map &map) {
        if (!second) unit += step;
        if (unit >= map.tiles[LISTED]) return false;
        find_expert(map, unit, at.expert);
        const int rows = map.rows[at.expert], full = full_tiles(rows);
        const int local = unit - map.tiles[at.expert], pair = local - full * N_BLOCKS;
        int tile = full, block = pair * 2 + second;
        second = pair >= 0 && !second && block + 1 < N_BLOCKS;
        if (pair < 0) {
            const int across = RASTER ? full : N_BLOCKS, along = RASTER ? N_BLOCKS : full;
            const int stripe = local / (GROUP * across), within = local % (GROUP * across);
            const int thick = min(along - stripe * GROUP, GROUP);
            const int a = stripe * GROUP + within % thick, b = within / thick;
            tile = RASTER ? b : a;
            block = RASTER ? a : b;
        }
        at.row = map.start[at.expert] +
                 tile * HEIGHT$(c.cluster == 2 and " + (int)cluster_rank() * BM" or "");
        at.end = map.start[at.expert] + rows;
        at.column = block * OUT_N;
        return true;
    }
};
