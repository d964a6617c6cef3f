/* async.c - a block's asynchronous state, and what the asynchronous proxy may read. */
#include "order/async.h"

#include <stdlib.h>
#include <string.h>

sim_async *sim_async_of(sim_block *block) {
    if (!block->async) block->async = calloc(1, sizeof *block->async);
    return block->async;
}

void sim_async_free(sim_block *block) {
    sim_async *async = block->async;

    if (!async) return;
    for (uint32_t i = 0; i < async->bulks; i++) free(async->bulk[i].snapshot);
    for (uint32_t w = 0; w < SIM_MAX_WARPS; w++) {
        free(async->matrix[w].region);
        free(async->matrix[w].loan);
    }
    free(async->bulk);
    free(async->barrier);
    free(async->tile.value);
    free(async);
    block->async = NULL;
}

/* ---- the proxy's reads */

static void find_unfenced(sim_warp *warp, const sim_instruction *in, uint32_t g, uint32_t lane) {
    const sim_block *block = warp->block;
    const sim_shared_marks *m = &block->marks;
    uint32_t stamp = m->write[g];

    sim_find(warp, SIM_FINDING_proxy, in, m->write_pc[g] & SIM_PC_MASK,
             "warp %u lane %u has shared byte %u read by the asynchronous proxy (%%p), but no "
             "fence.proxy.async follows the write by warp %u (%%q); block %u",
             warp->index, lane, g << block->kernel->shared_store_shift, sim_stamp_warp(stamp),
             block->index);
}

/* A fence by the writer, or by the reader once it had seen the write. */
static bool fenced(const sim_warp *warp, uint32_t stamp) {
    const sim_block *block = warp->block;
    uint32_t by = sim_stamp_warp(stamp), time = stamp >> SIM_TIME_SHIFT;

    if (by >= block->warps) return true; /* the proxy's own */
    return block->warp[by].proxy[by] >= time || warp->proxy[by] >= time;
}

void sim_async_read(sim_warp *warp, const sim_instruction *in, uint32_t offset, uint32_t bytes,
                    uint32_t lane) {
    const sim_block *block = warp->block;
    const sim_shared_marks *m = &block->marks;
    uint32_t shift = block->kernel->shared_store_shift, last = 0, fine = 0;

    if (!block->checks || !bytes) return;
    for (uint32_t g = offset >> shift; g <= (offset + bytes - 1) >> shift; g++) {
        uint32_t stamp = m->write[g];
        if (stamp == last && fine) continue; /* neighbours were mostly written together */
        last = stamp;
        fine = stamp && stamp != SIM_IN_FLIGHT && sim_ordered(warp, stamp, lane);
        if (!fine) {
            sim_shared_read_slow(warp, in, g, lane);
            continue;
        }
        fine = fenced(warp, stamp);
        if (!fine) find_unfenced(warp, in, g, lane);
    }
}

void sim_proxy_fence(sim_warp *warp) {
    if (!warp->block->checks) return;
    memcpy(warp->proxy, warp->seen, sizeof warp->proxy);
    warp->proxy[warp->index] = warp->block->now;
    sim_race_tick(warp->block); /* what is written from now on is later */
}
