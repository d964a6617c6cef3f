/* mbarrier.c - barriers in shared memory: arrivals, announced bytes, phases. */
#include "order/async.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static sim_mbarrier *find(const sim_async *async, uint32_t offset) {
    for (uint32_t i = 0; async && i < async->barriers; i++)
        if (async->barrier[i].offset == offset) return &async->barrier[i];
    return NULL;
}

static void larger(uint32_t *into, const uint32_t *from, uint32_t count) {
    for (uint32_t v = 0; v < count; v++)
        if (from[v] > into[v]) into[v] = from[v];
}

sim_mbarrier *sim_mbarrier_at(sim_warp *warp, const sim_instruction *in, uint32_t offset,
                              uint32_t lane) {
    sim_block *block = warp->block;
    sim_mbarrier *barrier = find(block->async, offset);

    if (!barrier) {
        sim_find(warp, SIM_FINDING_mbarrier, in, UINT32_MAX,
                 "block %u warp %u lane %u uses shared byte %u as an mbarrier (%%p), and none was "
                 "initialised there",
                 block->index, warp->index, lane, offset);
    } else if (block->checks && !sim_ordered(warp, barrier->init, lane)) {
        sim_find(warp, SIM_FINDING_mbarrier, in, barrier->init_pc,
                 "block %u warp %u lane %u uses the mbarrier at shared byte %u (%%p) with no "
                 "barrier since its mbarrier.init (%%q)",
                 block->index, warp->index, lane, offset);
    }
    return barrier;
}

static sim_mbarrier *add(sim_async *async) {
    if (async->barriers == async->barrier_room) {
        uint32_t room = async->barrier_room ? 2 * async->barrier_room : 32;
        sim_mbarrier *bigger = realloc(async->barrier, room * sizeof *bigger);
        if (!bigger) return NULL;
        async->barrier = bigger;
        async->barrier_room = room;
    }
    return &async->barrier[async->barriers++];
}

void sim_mbarrier_init(sim_warp *warp, const sim_instruction *in, uint32_t offset, uint32_t lane,
                       uint32_t count) {
    sim_block *block = warp->block;
    sim_async *async = sim_async_of(block);
    sim_mbarrier *barrier = find(async, offset);
    uint32_t pc = (uint32_t)(in - block->kernel->code);

    if (barrier)
        sim_find(warp, SIM_FINDING_mbarrier, in, barrier->init_pc,
                 "block %u warp %u lane %u initialises the mbarrier at shared byte %u (%%p) while "
                 "it is in use (%%q): no mbarrier.inval before",
                 block->index, warp->index, lane, offset);
    if (offset % 8 || count < 1 || count > 0xfffff)
        sim_find(warp, SIM_FINDING_mbarrier, in, UINT32_MAX,
                 "mbarrier.init of %u arrivals at shared byte %u (%%p): 1 to 2^20 - 1 arrivals at "
                 "a multiple of 8 bytes are possible; block %u warp %u lane %u",
                 count, offset, block->index, warp->index, lane);
    if (!barrier && async) barrier = add(async);
    if (!barrier) return;
    *barrier = (sim_mbarrier){.offset = offset,
                              .expected = count,
                              .pending = count,
                              .init = sim_stamp(warp) | lane,
                              .init_pc = pc,
                              .init_arrivals = warp->cluster_arrivals};
}

void sim_mbarrier_drop(sim_warp *warp, const sim_instruction *in, uint32_t offset, uint32_t lane) {
    sim_mbarrier *barrier = sim_mbarrier_at(warp, in, offset, lane);
    sim_async *async = warp->block->async;

    if (barrier) *barrier = async->barrier[--async->barriers];
}

/* The phase is over when nothing is missing. */
static void complete_if_done(sim_mbarrier *barrier, uint32_t agents) {
    if (barrier->pending || barrier->tx) return;
    larger(barrier->done, barrier->seen, agents);
    memset(barrier->seen, 0, sizeof barrier->seen);
    barrier->done_cycle = barrier->cycle;
    barrier->pending = barrier->expected;
    barrier->phase++;
}

