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

static void report_bulk(sim_block *block, const sim_bulk *bulk) {
    static const char *const texts[] = {
        [SIM_BULK_LOAD] = "may still write shared memory: nobody waited for its mbarrier",
        [SIM_BULK_STORE] = "may still read shared memory: no cp.async.bulk.wait_group",
        [SIM_BULK_ARRIVE] = "was not waited for: nobody waited for its mbarrier",
    };

    sim_find(&block->warp[bulk->warp], SIM_FINDING_async, &block->kernel->code[bulk->pc],
             UINT32_MAX, "block %u ends while the copy of warp %u lane %u (%%p) %s", block->index,
             bulk->warp, bulk->lane, texts[bulk->kind]);
}

/* A warpgroup's warps change their registers together. */
static void check_shares(sim_block *block) {
    const sim_register_pool *pool = &block->async->registers;

    for (uint32_t w = 0; pool->open && w < block->warps; w++) {
        const struct sim_register_share *own = &pool->warp[w], *lead = &pool->warp[w / 4 * 4];
        if (own->changes == lead->changes) continue;
        sim_find(&block->warp[w], SIM_FINDING_collective,
                 &block->kernel->code[own->changes ? own->pc : lead->pc], UINT32_MAX,
                 "block %u: warp %u has executed setmaxnreg (%%p) %u times and warp %u of its "
                 "warpgroup %u times: all four must",
                 block->index, w, own->changes, w / 4 * 4, lead->changes);
        return;
    }
}

/* Other blocks may have accessed shared memory when none of the warps had seen them finish. */
static void check_peers(sim_block *block) {
    uint32_t agent = block->warps + SIM_PROXY_REMOTE, seen = 0;

    if (!block->checks || block->agents == block->warps) return;
    for (uint32_t w = 0; w < block->warps; w++)
        if (block->warp[w].seen[agent] > seen) seen = block->warp[w].seen[agent];
    if (seen >= block->agent_time[SIM_PROXY_REMOTE]) return;
    sim_find(&block->warp[0], SIM_FINDING_async, &block->kernel->code[block->remote_pc],
             UINT32_MAX,
             "block %u ends while another block of its cluster may still access its shared memory "
             "(%%p): no barrier.cluster at the end",
             block->index);
}

void sim_async_finish(sim_block *block) {
    sim_async *async = block->async;
    bool aborted = __atomic_load_n(&block->launch->abort, __ATOMIC_RELAXED);

    if (!aborted) check_peers(block);

    for (uint32_t w = 0; async && !aborted && w < block->warps; w++) {
        const sim_matrix_warp *m = &async->matrix[w];
        if (m->regions)
            sim_find(&block->warp[w], SIM_FINDING_matrix,
                     &block->kernel->code[m->region[0].pc], UINT32_MAX,
                     "block %u warp %u ends while its wgmma (%%p) is under way: no "
                     "wgmma.wait_group",
                     block->index, w);
    }
    if (async && !aborted) check_shares(block);
    if (async && !aborted) sim_bulk_store_end(block);
    for (uint32_t i = 0; async && !aborted && i < async->bulks; i++)
        report_bulk(block, &async->bulk[i]);
    sim_async_free(block);
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
