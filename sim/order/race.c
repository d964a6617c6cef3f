/* race.c - the logical clocks of blocks and warps. */
#include "order/async.h"

#include <stdlib.h>
#include <string.h>

static void warp_start(sim_block *block, sim_warp *warp) {
    memset(warp->seen, 0, sizeof warp->seen);
    memset(warp->fence, 0, sizeof warp->fence);
    memset(warp->proxy, 0, sizeof warp->proxy);
    warp->fenced = false;
    memset(warp->lane_fence, 0, sizeof warp->lane_fence);
    memset(warp->lane_published, 0, sizeof warp->lane_published);
    warp->epoch = 0;
    warp->synced = block->now << SIM_TIME_SHIFT;
    free(warp->lane_seen);
    warp->lane_seen = NULL;
    sim_race_refresh(warp);
}

void sim_race_start(sim_block *block) {
    block->now = 1;
    memset(block->published, 0, sizeof block->published);
    for (uint32_t i = 0; i < block->warps; i++) warp_start(block, &block->warp[i]);
}

void sim_race_refresh(sim_warp *warp) {
    const sim_block *block = warp->block;
    uint32_t least = block->now;

    for (uint32_t v = 0; v < block->warps; v++)
        if (v != warp->index && warp->seen[v] < least) least = warp->seen[v];
    /* The proxies act rarely: until they do again, everything of them is seen. */
    for (uint32_t v = block->warps; v < block->agents; v++)
        if (warp->seen[v] < block->agent_time[v - block->warps] && warp->seen[v] < least)
            least = warp->seen[v];
    uint32_t others = (least + 1) << SIM_TIME_SHIFT;
    warp->all_seen = others < warp->synced ? others : warp->synced;
}

/* Clocks are about to overflow: everything that was ordered stays so, and what was not is
 * forgotten. */
static void rebase_marks(uint32_t *marks, uint32_t count) {
    for (uint32_t i = 0; marks && i < count; i++)
        if (marks[i] && marks[i] != SIM_IN_FLIGHT)
            marks[i] = (marks[i] & 0x3ff) | 1u << SIM_TIME_SHIFT;
}

static void rebase(sim_block *block) {
    const sim_kernel *k = block->kernel;
    uint32_t stores = block->shared_bytes >> k->shared_store_shift;
    uint32_t loads = block->shared_bytes >> k->shared_load_shift;

    rebase_marks(block->marks.write, block->checks ? stores : 0);
    rebase_marks(block->marks.read, block->checks ? loads : 0);
    rebase_marks(block->marks.atomic, block->checks ? stores : 0);
    block->now = 2;
    block->generation++;
    for (uint32_t w = 0; w < block->warps; w++) {
        sim_warp *warp = &block->warp[w];
        for (uint32_t v = 0; v < SIM_MAX_WARPS; v++)
            warp->seen[v] = warp->fence[v] = warp->proxy[v] = 1;
        memset(warp->lane_fence, 0, sizeof warp->lane_fence);
        memset(warp->lane_published, 0, sizeof warp->lane_published);
        if (warp->wait_stamp) warp->wait_stamp = (warp->wait_stamp & 0x3ff) | 1u << SIM_TIME_SHIFT;
        warp->epoch = 0;
        warp->synced = 2u << SIM_TIME_SHIFT;
        free(warp->lane_seen);
        warp->lane_seen = NULL;
        sim_race_refresh(warp);
    }
    for (uint32_t v = 0; v < SIM_MAX_WARPS; v++) block->published[v] = 1;
    for (uint32_t b = 0; b < SIM_BARRIERS; b++)
        for (uint32_t v = 0; v < SIM_MAX_WARPS; v++) block->barrier[b].seen[v] = 1;
    for (int i = 0; i < SIM_PROXIES; i++) block->agent_time[i] = 1;
    for (uint32_t b = 0; block->async && b < block->async->barriers; b++) {
        sim_mbarrier *barrier = &block->async->barrier[b];
        barrier->init = (barrier->init & 0x3ff) | 1u << SIM_TIME_SHIFT;
        for (uint32_t v = 0; v < SIM_MAX_WARPS; v++) barrier->seen[v] = barrier->done[v] = 1;
    }
    for (uint32_t w = 0; block->async && w < block->warps; w++)
        for (int i = 0; i < SIM_GROUP_RING; i++) block->async->matrix[w].group_time[i] = 1;
}

void sim_race_tick(sim_block *block) {
    if (++block->now >= SIM_TIME_LIMIT) rebase(block);
}

/* Stamps: lane_seen[b][a] is what lane b has seen of lane a. */
static bool start_lane_seen(sim_warp *warp) {
    if (warp->lane_seen) return true;
    warp->lane_seen = calloc(SIM_LANES, sizeof *warp->lane_seen);
    return warp->lane_seen != NULL;
}

static void partial_sync(sim_warp *warp, uint32_t lanes, uint32_t stamp) {
    uint32_t merged[SIM_LANES] = {0};

    /* Without memory for the finer clock, take the sync for a full one: no false alarm. */
    if (!start_lane_seen(warp)) {
        warp->synced = stamp;
        return;
    }
    for (uint32_t b = 0; b < SIM_LANES; b++) {
        for (uint32_t a = 0; (lanes >> b & 1) && a < SIM_LANES; a++)
            if (warp->lane_seen[b][a] > merged[a]) merged[a] = warp->lane_seen[b][a];
    }
    for (uint32_t a = 0; a < SIM_LANES; a++)
        if (lanes >> a & 1) merged[a] = stamp;
    for (uint32_t b = 0; b < SIM_LANES; b++)
        if (lanes >> b & 1) memcpy(warp->lane_seen[b], merged, sizeof merged);
}

