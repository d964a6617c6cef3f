/* race_shared.c - a closer look at accesses to shared memory that one comparison did not clear. */
#include "order/race.h"

#include <stdio.h>

/* "warp 3 lane 5", or what of the asynchronous proxy it was; see race.h and async.h. */
static void agent_name(const sim_block *block, uint32_t stamp, char *text, size_t size) {
    uint32_t by = sim_stamp_warp(stamp), lane = sim_stamp_lane(stamp);

    if (by < block->warps) snprintf(text, size, "warp %u lane %u", by, lane);
    else if (by == block->warps + SIM_PROXY_REMOTE)
        snprintf(text, size, "block %u of the cluster", lane);
    else snprintf(text, size, by == block->warps ? "a bulk copy" : "a matrix operation");
}

static void find_race(sim_warp *warp, const sim_instruction *in, uint32_t lane, const char *what,
                      uint32_t stamp, uint32_t pc, const char *earlier, uint32_t byte) {
    uint32_t by = sim_stamp_warp(stamp);
    const char *missing = by == warp->index ? "no __syncwarp between" : "no barrier between";
    char agent[40];

    agent_name(warp->block, stamp, agent, sizeof agent);

    sim_find(warp, SIM_FINDING_race, in, pc & SIM_PC_MASK,
             "%s by %s (%%q) and %s by warp %u lane %u (%%p) of shared byte %u, %s; "
             "block %u",
             earlier, agent, what, warp->index, lane, byte, missing,
             warp->block->index);
}

/* A copy to the granule has not been waited for. */
static void find_in_flight(sim_warp *warp, const sim_instruction *in, uint32_t lane,
                           const char *what, uint32_t g) {
    const sim_block *block = warp->block;
    uint32_t pc = block->marks.write_pc[g] & SIM_PC_MASK;
    bool bulk = block->kernel->code[pc].op == SIM_OP_bulk_copy;

    sim_find(warp, SIM_FINDING_async, in, pc,
             "warp %u lane %u %s shared byte %u (%%p) while %s (%%q) may still be bringing it: no "
             "%s; block %u",
             warp->index, lane, what, g << block->kernel->shared_store_shift,
             bulk ? "a bulk copy" : "cp.async",
             bulk ? "wait for its mbarrier" : "cp.async.wait by the copying thread", block->index);
}

void sim_shared_written_slow(sim_warp *warp, const sim_instruction *in, uint32_t g,
                             uint32_t lane) {
    const sim_block *block = warp->block;
    const sim_shared_marks *m = &block->marks;
    uint32_t byte = g << block->kernel->shared_store_shift, write = m->write[g];

    if (!write) {
        sim_find(warp, SIM_FINDING_unwritten, in, UINT32_MAX,
                 "warp %u lane %u reads shared byte %u, which nobody in block %u wrote (%%p)",
                 warp->index, lane, byte, block->index);
    } else if (write == SIM_IN_FLIGHT) {
        find_in_flight(warp, in, lane, "reads", g);
    } else if (!sim_ordered(warp, write, lane)) {
        find_race(warp, in, lane, "read", write, m->write_pc[g], "write", byte);
    }
}

void sim_shared_read_slow(sim_warp *warp, const sim_instruction *in, uint32_t g, uint32_t lane) {
    const sim_shared_marks *m = &warp->block->marks;
    uint32_t byte = g << warp->block->kernel->shared_store_shift;

    sim_shared_written_slow(warp, in, g, lane);
    if (m->atomic && m->atomic[g] && !(m->atomic_pc[g] & SIM_VOLATILE) &&
        m->atomic[g] >= warp->all_seen && !sim_ordered(warp, m->atomic[g], lane))
        find_race(warp, in, lane, "read", m->atomic[g], m->atomic_pc[g], "atomic access", byte);
}

void sim_shared_write_slow(sim_warp *warp, const sim_access *access, uint32_t g) {
    const sim_block *block = warp->block;
    const sim_shared_marks *m = &block->marks;
    uint32_t byte = g << block->kernel->shared_store_shift, write = m->write[g];

    if (!write) return;
    if (write == SIM_IN_FLIGHT) {
        find_in_flight(warp, access->in, access->lane, "writes", g);
    } else if (!access->same_value && !sim_ordered(warp, write, access->lane)) {
        find_race(warp, access->in, access->lane, "write", write, m->write_pc[g], "write", byte);
    }
}

/* Of several readers all are known only as a set, with the time of the last; if they did not read
 * at the same time, only the last one is judged. */
static bool readers_ordered(const sim_warp *warp, uint32_t stamp, uint32_t warps, uint32_t detail,
                            uint32_t lane) {
    uint32_t time = stamp >> SIM_TIME_SHIFT;
    bool own = sim_stamp_warp(stamp) == warp->index;

    if (own && (detail & SIM_MANY_LANES) && stamp >= warp->synced && !warp->lane_seen) return false;
    if (!sim_ordered(warp, stamp, lane)) return false;
    if (detail & SIM_MIXED_TIMES) return true;
    for (uint32_t v = 0; v < warp->block->warps; v++)
        if ((warps >> v & 1) && v != warp->index && time > warp->seen[v]) return false;
    return true;
}

void sim_shared_readers_slow(sim_warp *warp, const sim_access *access, uint32_t g) {
    const sim_shared_marks *m = &warp->block->marks;
    uint32_t byte = g << warp->block->kernel->shared_load_shift;

    if (m->read[g] < warp->all_seen || access->same_value) return;
    if (m->read[g] == SIM_IN_FLIGHT) {
        sim_find(warp, SIM_FINDING_async, access->in, m->read_pc[g] & SIM_PC_MASK,
                 "warp %u lane %u writes shared byte %u (%%p) while wgmma (%%q) may still be "
                 "reading it: no wgmma.wait_group before; block %u",
                 warp->index, access->lane, byte, warp->block->index);
        return;
    }
    if (readers_ordered(warp, m->read[g], m->read_warps[g], m->read_pc[g], access->lane)) return;
    find_race(warp, access->in, access->lane, "write", m->read[g], m->read_pc[g], "read", byte);
}

void sim_shared_atomics_slow(sim_warp *warp, const sim_access *access, uint32_t g, bool write) {
    const sim_shared_marks *m = &warp->block->marks;
    uint32_t byte = g << warp->block->kernel->shared_store_shift;

    if (m->atomic[g] < warp->all_seen) return;
    if (readers_ordered(warp, m->atomic[g], m->atomic_warps[g], m->atomic_pc[g], access->lane))
        return;
    find_race(warp, access->in, access->lane, write ? "write" : "read", m->atomic[g],
              m->atomic_pc[g], "atomic access", byte);
}
