/* exec_shared.h - the checks of accesses to shared memory: one comparison for each granule, and
 * race_shared.c for what that does not settle. A range starts with `lane` and passes to the next
 * lane after every `lane_bytes`. */
#ifndef SIM_EXEC_SHARED_H
#define SIM_EXEC_SHARED_H

#include "exec/exec.h"
#include "order/race.h"

/* The lane that owns a granule of a range; accesses are powers of two. */
static inline u32 granule_lane(u32 offset, u32 granule, u32 shift, u32 lane, u32 lane_bytes) {
    u32 at = granule << shift;

    return lane + (at > offset ? (at - offset) >> __builtin_ctz(lane_bytes) : 0);
}

/* Adds this warp to the readers (or atomic accessors) of granules [first, last]. Its own lanes of
 * before its last barrier are no longer of interest, though other warps may still have to see
 * them. */
static inline void record_set(u32 *stamps, u32 *warps, u32 *pcs, u32 first, u32 last,
                              const u32 *mine, const sim_warp *warp, u32 pc) {
    u32 index = warp->index, bit = 1u << index;

    for (u32 g = first; g <= last; g++) {
        u32 old = stamps[g], now = mine[g - first];
        bool fresh = old < warp->all_seen, own = (old >> SIM_WARP_SHIFT & 31) == index;
        bool past = own ? old < warp->synced
                        : old >> SIM_TIME_SHIFT <= warp->seen[old >> SIM_WARP_SHIFT & 31];
        u32 flags = fresh ? 0 : pcs[g] & (SIM_MIXED_TIMES | (past ? 0 : SIM_MANY_LANES));
        bool other_lane = !fresh && own && !past && ((old ^ now) & 31);
        bool other_time = !fresh && (old ^ now) >> SIM_TIME_SHIFT;
        warps[g] = (fresh ? 0 : warps[g]) | bit;
        pcs[g] =
            pc | flags | (other_lane ? SIM_MANY_LANES : 0) | (other_time ? SIM_MIXED_TIMES : 0);
        stamps[g] = now;
    }
}

enum { RANGE_GRANULES = 512 }; /* of a warp-wide access of 16 bytes a lane, by bytes */

static inline void range_stamps(u32 *mine, const sim_warp *warp, u32 first, u32 last, u32 offset,
                                u32 shift, u32 lane, u32 lane_bytes) {
    u32 stamp = sim_stamp(warp);

    if (lane_bytes == 1u << shift) {
        for (u32 g = first; g <= last; g++) mine[g - first] = stamp | (lane + (g - first));
    } else {
        for (u32 g = first; g <= last; g++)
            mine[g - first] = stamp | granule_lane(offset, g, shift, lane, lane_bytes);
    }
}

static inline void shared_read(sim_warp *warp, const sim_instruction *in, u32 offset, u32 bytes,
                               u32 lane, u32 lane_bytes) {
    const sim_block *block = warp->block;
    const sim_kernel *k = block->kernel;
    const sim_shared_marks *m = &block->marks;
    u32 shift = k->shared_store_shift, first = offset >> shift,
        last = (offset + bytes - 1) >> shift;
    u32 seen = warp->all_seen, bad = 0;
    u32 mine[RANGE_GRANULES];

    for (u32 g = first; g <= last; g++) bad |= m->write[g] - 1 >= seen - 1;
    if (m->atomic)
        for (u32 g = first; g <= last; g++) bad |= m->atomic[g] >= seen;
    if (unlikely(bad)) {
        for (u32 g = first; g <= last; g++)
            sim_shared_read_slow(warp, in, g, granule_lane(offset, g, shift, lane, lane_bytes));
    }
    shift = k->shared_load_shift, first = offset >> shift, last = (offset + bytes - 1) >> shift;
    range_stamps(mine, warp, first, last, offset, shift, lane, lane_bytes);
    record_set(m->read, m->read_warps, m->read_pc, first, last, mine, warp,
               instruction_pc(warp, in));
}

/* Four marks at once. */
typedef u32 marks4 __attribute__((vector_size(16)));

static inline marks4 load_marks(const u32 *from) {
    marks4 m;

    memcpy(&m, from, sizeof m);
    return m;
}

static inline void store_marks(u32 *to, marks4 m) {
    memcpy(to, &m, sizeof m);
}

static inline bool any_mark(marks4 m) {
    u64 halves[2];

    memcpy(halves, &m, sizeof m);
    return (halves[0] | halves[1]) != 0;
}

/* record_set for four granules of one lane. */
static inline void record_four(const sim_shared_marks *m, u32 g, u32 mine, const sim_warp *warp,
                               u32 pc) {
    marks4 old = load_marks(m->read + g), differs = old ^ mine;
    marks4 fresh = (marks4)(old < warp->all_seen);
    marks4 own = (marks4)((old >> SIM_WARP_SHIFT & 31) == warp->index);
    marks4 past = own & (marks4)(old < warp->synced);
    marks4 other_lane = own & ~past & (marks4)((differs & 31) != 0) & SIM_MANY_LANES;
    marks4 other_time = (marks4)((differs >> SIM_TIME_SHIFT) != 0) & SIM_MIXED_TIMES;
    marks4 flags = load_marks(m->read_pc + g) & (SIM_MIXED_TIMES | (~past & SIM_MANY_LANES));

    store_marks(m->read_warps + g, (load_marks(m->read_warps + g) & ~fresh) | 1u << warp->index);
    store_marks(m->read_pc + g, ((flags | other_lane | other_time) & ~fresh) | pc);
    store_marks(m->read + g, mine | (marks4){0, 0, 0, 0});
}

