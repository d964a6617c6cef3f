// permute_small.cu - index maps from tokens to expert rows by one block: one launch and no
// scratch, right for any number of tokens and fast for few.
//
// Where all slots fit one tile they are read once: the tile's own counts are the totals. Otherwise
// they are counted first and then ranked tile by tile.

$(moe.args())
$(moe.include("pdl.cuh"))
$(moe.include("scan.cuh"))
$(moe.include("permute.cuh"))

extern "C" __global__ void __launch_bounds__(THREADS, 1)
$(moe.symbol())(const args_permute a) {
    extern __shared__ int shared[];
    int *table = shared;              // [WARPS][E]
    int *running = table + WARPS * E; // [E] slots in the tiles before
    int *total = running + E;         // [E] slots in all tiles
    int *start = total + E;           // [E+1]
    const unsigned places = (unsigned)a.tokens * K;
    dependency_wait();
    dependents_launch();
    tile_slots mine;
    tile_load(mine, a, 0, places);
    for (int e = threadIdx.x; e < E; e += THREADS) running[e] = total[e] = 0;
    __syncthreads();
    if (places > TILE) {
        constexpr int AT_ONCE = 8; // loads in flight
        for (unsigned i = threadIdx.x; i < places; i += THREADS * AT_ONCE) {
            int expert[AT_ONCE];
#pragma unroll
            for (int j = 0; j < AT_ONCE; j++)
                expert[j] = i + j * THREADS < places ? a.ids[i + j * THREADS] : -1;
#pragma unroll
            for (int j = 0; j < AT_ONCE; j++)
                if (is_expert(expert[j])) atomicAdd(&total[expert[j]], 1);
        }
    }
    for (unsigned tile = 0; tile < places; tile += TILE) {
        tile_order(mine, table, running);
        if (tile == 0) {
            const int *all = places > TILE ? total : running;
            make_starts(a, all, start, true);
            write_counts(a, all);
            __syncthreads();
            write_gaps(a, all, start, 0, 1);
        }
        tile_place(mine, a, table, start);
        tile_load(mine, a, tile + TILE, places);
    }
}
