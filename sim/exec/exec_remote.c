/* exec_remote.c - loads, stores and atomic accesses to shared memory of other blocks of the
 * cluster.
 *
 * Blocks have clocks of their own. In the marks of the owner's memory other blocks are one more
 * agent, SIM_PROXY_REMOTE, with the rank of the block in place of a lane. A block knows up to
 * which time of a peer's clock it has seen what happened there (peer_seen): up to now, whenever it
 * has passed barrier.cluster or an mbarrier at which the peer has arrived. The owner's warps have
 * seen the agent in the same way. All of it is by the block, so what is missing within a block is
 * not seen here. */
#include "exec/exec_move.h"
#include "exec/exec_reduce.h"
#include "exec/exec_remote.h"
#include "order/async.h"

/* One lane's bytes in another block. */
typedef struct place {
    sim_block *owner;
    u32 offset, bytes, lane;
    const char *what;
} place;

static bool reach(sim_warp *warp, const sim_instruction *in, u64 address, place *p) {
    u32 rank = (u32)(address >> CLUSTER_SHIFT) - 1;

    p->owner = rank < SIM_MAX_CLUSTER ? warp->block->cluster[rank] : NULL;
    p->offset = (u32)address & CLUSTER_OFFSET;
    if (p->owner && p->offset % p->bytes == 0 && p->offset + p->bytes <= p->owner->shared_bytes)
        return true;
    if (!p->owner)
        sim_find(warp, SIM_FINDING_bounds, in, UINT32_MAX,
                 "%s of shared memory of block %u of its cluster, which is not there or has ended, "
                 "by block %u warp %u lane %u (%%p)",
                 p->what, rank, warp->block->index, warp->index, p->lane);
    else
        sim_find(warp, p->offset % p->bytes ? SIM_FINDING_misaligned : SIM_FINDING_bounds, in,
                 UINT32_MAX,
                 "%s of %u bytes at byte %u of the %u bytes of shared memory of block %u, by block "
                 "%u warp %u lane %u (%%p)",
                 p->what, p->bytes, p->offset, p->owner->shared_bytes, p->owner->index,
                 warp->block->index, warp->index, p->lane);
    return false;
}

/* ---- order */

static bool is_checked(const place *p) {
    return p->owner->checks && p->owner->agents > p->owner->warps;
}

/* Has this block seen what left a stamp in the owner's memory? Its own accesses it has. */
static bool seen(const sim_warp *warp, const place *p, u32 stamp) {
    u32 by = sim_stamp_warp(stamp), remote = p->owner->warps + SIM_PROXY_REMOTE;

    if (by == remote && sim_stamp_lane(stamp) == warp->block->rank) return true;
    return stamp >> SIM_TIME_SHIFT <= warp->block->peer_seen[p->owner->rank];
}

static void find_race(sim_warp *warp, const sim_instruction *in, const place *p, u32 byte, u32 pc,
                      const char *earlier) {
    sim_find(warp, SIM_FINDING_race, in, pc & SIM_PC_MASK,
             "%s of shared byte %u of block %u by block %u warp %u lane %u (%%p) and a %s there "
             "(%%q), no barrier.cluster between",
             p->what, byte, p->owner->index, warp->block->index, warp->index, p->lane, earlier);
}

static void check_write(sim_warp *warp, const sim_instruction *in, const place *p, u32 g,
                        bool reads) {
    const sim_shared_marks *m = &p->owner->marks;
    u32 byte = g << p->owner->kernel->shared_store_shift, stamp = m->write[g];

    if (!stamp && reads)
        sim_find(warp, SIM_FINDING_unwritten, in, UINT32_MAX,
                 "%s of shared byte %u of block %u, which nobody wrote, by block %u warp %u lane "
                 "%u (%%p)",
                 p->what, byte, p->owner->index, warp->block->index, warp->index, p->lane);
    else if (stamp == SIM_IN_FLIGHT)
        sim_find(warp, SIM_FINDING_async, in, m->write_pc[g] & SIM_PC_MASK,
                 "%s of shared byte %u of block %u by block %u warp %u lane %u (%%p) while a copy "
                 "(%%q) may still be bringing it",
                 p->what, byte, p->owner->index, warp->block->index, warp->index, p->lane);
    else if (stamp && !seen(warp, p, stamp)) find_race(warp, in, p, byte, m->write_pc[g], "write");
}

/* Granules of the owner's memory that the bytes touch: for each, `name` is the number. */
#define FOR_GRANULES(name, p, shift)                                                               \
    for (u32 name = (p)->offset >> (shift); name <= ((p)->offset + (p)->bytes - 1) >> (shift);     \
         name++)