void sim_mbarrier_arrive(sim_warp *warp, const sim_instruction *in, sim_mbarrier *barrier,
                         uint32_t count) {
    sim_block *block = warp->block;

    if (count > barrier->pending) {
        sim_find(warp, SIM_FINDING_mbarrier, in, barrier->init_pc,
                 "block %u warp %u: %u arrivals at the mbarrier at shared byte %u (%%p), which "
                 "expects %u more in this phase (%%q)",
                 block->index, warp->index, count, barrier->offset, barrier->pending);
        count = barrier->pending;
    }
    larger(barrier->seen, warp->seen, block->agents);
    barrier->seen[warp->index] = block->now;
    if (warp->cycles > barrier->cycle) barrier->cycle = warp->cycles;
    barrier->pending -= count;
    complete_if_done(barrier, block->agents);
    block->progress++;
    sim_race_tick(block);
}

sim_mbarrier *sim_mbarrier_remote(sim_warp *warp, const sim_instruction *in, sim_block *owner,
                                  uint32_t offset) {
    sim_mbarrier *barrier = find(owner->async, offset);

    if (barrier && (int32_t)(warp->cluster_arrivals - barrier->init_arrivals) > 0) return barrier;
    sim_find(warp, SIM_FINDING_mbarrier, in, barrier ? barrier->init_pc : UINT32_MAX,
             barrier ? "block %u warp %u uses the mbarrier at shared byte %u of block %u (%%p) "
                       "with no barrier.cluster since its mbarrier.init (%%q)"
                     : "block %u warp %u uses shared byte %u of block %u as an mbarrier (%%p), and "
                       "none was initialised there",
             warp->block->index, warp->index, offset, owner->index);
    return NULL;
}

void sim_mbarrier_arrive_remote(sim_warp *warp, const sim_instruction *in, sim_block *owner,
                                uint32_t offset) {
    sim_mbarrier *barrier = sim_mbarrier_remote(warp, in, owner, offset);

    if (!barrier) return;
    if (!barrier->pending) {
        sim_find(warp, SIM_FINDING_mbarrier, in, barrier->init_pc,
                 "block %u warp %u arrives at the mbarrier at shared byte %u of block %u (%%p), "
                 "which expects no more in this phase (%%q)",
                 warp->block->index, warp->index, offset, owner->index);
        return;
    }
    if (warp->cycles > barrier->cycle) barrier->cycle = warp->cycles;
    if (owner->agents > owner->warps)
        barrier->seen[owner->warps + SIM_PROXY_REMOTE] = owner->agent_time[SIM_PROXY_REMOTE];
    barrier->peers[warp->block->rank] = warp->block->now;
    sim_race_tick(warp->block); /* what follows is later */
    barrier->pending--;
    complete_if_done(barrier, owner->agents);
    owner->progress++;
    warp->block->progress++;
    sim_race_tick(owner);
}

void sim_mbarrier_expect(sim_mbarrier *barrier, int64_t bytes) {
    barrier->tx += bytes;
}

static bool is_past(const sim_mbarrier *barrier, uint32_t parity) {
    return (barrier->phase & 1) != (parity & 1);
}

bool sim_mbarrier_test(sim_warp *warp, const sim_instruction *in, sim_mbarrier *barrier,
                       uint32_t parity) {
    sim_block *block = warp->block;
    uint32_t offset = barrier->offset;

    while (!is_past(barrier, parity) && !barrier->pending && sim_bulk_land(warp, in, offset))
        complete_if_done(barrier, block->agents);
    if (!is_past(barrier, parity)) {
        block->polls++;
        return false;
    }
    uint32_t own = warp->seen[warp->index];
    larger(warp->seen, barrier->done, block->agents);
    warp->seen[warp->index] = own;
    larger(block->peer_seen, barrier->peers, SIM_MAX_CLUSTER);
    sim_race_refresh(warp);
    if (barrier->done_cycle > warp->cycles) warp->cycles = barrier->done_cycle;
    return true;
}

void sim_mbarrier_describe(const sim_block *block, char *text, size_t size) {
    size_t at = strlen(text);

    for (uint32_t i = 0; block->async && i < block->async->barriers && at + 1 < size; i++) {
        const sim_mbarrier *b = &block->async->barrier[i];
        if (b->pending == b->expected && !b->tx) continue;
        int more = snprintf(text + at, size - at,
                            "; mbarrier at shared byte %u, phase %u, lacks %u of %u arrivals and "
                            "%lld bytes",
                            b->offset, b->phase, b->pending, b->expected, (long long)b->tx);
        if (more < 0) return;
        at += (size_t)more;
    }
    if (block->async && block->async->registers.open && at + 1 < size)
        snprintf(text + at, size - at, "; %u registers a thread of one warp are free",
                 block->async->registers.free);
}