void sim_race_syncwarp(sim_warp *warp, uint32_t lanes) {
    if (!warp->block->checks) return;
    if (warp->epoch == SIM_EPOCH_LIMIT) {
        sim_race_tick(warp->block);
        warp->epoch = 0;
    } else {
        warp->epoch++;
    }
    uint32_t stamp = warp->block->now << SIM_TIME_SHIFT | warp->epoch << SIM_EPOCH_SHIFT;
    if ((lanes | warp->exited) == ~0u) warp->synced = stamp;
    else partial_sync(warp, lanes, stamp);
    sim_race_refresh(warp);
}

bool sim_ordered(const sim_warp *warp, uint32_t stamp, uint32_t lane) {
    uint32_t by = sim_stamp_warp(stamp), from = sim_stamp_lane(stamp);

    if (by != warp->index) return stamp >> SIM_TIME_SHIFT <= warp->seen[by];
    if (from == lane || stamp < warp->synced) return true;
    return warp->lane_seen && stamp < warp->lane_seen[lane][from];
}

bool sim_has_waited(sim_warp *warp, uint32_t lane) {
    const sim_block *block = warp->block;

    if (warp->waited >> lane & 1) return true;
    for (uint32_t v = 0; v < block->warps; v++) {
        uint32_t stamp = block->warp[v].wait_stamp;
        if (!stamp || !sim_ordered(warp, stamp, lane)) continue;
        warp->waited |= 1u << lane;
        return true;
    }
    return false;
}

/* ---- fences */

static void log_fence(sim_block *block) {
    sim_launch_state *launch = block->launch;

    if (!block->fence_log) {
        block->fence_log = calloc(256, sizeof *block->fence_log);
        if (!block->fence_log) return;
        __atomic_store_n(&launch->fence_log[block->index], block->fence_log, __ATOMIC_RELEASE);
    }
    if (block->fences < 255) block->fences++;
}

void sim_race_fence(sim_warp *warp, uint32_t lanes, bool device) {
    sim_block *block = warp->block;

    if (!block->checks) return;
    memcpy(warp->fence, warp->seen, sizeof warp->fence);
    warp->fence[warp->index] = block->now;
    warp->fenced = true;
    sim_race_tick(block);
    uint32_t stamp = block->now << SIM_TIME_SHIFT | warp->epoch << SIM_EPOCH_SHIFT;
    for (uint32_t lane = 0; lane < SIM_LANES; lane++)
        if (lanes >> lane & 1) warp->lane_fence[lane] = stamp;
    if (device) log_fence(block);
}

static void publish_lanes(sim_warp *warp, uint32_t lanes) {
    for (uint32_t lane = 0; lane < SIM_LANES; lane++)
        if (lanes >> lane & 1) warp->lane_published[lane] = warp->lane_fence[lane];
}

void sim_race_publish(sim_warp *warp, uint32_t lanes, bool release) {
    sim_block *block = warp->block;

    if (!block->checks) return;
    if (release) sim_race_fence(warp, lanes, true);
    if (!warp->fenced) return;
    publish_lanes(warp, lanes);
    for (uint32_t v = 0; v < block->agents; v++)
        if (warp->fence[v] > block->published[v]) block->published[v] = warp->fence[v];
    if (!block->fence_log || block->unpublished == block->fences) return;
    uint64_t order = __atomic_add_fetch(&block->launch->order, 1, __ATOMIC_ACQ_REL);
    for (; block->unpublished < block->fences; block->unpublished++)
        __atomic_store_n(&block->fence_log[block->unpublished], order, __ATOMIC_RELEASE);
}

/* One lane sees what another has published, and what that had seen. */
static void see_lane(sim_warp *warp, uint32_t lane, uint32_t of) {
    uint32_t *seen, *theirs, stamp = warp->lane_published[of];

    if (lane == of || stamp <= warp->synced || !start_lane_seen(warp)) return;
    seen = warp->lane_seen[lane];
    theirs = warp->lane_seen[of];
    if (seen[of] >= stamp) return;
    for (uint32_t a = 0; a < SIM_LANES; a++)
        if (theirs[a] > seen[a]) seen[a] = theirs[a];
    seen[of] = stamp;
}

/* Locks and flags between lanes of one warp. Lanes that are at one place at once take none from one
 * another: a lane must have been on its own. */
static void acquire_lanes(sim_warp *warp, uint32_t lanes) {
    for (uint32_t of = 0; of < SIM_LANES; of++) {
        if (!warp->lane_published[of]) continue;
        for (uint32_t lane = 0; lane < SIM_LANES; lane++)
            if (lanes >> lane & 1) see_lane(warp, lane, of);
    }
}

void sim_race_acquire(sim_warp *warp, uint32_t lanes) {
    sim_block *block = warp->block;
    bool more = false;

    if (!block->checks) return;
    if (warp->fenced) acquire_lanes(warp, lanes);
    block->acquired = __atomic_load_n(&block->launch->order, __ATOMIC_ACQUIRE);
    for (uint32_t v = 0; v < block->agents; v++) {
        if (block->published[v] <= warp->seen[v]) continue;
        warp->seen[v] = block->published[v];
        more = true;
    }
    if (more) sim_race_refresh(warp);
}