static void check(sim_warp *warp, const sim_instruction *in, const place *p, bool reads,
                  bool writes, bool strong) {
    const sim_shared_marks *m = &p->owner->marks;
    const sim_kernel *k = p->owner->kernel;

    FOR_GRANULES(g, p, k->shared_store_shift) {
        check_write(warp, in, p, g, reads);
        if (!strong && m->atomic && m->atomic[g] && !seen(warp, p, m->atomic[g]))
            find_race(warp, in, p, g << k->shared_store_shift, m->atomic_pc[g], "atomic access");
    }
    if (!writes) return;
    FOR_GRANULES(g, p, k->shared_load_shift) {
        if (m->read[g] && !seen(warp, p, m->read[g]))
            find_race(warp, in, p, g << k->shared_load_shift, m->read_pc[g], "read");
    }
}

/* ---- marks */

static u32 tick_owner(sim_warp *warp, const sim_instruction *in, sim_block *owner) {
    u32 agent = owner->warps + SIM_PROXY_REMOTE;

    sim_race_tick(owner);
    owner->agent_time[SIM_PROXY_REMOTE] = owner->now;
    owner->remote_pc = instruction_pc(warp, in);
    sim_agent_moved(owner);
    return owner->now << SIM_TIME_SHIFT | agent << SIM_WARP_SHIFT | warp->block->rank;
}

static void mark(const place *p, u32 stamp, u32 pc, bool writes, bool strong) {
    const sim_shared_marks *m = &p->owner->marks;
    const sim_kernel *k = p->owner->kernel;
    u32 bit = 1u << sim_stamp_warp(stamp);

    FOR_GRANULES(g, p, k->shared_load_shift) {
        if (writes) break;
        m->read[g] = stamp;
        m->read_warps[g] |= bit;
        m->read_pc[g] = pc | SIM_MIXED_TIMES;
    }
    FOR_GRANULES(g, p, k->shared_store_shift) {
        if (!writes) break;
        if (!strong || !m->write[g]) m->write[g] = stamp;
        if (!strong) m->write_pc[g] = pc;
        if (!strong || !m->atomic) continue;
        m->atomic[g] = stamp;
        m->atomic_warps[g] |= bit;
        m->atomic_pc[g] = pc | SIM_MIXED_TIMES;
    }
}

/* An access as a whole: checked, then marked for the owner's warps. A strong one also hands on
 * what was before it. */
static void account(sim_warp *warp, const sim_instruction *in, const place *p, bool reads,
                    bool writes) {
    bool strong = in->aux & MEMORY_STRONG;
    sim_block *owner = p->owner;

    if (!is_checked(p)) return;
    check(warp, in, p, reads, writes, strong);
    u32 stamp = tick_owner(warp, in, owner);
    mark(p, stamp, instruction_pc(warp, in), writes, strong);
    if (strong && writes)
        owner->published[owner->warps + SIM_PROXY_REMOTE] = owner->agent_time[SIM_PROXY_REMOTE];
    if (strong && reads) warp->block->peer_seen[owner->rank] = owner->now;
}

/* ---- accesses */

void SIM_EXEC(remote_load)(sim_warp *warp, const sim_instruction *in, u32 lanes,
                           const u64 *offset) {
    const u8 *at[SIM_LANES] = {0};
    u32 good = 0;

    FOR_LANES(lane, lanes) {
        place p = {.bytes = memory_bytes(in), .lane = lane, .what = "load"};
        if (!reach(warp, in, offset[lane], &p)) continue;
        account(warp, in, &p, true, false);
        at[lane] = p.owner->shared + p.offset;
        good |= 1u << lane;
    }
    if (in->aux & MEMORY_STRONG) warp->block->polls++;
    load_from(warp, in, good, at);
}

void SIM_EXEC(remote_store)(sim_warp *warp, const sim_instruction *in, u32 lanes,
                            const u64 *offset) {
    u8 *at[SIM_LANES] = {0};
    u32 good = 0;

    FOR_LANES(lane, lanes) {
        place p = {.bytes = memory_bytes(in), .lane = lane, .what = "store"};
        if (!reach(warp, in, offset[lane], &p)) continue;
        account(warp, in, &p, false, true);
        at[lane] = p.owner->shared + p.offset;
        p.owner->progress++;
        good |= 1u << lane;
    }
    warp->block->progress++;
    store_to(warp, in, good, at);
}

void SIM_EXEC(remote_atomic)(sim_warp *warp, const sim_instruction *in, u32 lanes,
                             const u64 *offset) {
    FOR_LANES(lane, lanes) {
        place p = {.bytes = memory_bytes(in), .lane = lane, .what = "atomic access"};
        if (!reach(warp, in, offset[lane], &p)) continue;
        account(warp, in, &p, true, true);
        SIM_EXEC(atomic_lane)(warp, in, lane, p.owner->shared + p.offset, false);
        p.owner->progress++;
    }
}
