/* exec_cluster.c - blocks of a cluster: addresses of one another, and their barrier. */
#include "exec_async.h"

/* d = a's place in the block of rank b */
HANDLER(mapa) {
    const u32 *address = LANES_OF(const u32, warp, in->a), *rank = LANES_OF(const u32, warp, in->b);
    u32 *d = LANES_OF(u32, warp, in->d);

    FOR_LANES(lane, exec) d[lane] = (address[lane] & CLUSTER_OFFSET) | (rank[lane] + 1) << CLUSTER_SHIFT;
    return SIM_STEP;
}

/* Warps arrive as a whole here: lanes that come later find it done. */
HANDLER(cluster_arrive) {
    (void)in;
    if (exec & (1u << first_lane(~warp->exited))) {
        warp->cluster_arrivals++;
        warp->cluster_time = warp->block->now;
        sim_race_tick(warp->block);
    }
    warp->block->progress++;
    return SIM_STEP;
}

static bool all_have_come(const sim_warp *warp) {
    for (int rank = 0; rank < SIM_MAX_CLUSTER; rank++) {
        const sim_block *peer = warp->block->cluster[rank];
        for (u32 w = 0; peer && w < peer->warps; w++)
            if (peer->warp[w].state != SIM_WARP_DONE &&
                (s32)(peer->warp[w].cluster_arrivals - warp->cluster_arrivals) < 0)
                return false;
    }
    return true;
}

/* Everything that the block's own warps did before they arrived is visible now. */
HANDLER(cluster_wait) {
    sim_block *block = warp->block;

    (void)exec;
    if (!all_have_come(warp)) {
        warp->pc = instruction_pc(warp, in);
        block->polls++;
        return SIM_WAIT;
    }
    for (u32 v = 0; v < block->warps; v++)
        if (block->warp[v].cluster_time > warp->seen[v])
            warp->seen[v] = block->warp[v].cluster_time;
    u32 stamp = (warp->cluster_time + 1) << SIM_TIME_SHIFT;
    if (stamp > warp->synced) warp->synced = stamp;
    sim_race_refresh(warp);
    return SIM_STEP;
}
