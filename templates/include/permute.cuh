// permute.cuh - what makers of index maps share: stable ranks of slots among those of the same
// expert, and the tables of experts. Needs E, K, LOCAL, LISTED, MAP_THREADS (of a block), ITEMS
// (slots of a thread that are ranked together) and the op's arguments.
//
// Slots are taken in choice-major order: all first choices in token order, then all second ones,
// and so on. Place q of that order is choice q/T of token q%T. A slot's rank is the number of
// earlier slots with its expert; the slot is kept where the rank is below the capacity.
//
// Experts have the device's own numbers here: those it holds are 0 .. LOCAL-1, and shared experts,
// each with a row for every token, follow up to LISTED.

% moe.include("scan.cuh")
% moe.include("losses.cuh")

using op_args = args_$(p.kind);

constexpr int MAP_WARPS = MAP_THREADS / 32;
constexpr int TILE = MAP_THREADS * ITEMS; // places that a block ranks at once

// What a block counts, in shared memory.
struct map_tables {
    int *table;   // [MAP_WARPS][LOCAL] of each warp
    int *running; // [LOCAL] slots ahead of the tile
    int *total;   // [LOCAL] slots in all
    int *start;   // [LISTED+1] first rows
};

// In (MAP_WARPS + 2) * LOCAL + LISTED + 1 integers.
__device__ __forceinline__ map_tables tables_in(int *shared) {
    int *running = shared + MAP_WARPS * LOCAL;
    return {shared, running, running + LOCAL, running + 2 * LOCAL};
}

// The slots of one thread in a tile. A warp has 32*ITEMS consecutive places, lane by lane.
struct tile_slots {
    int slot[ITEMS];   // -1 behind the end
    int expert[ITEMS]; // by its own number; it may be none that is held; -1 behind the end
    int rank[ITEMS];   // among the slots of this warp in this tile
};

__device__ __forceinline__ bool is_expert(int expert) {
    return (unsigned)expert < (unsigned)LOCAL;
}

// The device's own number of an expert.
__device__ __forceinline__ int own_number(const op_args &a, int id) {
    return $(p.held < p.e and "(int)((unsigned)id - (unsigned)a.first_expert)" or "id");
}

__device__ __forceinline__ int slot_at(unsigned place, unsigned tokens) {
    if (K == 1) return (int)place;
    return (int)(place % tokens * K + place / tokens);
}

// The ids that maps are made of.
__device__ __forceinline__ const int *map_ids(const op_args &a) {
    return $(p.priority == "gate" and "a.scratch" or "a.ids");
}

// Only starts the loads: nothing waits for them before tile_order.
__device__ __forceinline__ void tile_load(tile_slots &tile, const op_args &a, unsigned first,
                                          unsigned end) {
    const unsigned mine = first + threadIdx.x / 32 * (32 * ITEMS) + threadIdx.x % 32;
#pragma unroll
    for (int i = 0; i < ITEMS; i++) {
        const unsigned place = mine + 32 * i;
        tile.slot[i] = place < end ? slot_at(place, (unsigned)a.tokens) : -1;
        tile.expert[i] = -1;
        if (place < end) tile.expert[i] = own_number(a, map_ids(a)[tile.slot[i]]);
    }
}

// Ranks the slots of one warp in order. `counts` [LOCAL], this warp's own and zero before, gets the
// number of its slots for each expert.
__device__ __forceinline__ void tile_rank(tile_slots &tile, int *counts) {
    const unsigned below = (1u << threadIdx.x % 32) - 1;
#pragma unroll
    for (int i = 0; i < ITEMS; i++) {
        const int expert = tile.expert[i];
        const unsigned peers = __match_any_sync(~0u, expert);
        const int before = __popc(peers & below);
        const int seen = is_expert(expert) ? counts[expert] : 0;
        __syncwarp();
        if (is_expert(expert) && before == 0) counts[expert] = seen + __popc(peers);
        __syncwarp();
        tile.rank[i] = seen + before;
    }
}

