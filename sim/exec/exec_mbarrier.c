/* exec_mbarrier.c - mbarriers and the fences of the asynchronous proxy. */
#include "exec/exec_async.h"
#include "order/async.h"
#include "order/polling.h"

/* a + imm: address; b: arrivals */
HANDLER(mbarrier_init) {
    target t;
    const u32 *count = LANES_OF(const u32, warp, in->b);

    lane_addresses(warp, in, exec, t.address);
    if (!SIM_EXEC(target_shared)(warp, in, exec, 8, "mbarrier.init", &t)) return SIM_STEP;
    FOR_LANES(lane, t.lanes)
        sim_mbarrier_init(warp, in, (u32)t.address[lane], lane, count[lane]);
    warp->block->progress++;
    return SIM_STEP;
}

HANDLER(mbarrier_inval) {
    target t;

    lane_addresses(warp, in, exec, t.address);
    FOR_LANES(lane, exec) sim_mbarrier_drop(warp, in, (u32)t.address[lane], lane);
    return SIM_STEP;
}

/* Arrives in another block, where the address is one of the cluster. */
static bool arrive_remote(sim_warp *warp, const sim_instruction *in, u32 address) {
    u32 rank = (address >> CLUSTER_SHIFT) - 1;

    if (address >> CLUSTER_SHIFT == 0) return false;
    sim_block *owner = rank < SIM_MAX_CLUSTER ? warp->block->cluster[rank] : NULL;
    if (owner == warp->block) {
        sim_mbarrier *own = sim_mbarrier_at(warp, in, address & CLUSTER_OFFSET, 0);
        if (own) sim_mbarrier_arrive(warp, in, own, 1);
    } else if (owner) {
        sim_mbarrier_arrive_remote(warp, in, owner, address & CLUSTER_OFFSET);
    } else {
        sim_find(warp, SIM_FINDING_mbarrier, in, UINT32_MAX,
                 "block %u warp %u arrives in block %u of its cluster (%%p), which is not there or "
                 "has ended",
                 warp->block->index, warp->index, rank);
    }
    return true;
}

/* a + imm: address; b: arrivals, or bytes (MBARRIER_EXPECT); d: state, which is the phase. A warp
 * whose matrix operations are under way lets those that wait run at once, so that a stage which it
 * gives back too early is overwritten under them. */
HANDLER(mbarrier_arrive) {
    target t;
    const u32 *value = in->b ? LANES_OF(const u32, warp, in->b) : NULL;
    bool expect = in->aux & MBARRIER_EXPECT;

    lane_addresses(warp, in, exec, t.address);
    FOR_LANES(lane, exec) {
        if (arrive_remote(warp, in, (u32)t.address[lane])) continue;
        sim_mbarrier *barrier = sim_mbarrier_at(warp, in, (u32)t.address[lane], lane);
        if (!barrier) continue;
        if (in->d) LANES_OF(u64, warp, in->d)[lane] = barrier->phase;
        if (expect) sim_mbarrier_expect(barrier, value[lane]);
        if (in->aux & MBARRIER_NO_ARRIVAL) continue;
        sim_mbarrier_arrive(warp, in, barrier, value && !expect ? value[lane] : 1);
    }
    const sim_async *async = warp->block->async;
    return async && async->matrix[warp->index].regions ? SIM_YIELD : SIM_STEP;
}

/* a + imm: address; each lane's copies so far arrive when they are done */
HANDLER(mbarrier_copies) {
    target t;

    lane_addresses(warp, in, exec, t.address);
    for (u32 left = exec, same; left; left &= ~same) {
        u32 lane = (u32)first_lane(left);
        same = 0;
        FOR_LANES(other, left) same |= (u32)(t.address[other] == t.address[lane]) << other;
        if (!sim_mbarrier_at(warp, in, (u32)t.address[lane], lane)) continue;
        sim_bulk arrival = {.kind = SIM_BULK_ARRIVE,
                            .warp = warp->index,
                            .lane = lane,
                            .pc = instruction_pc(warp, in),
                            .barrier = (u32)t.address[lane],
                            .lanes = same,
                            .serial = warp->copy_serial,
                            .cycle = warp->cycles + sim_async_latency};
        sim_bulk_add(warp->block, &arrival);
    }
    return SIM_STEP;
}

/* Copies that arrive at the barrier do so now. */
static void land_copies(sim_warp *warp, const sim_instruction *in, u32 offset) {
    sim_block *block = warp->block;
    sim_async *async = block->async;

    for (u32 i = 0; i < async->bulks;) {
        sim_bulk bulk = async->bulk[i];
        if (bulk.kind != SIM_BULK_ARRIVE || bulk.barrier != offset) {
            i++;
            continue;
        }
        sim_warp *owner = &block->warp[bulk.warp];
        sim_mbarrier *barrier = sim_mbarrier_at(owner, in, offset, bulk.lane);
        u32 arrivals = (u32)__builtin_popcount(bulk.lanes);
        if (!barrier || arrivals > barrier->pending) return; /* of a later phase */
        sim_bulk_remove(async, i);
        SIM_EXEC(complete_copies)(owner, in, bulk.lanes, bulk.serial);
        if (bulk.cycle > barrier->cycle) barrier->cycle = bulk.cycle;
        u64 cycles = owner->cycles;
        owner->cycles = 0; /* the thread itself may be further on by now */
        sim_mbarrier_arrive(owner, in, barrier, arrivals);
        owner->cycles = cycles;
    }
}

/* Where all lanes have waited, they have also seen what lanes of their own warp did before they
 * arrived. */
static void sync_lanes(sim_warp *warp, u32 offset) {
    const sim_async *async = warp->block->async;

    for (u32 i = 0; warp->block->checks && i < async->barriers; i++) {
        u32 stamp = (async->barrier[i].done[warp->index] + 1) << SIM_TIME_SHIFT;
        if (async->barrier[i].offset != offset || stamp <= warp->synced) continue;
        warp->synced = stamp;
        sim_race_refresh(warp);
    }
}

/* d: predicate; a + imm: address; b: parity, or a state (MBARRIER_STATE). What fails lets other
 * warps run. */
HANDLER(mbarrier_wait) {
    target t;
    u32 passed = 0;
    const sim_async *async = warp->block->async;
    bool was_idle = warp->poll.idle;

    lane_addresses(warp, in, exec, t.address);
    sim_poll_start(warp, instruction_pc(warp, in), t.address[first_lane(exec)]);
    FOR_LANES(lane, exec) {
        u32 offset = (u32)t.address[lane];
        sim_mbarrier *barrier = sim_mbarrier_at(warp, in, offset, lane);
        if (!barrier) return passed |= 1u << lane, predicate_set(warp, in->d, exec, exec), SIM_STEP;
        u32 parity = in->aux & MBARRIER_STATE ? (u32)LANES_OF(const u64, warp, in->b)[lane]
                                              : LANES_OF(const u32, warp, in->b)[lane];
        if (async->bulks && (barrier->phase & 1) == (parity & 1)) land_copies(warp, in, offset);
        passed |= (u32)sim_mbarrier_test(warp, in, barrier, parity) << lane;
    }
    predicate_set(warp, in->d, exec, passed);
    if ((passed | warp->exited) == ~0u) sync_lanes(warp, (u32)t.address[first_lane(exec)]);
    if (passed) sim_poll_over(warp);
    else sim_poll_end(warp, true);
    return passed && !was_idle ? SIM_STEP : SIM_YIELD;
}

HANDLER(proxy_fence) {
    (void)in, (void)exec;
    sim_proxy_fence(warp);
    return SIM_STEP;
}
