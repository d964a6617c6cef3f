/* exec_cluster.c - blocks of a cluster: addresses of one another, and their barrier. */
#include "exec/exec_async.h"
#include "order/polling.h"

enum { RANK_MASK = 255 };

/* A lane's address of aux bits. */
static u64 address_at(const sim_warp *warp, const sim_instruction *in, u32 lane) {
    return in->aux == 64 ? LANES_OF(const u64, warp, in->a)[lane]
                         : LANES_OF(const u32, warp, in->a)[lane];
}

/* d = a's place in the block of rank b */
HANDLER(mapa) {
    const u32 *rank = LANES_OF(const u32, warp, in->b);

    FOR_LANES(lane, exec) {
        u64 place = address_at(warp, in, lane) & ~((u64)RANK_MASK << CLUSTER_SHIFT);
        place |= (u64)(rank[lane] + 1) << CLUSTER_SHIFT;
        if (in->aux == 64) LANES_OF(u64, warp, in->d)[lane] = place;
        else LANES_OF(u32, warp, in->d)[lane] = (u32)place;
    }
    return SIM_STEP;
}

/* d = the rank of the block that a is in */
HANDLER(getctarank) {
    u32 *d = LANES_OF(u32, warp, in->d);

    FOR_LANES(lane, exec) {
        u32 rank = (u32)(address_at(warp, in, lane) >> CLUSTER_SHIFT) & RANK_MASK;
        d[lane] = rank ? rank - 1 : warp->block->rank;
    }
    return SIM_STEP;
}

/* Warps arrive as a whole here: lanes that come later find it done. */
HANDLER(cluster_arrive) {
    (void)in;
    if (exec & (1u << first_lane(~warp->exited))) {
        warp->cluster_arrivals++;
        warp->cluster_time = warp->block->now;
        warp->cluster_cycle = warp->cycles;
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

/* The modelled cycle of the latest arrival. */
static u64 last_arrival(const sim_warp *warp) {
    u64 last = 0;

    for (int rank = 0; rank < SIM_MAX_CLUSTER; rank++) {
        const sim_block *peer = warp->block->cluster[rank];
        for (u32 w = 0; peer && w < peer->warps; w++)
            if (peer->warp[w].cluster_cycle > last) last = peer->warp[w].cluster_cycle;
    }
    return last;
}

/* The first warp to find the barrier open writes down for every block what is before it: nobody has
 * gone on yet. */
static void note_opening(const sim_warp *warp) {
    if ((s32)(warp->block->synced_arrivals - warp->cluster_arrivals) >= 0) return;
    u64 last = last_arrival(warp);
    for (int rank = 0; rank < SIM_MAX_CLUSTER; rank++) {
        sim_block *peer = warp->block->cluster[rank];
        if (!peer) continue;
        peer->synced_arrivals = warp->cluster_arrivals;
        peer->synced_now = peer->now;
        peer->synced_cycle = last;
        peer->synced_remote = peer->agent_time[SIM_PROXY_REMOTE];
        sim_race_tick(peer); /* what follows is later */
    }
}

/* What other blocks did before the barrier is visible now, there and here. */
static void see_peers(sim_warp *warp) {
    sim_block *block = warp->block;
    u32 agent = block->warps + SIM_PROXY_REMOTE;

    for (int rank = 0; rank < SIM_MAX_CLUSTER; rank++) {
        const sim_block *peer = block->cluster[rank];
        if (peer && peer->synced_now > block->peer_seen[rank])
            block->peer_seen[rank] = peer->synced_now;
    }
    if (block->agents > block->warps && block->synced_remote > warp->seen[agent])
        warp->seen[agent] = block->synced_remote;
}

/* Everything that the block's own warps did before they arrived is visible now. In the time model
 * the warp goes on when the last one has come. */
HANDLER(cluster_wait) {
    sim_block *block = warp->block;
    int next = sim_poll_until(warp, instruction_pc(warp, in), all_have_come(warp));

    (void)exec;
    if (next == SIM_WAIT) return next;
    for (u32 v = 0; v < block->warps; v++)
        if (block->warp[v].cluster_time > warp->seen[v])
            warp->seen[v] = block->warp[v].cluster_time;
    note_opening(warp);
    see_peers(warp);
    if (block->synced_cycle > warp->cycles) warp->cycles = block->synced_cycle;
    u32 stamp = (warp->cluster_time + 1) << SIM_TIME_SHIFT;
    if (stamp > warp->synced) warp->synced = stamp;
    sim_race_refresh(warp);
    return next;
}
