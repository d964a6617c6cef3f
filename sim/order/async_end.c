/* async_end.c - a block ends: what it has under way ends with it, or is reported. */
#include "order/async.h"

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
    for (uint32_t i = 0; async && !aborted && i < async->bulks; i++)
        if (async->bulk[i].kind != SIM_BULK_STORE || !async->bulk[i].read)
            report_bulk(block, &async->bulk[i]);
    if (async && !aborted) sim_bulk_store_end(block);
    sim_async_free(block);
}