// Ranks a loaded tile across the block. Afterwards table[warp][expert] is what the ranks of that
// warp start from. `table` is [MAP_WARPS][LOCAL]; `running` [LOCAL] counts the slots of all tiles
// before this one, and then this one's too. Ends with a barrier.
__device__ __forceinline__ void tile_order(tile_slots &tile, int *table, int *running) {
    int *counts = table + threadIdx.x / 32 * LOCAL;
    __syncwarp(); // the last tile's reads of this row
    for (int e = threadIdx.x % 32; e < LOCAL; e += 32) counts[e] = 0;
    __syncwarp();
    tile_rank(tile, counts);
    __syncthreads();
    for (int e = threadIdx.x; e < LOCAL; e += MAP_THREADS) {
        int run = running[e], count[MAP_WARPS];
#pragma unroll
        for (int warp = 0; warp < MAP_WARPS; warp++) count[warp] = table[warp * LOCAL + e];
#pragma unroll
        for (int warp = 0; warp < MAP_WARPS; warp++) {
            table[warp * LOCAL + e] = run;
            run += count[warp];
        }
        running[e] = run;
    }
    __syncthreads();
}

// Writes both maps for the kept slots of a tile. `start` [LISTED+1] holds the experts' first rows.
__device__ __forceinline__ void tile_place(const tile_slots &tile, const op_args &a,
                                           const int *table, const int *start) {
    const int *base = table + threadIdx.x / 32 * LOCAL;
#pragma unroll
    for (int i = 0; i < ITEMS; i++) {
        if (tile.slot[i] < 0) continue;
        int row = -1;
        if (is_expert(tile.expert[i])) {
            const int rank = base[tile.expert[i]] + tile.rank[i];
            if (rank < a.capacity) row = start[tile.expert[i]] + rank;
        }
        a.slot_rows[tile.slot[i]] = row;
        if (row >= 0) a.row_slots[row] = tile.slot[i];
    }
}

// Rows of an expert from the slots that chose it, `total` [LOCAL]; capacity takes none of a shared
// one's.
__device__ __forceinline__ int rows_of(const op_args &a, const int *total, int e) {
    return LOCAL == LISTED || e < LOCAL ? min(total[e], a.capacity) : a.tokens;
}

// First rows into `start` [LISTED+1] from the slots of every expert, `total` [LOCAL]. The block
// that publishes also writes them, and the tile tables, to global memory: one warp a table. A
// barrier must follow before others read `start`.
__device__ __forceinline__ void make_starts(const op_args &a, const int *total, int *start,
                                            bool publish) {
    for (int table = threadIdx.x / 32; table < (publish ? 8 : 1); table += MAP_WARPS) {
        const bool rows = table == 0; // 0: first rows; 1..7: tiles of 8, 16, 32, 64, 128, 192, 256
        const int unit = rows ? a.row_align : table == 6 ? 192 : 4 << (table == 7 ? 6 : table);
        int *out = rows ? a.expert_start : a.tile_start + (table - 1) * (LISTED + 1);
        auto store = [&](int e, int units) {
            const int value = rows ? units * unit : units;
            if (rows) start[e] = value;
            if (publish) out[e] = value;
        };
        auto units = [&](int e) { return (rows_of(a, total, e) + unit - 1) / unit; };
        const int all = warp_scan(LISTED, units, store);
        if (threadIdx.x % 32 == 0) store(LISTED, all);
    }
}

// The publishing block's other tables.
__device__ __forceinline__ void write_counts(const op_args &a, const int *total) {
    for (int e = threadIdx.x; e < LISTED; e += MAP_THREADS) {
        a.expert_rows[e] = rows_of(a, total, e);
% if p.priority ~= "gate" then -- else these are what is left
        if (a.counts && e < LOCAL)
            a.counts[$(p.held < p.e and "a.first_expert + " or "")e] = total[e];
% end
    }
    for (int e = threadIdx.x; a.mean_probs && e < E; e += MAP_THREADS)
        a.mean_probs[e] = (float)a.prob_sums[e] * FIXED_SHARE / (float)a.tokens;
    write_statistics(a);
}

