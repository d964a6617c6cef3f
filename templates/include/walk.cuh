// walk.cuh - how a persistent block walks the tiles of all experts. Needs LISTED, and N_BLOCKS, the
// column blocks of a row tile.
//
// The tables stand in shared memory, where every warp walks them for itself.
% moe.include("pdl.cuh")

struct tile_map {
    const int *tiles, *start, *rows; // [LISTED+1] tiles before each expert; its first row; its rows
};

constexpr int TILE_MAP_INTS = 3 * LISTED + 1;

// Copies the tables, all threads at once; a barrier must follow. `tiles`: the row of tile_start for
// the kernel's tile height.
__device__ __forceinline__ tile_map load_map(const int *tiles, const int *expert_start,
                                             const int *expert_rows, int *to) {
    for (int i = threadIdx.x; i <= LISTED; i += blockDim.x) {
        to[i] = load_older(tiles + i);
        if (i == LISTED) break;
        to[LISTED + 1 + i] = load_older(expert_start + i);
        to[2 * LISTED + 1 + i] = load_older(expert_rows + i);
    }
    return tile_map{to, to + LISTED + 1, to + 2 * LISTED + 1};
}

struct walk_place {
    int expert, row, end; // rows row .. end-1 are the expert's, from this tile's first on
    int block;            // of columns
};

// Moves `expert` on to the owner of a row tile. Called by whole warps, 32 experts at a time.
__device__ __forceinline__ void find_expert(const tile_map &map, int row_tile, int &expert) {
    const int lane = (int)threadIdx.x & 31;
    for (;; expert += 32) {
        const int end = map.tiles[min(expert + lane + 1, LISTED)];
        const unsigned behind = __ballot_sync(~0u, end > row_tile);
        if (behind == 0) continue;
        expert += __ffs((int)behind) - 1;
        return;
    }
}

// Tile number `at` of all, its rows HEIGHT apart; false behind the last. Called by whole warps, for
// `at` that only grow: `expert` is where the search goes on. Row tiles of an expert that share
// their weights are neighbours.
template <int HEIGHT>
__device__ __forceinline__ bool find_place(const tile_map &map, int at, int &expert,
                                           walk_place &out) {
    const int row_tile = at / N_BLOCKS;
    if (row_tile >= map.tiles[LISTED]) return false;
    find_expert(map, row_tile, expert);
    const int first = map.tiles[expert], count = map.tiles[expert + 1] - first;
    const int local = at - first * N_BLOCKS;
    out.expert = expert;
    out.row = map.start[expert] + local % count * HEIGHT;
    out.end = map.start[expert] + map.rows[expert];
    out.block = local / count;
    return true;
}