/* Was every granule of 16 aligned bytes written, and in order with what this warp has seen? */
static inline bool row_is_fine(const sim_warp *warp, u32 offset, u32 shift) {
    const u32 *write = warp->block->marks.write + (offset >> shift);
    u32 seen = warp->all_seen - 1, count = 16u >> shift;
    marks4 bad = {0, 0, 0, 0};

    if (count < 4) {
        for (u32 i = 0; i < count; i++) bad[0] |= write[i] - 1 >= seen;
    } else {
        for (u32 i = 0; i < count; i += 4) bad |= (marks4)(load_marks(write + i) - 1 >= seen);
    }
    return !any_mark(bad);
}

/* A read of 16 aligned bytes by one lane. */
static inline void shared_read_row(sim_warp *warp, const sim_instruction *in, u32 offset,
                                   u32 lane) {
    const sim_kernel *k = warp->block->kernel;
    const sim_shared_marks *m = &warp->block->marks;
    u32 shift = k->shared_load_shift, first = offset >> shift, count = 16u >> shift;
    u32 mine = sim_stamp(warp) | lane, pc = instruction_pc(warp, in);

    if (unlikely(m->atomic || !row_is_fine(warp, offset, k->shared_store_shift))) {
        shared_read(warp, in, offset, 16, lane, 16);
    } else if (count < 4) {
        for (u32 g = first; g < first + count; g++)
            record_set(m->read, m->read_warps, m->read_pc, g, g, &mine, warp, pc);
    } else {
        for (u32 g = first; g < first + count; g += 4)
            record_four(m, g, mine, warp, pc);
    }
}

/* True if a write of the range needs a closer look at what was there before. */
static inline bool shared_write_suspect(const sim_warp *warp, u32 offset, u32 bytes) {
    const sim_kernel *k = warp->block->kernel;
    const sim_shared_marks *m = &warp->block->marks;
    u32 first = offset >> k->shared_store_shift,
        last = (offset + bytes - 1) >> k->shared_store_shift;
    u32 seen = warp->all_seen, bad = 0;

    for (u32 g = first; g <= last; g++) bad |= m->write[g] >= seen;
    if (m->atomic)
        for (u32 g = first; g <= last; g++) bad |= m->atomic[g] >= seen;
    first = offset >> k->shared_load_shift, last = (offset + bytes - 1) >> k->shared_load_shift;
    for (u32 g = first; g <= last; g++) bad |= m->read[g] >= seen;
    return bad;
}

/* The closer look, for one lane. */
static inline void shared_write_look(sim_warp *warp, const sim_access *access, u32 bytes) {
    const sim_kernel *k = warp->block->kernel;
    u32 last = access->offset + bytes - 1;

    for (u32 g = access->offset >> k->shared_store_shift; g <= last >> k->shared_store_shift; g++) {
        sim_shared_write_slow(warp, access, g);
        if (warp->block->marks.atomic) sim_shared_atomics_slow(warp, access, g, true);
    }
    for (u32 g = access->offset >> k->shared_load_shift; g <= last >> k->shared_load_shift; g++)
        sim_shared_readers_slow(warp, access, g);
}

static inline void shared_write_mark(sim_warp *warp, const sim_instruction *in, u32 offset,
                                     u32 bytes, u32 lane, u32 lane_bytes) {
    const sim_shared_marks *m = &warp->block->marks;
    u32 shift = warp->block->kernel->shared_store_shift;
    u32 first = offset >> shift, last = (offset + bytes - 1) >> shift,
        pc = instruction_pc(warp, in);

    range_stamps(m->write + first, warp, first, last, offset, shift, lane, lane_bytes);
    for (u32 g = first; g <= last; g++) m->write_pc[g] = pc;
}

/* One lane's atomic or otherwise strong access. */
static inline void shared_strong(sim_warp *warp, const sim_access *access, u32 bytes, bool reads,
                                 bool writes) {
    const sim_kernel *k = warp->block->kernel;
    const sim_shared_marks *m = &warp->block->marks;
    u32 shift = k->shared_store_shift;
    u32 first = access->offset >> shift, last = (access->offset + bytes - 1) >> shift;
    u32 mine[RANGE_GRANULES];

    for (u32 g = first; g <= last; g++) {
        if (reads && m->write[g] - 1 >= warp->all_seen - 1)
            sim_shared_written_slow(warp, access->in, g, access->lane);
        if (writes && !reads && m->write[g] >= warp->all_seen)
            sim_shared_write_slow(warp, access, g);
        if (writes && !m->write[g]) m->write[g] = 1;
    }
    for (u32 g = first; g <= last; g++) mine[g - first] = sim_stamp(warp) | access->lane;
    if (writes) {
        for (u32 g = access->offset >> k->shared_load_shift;
             g <= (access->offset + bytes - 1) >> k->shared_load_shift; g++)
            if (m->read[g] >= warp->all_seen) sim_shared_readers_slow(warp, access, g);
    }
    if (m->atomic)
        record_set(m->atomic, m->atomic_warps, m->atomic_pc, first, last, mine, warp,
                   instruction_pc(warp, access->in) | (writes ? 0 : SIM_VOLATILE));
}

#endif