// Marks the rows between an expert's last and the next one's first; `part` of `parts` blocks.
__device__ __forceinline__ void write_gaps(const op_args &a, const int *total,
                                           const int *start, int part, int parts) {
    if (a.row_align == 1) return;
    for (int e = part * MAP_WARPS + (int)threadIdx.x / 32; e < LISTED; e += parts * MAP_WARPS) {
        const int end = start[e + 1];
        for (int row = start[e] + rows_of(a, total, e) + (int)threadIdx.x % 32; row < end;
             row += 32)
            a.row_slots[row] = -1;
    }
}
% if p.shared_experts > 0 then

// A shared expert's rows stand for the tokens' first slots: only the token matters.
__device__ __forceinline__ void write_shared(const op_args &a, const int *start, int part,
                                             int parts) {
    for (int t = part * MAP_THREADS + (int)threadIdx.x; t < a.tokens; t += parts * MAP_THREADS)
#pragma unroll
        for (int e = LOCAL; e < LISTED; e++) a.row_slots[start[e] + t] = t * K;
}
% end

// Everything that follows from m.running, the slots ahead of place `first`, and m.total: starts,
// tables and gaps, which `parts` blocks share, and the maps of places first .. end-1, whose first
// tile is loaded. A barrier must lie ahead.
__device__ __forceinline__ void write_maps(const op_args &a, const map_tables &m, tile_slots &mine,
                                           unsigned first, unsigned end, int part, int parts) {
    const bool publish = part == parts - 1; // the block that may have least to place
    make_starts(a, m.total, m.start, publish);
    if (publish) write_counts(a, m.total);
    __syncthreads();
    write_gaps(a, m.total, m.start, part, parts);
% if p.shared_experts > 0 then
    write_shared(a, m.start, part, parts);
% end
    for (unsigned tile = first; tile < end; tile += TILE) {
        tile_order(mine, m.table, m.running);
        tile_place(mine, a, m.table, m.start);
        tile_load(mine, a, tile + TILE, end);
    }
}

// All maps by one block. Where all slots fit one tile they are read once: the tile's own counts are
// the totals. Otherwise they are counted first.
__device__ __forceinline__ void write_maps_alone(const op_args &a, const map_tables &m) {
    const unsigned places = (unsigned)a.tokens * K;
    tile_slots mine;
    tile_load(mine, a, 0, places);
    for (int e = threadIdx.x; e < LOCAL; e += MAP_THREADS) m.running[e] = m.total[e] = 0;
    __syncthreads();
    constexpr int AT_ONCE = 8; // loads in flight
    for (unsigned i = threadIdx.x; places > TILE && i < places; i += MAP_THREADS * AT_ONCE) {
        int expert[AT_ONCE];
#pragma unroll
        for (int j = 0; j < AT_ONCE; j++)
            expert[j] =
                i + j * MAP_THREADS < places ? own_number(a, a.ids[i + j * MAP_THREADS]) : -1;
#pragma unroll
        for (int j = 0; j < AT_ONCE; j++)
            if (is_expert(expert[j])) atomicAdd(&m.total[expert[j]], 1);
    }
    for (unsigned tile = 0; tile < places; tile += TILE) {
        tile_order(mine, m.table, m.running);
        if (tile == 0) {
            const int *all = places > TILE ? m.total : m.running;
            make_starts(a, all, m.start, true);
            write_counts(a, all);
            __syncthreads();
            write_gaps(a, all, m.start, 0, 1);
% if p.shared_experts > 0 then
            write_shared(a, m.start, 0, 1);
% end
        }
        tile_place(mine, a, m.table, m.start);
        tile_load(mine, a, tile + TILE, places);
    }
}
