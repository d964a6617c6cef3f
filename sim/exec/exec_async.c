/* exec_async.c - cp.async: copies that land when the copying thread waits for them, as late as the
 * hardware may. Until then their bytes are marked as in flight. */
#include "exec/exec_async.h"

#include <stdlib.h>

#define OFFSET_MASK ((1ull << SIM_ADDRESS_SHIFT) - 1)

/* Few bytes, nearly always 16. */
static inline void copy_bytes(u8 *to, const u8 *from, u32 bytes) {
    if (likely(bytes == 16)) memcpy(to, from, 16);
    else if (bytes) memcpy(to, from, bytes);
}

static inline bool same_bytes(const u8 *a, const u8 *b, u32 bytes) {
    u64 x[2], y[2];

    if (unlikely(bytes != 16)) return memcmp(a, b, bytes) == 0;
    memcpy(x, a, sizeof x);
    memcpy(y, b, sizeof y);
    return x[0] == y[0] && x[1] == y[1];
}

/* ---- issue */

/* Makes room behind the copies in flight. False without memory. */
static bool make_room(sim_warp *warp) {
    u32 pending = warp->copies - warp->first_copy;

    if (warp->first_copy > pending) {
        memcpy(warp->copy, warp->copy + warp->first_copy, pending * sizeof *warp->copy);
        warp->first_copy = 0;
        warp->copies = pending;
    }
    if (warp->copies < warp->copy_room) return true;
    u32 room = warp->copy_room ? 2 * warp->copy_room : 16;
    sim_copy *bigger = realloc(warp->copy, room * sizeof *bigger);
    if (!bigger) return false;
    warp->copy = bigger;
    warp->copy_room = room;
    return true;
}

static sim_copy *new_copy(sim_warp *warp, const sim_instruction *in) {
    if (warp->copies == warp->copy_room && !make_room(warp)) {
        sim_find(warp, SIM_FINDING_async, in, UINT32_MAX,
                 "out of host memory for copies in flight (%%p)");
        __atomic_store_n(&warp->block->launch->abort, 1, __ATOMIC_RELAXED);
        return NULL;
    }
    return &warp->copy[warp->copies];
}

/* Bytes that each lane copies from memory; the rest are zeros. */
static void source_sizes(const sim_warp *warp, const sim_instruction *in, u32 bytes, u8 *size) {
    const u32 *given = in->d ? LANES_OF(const u32, warp, in->d) : NULL;

    for (int i = 0; i < SIM_LANES; i++)
        size[i] = (u8)(given && given[i] < bytes ? given[i] : bytes);
}

static void check_source(sim_warp *warp, const sim_instruction *in, u64 address, u32 lane,
                         u32 bytes, u32 lane_bytes) {
    sim_range range = {.allocation = sim_allocation_at(warp->block->launch->memory, address),
                       .offset = address & OFFSET_MASK,
                       .bytes = bytes,
                       .lane = lane,
                       .lane_bytes = lane_bytes};

    if (!warp->block->checks) {
        sim_global_touch(warp, range.allocation, range.offset, bytes);
        return;
    }
    SIM_EXEC(check_written)(warp, in, &range);
    sim_global_read(warp, in, &range);
}

/* Lanes that read all their bytes are checked together, others byte by byte at both ends. Returns
 * those that may go on. */
static u32 check_sources(sim_warp *warp, const sim_instruction *in, u32 exec, u32 bytes,
                         const u8 *size, target *t) {
    u32 whole = 0, part = 0, lanes = 0;

    FOR_LANES(lane, exec) {
        if (size[lane] == bytes) whole |= 1u << lane;
        else if (size[lane]) part |= 1u << lane;
    }
    if (whole) {
        u64 fill = t->address[first_lane(whole)], own[SIM_LANES];
        memcpy(own, t->address, sizeof own);
        for (int i = 0; i < SIM_LANES; i++) t->address[i] = whole >> i & 1 ? t->address[i] : fill;
        if (SIM_EXEC(target_global)(warp, in, whole, bytes, "cp.async", t)) {
            lanes = t->lanes;
            SIM_EXEC(count_global)(warp, t, bytes, SAMPLE_LOAD);
            FOR_RUNS(lane, n, lanes, t->address, bytes)
                check_source(warp, in, t->address[lane], lane, n * bytes, bytes);
        }
        memcpy(t->address, own, sizeof own);
    }
    FOR_LANES(lane, part) {
        target ends;
        for (u32 at = 0; at < size[lane]; at++) {
            for (int i = 0; i < SIM_LANES; i++) ends.address[i] = t->address[lane] + at;
            if (!SIM_EXEC(target_global)(warp, in, 1u << lane, 1, "cp.async", &ends)) break;
            check_source(warp, in, ends.address[0], lane, 1, 1);
            if (at + 1u == size[lane]) lanes |= 1u << lane;
        }
    }
    return lanes | (exec & ~(whole | part));
}

/* Marks the destination of some lanes as in flight. */
static void mark_in_flight(sim_warp *warp, const sim_instruction *in, u32 offset, u32 lane,
                           u32 lanes, u32 bytes) {
    const sim_block *block = warp->block;
    const sim_shared_marks *m = &block->marks;
    u32 shift = block->kernel->shared_store_shift, pc = instruction_pc(warp, in);
    u32 first = offset >> shift, last = (offset + lanes * bytes - 1) >> shift;

    if (unlikely(shared_write_suspect(warp, offset, lanes * bytes))) {
        for (u32 i = 0; i < lanes; i++) {
            sim_access access = {.in = in, .offset = offset + i * bytes, .lane = lane + i};
            shared_write_look(warp, &access, bytes);
        }
    }
    for (u32 g = first; g <= last; g++) m->write[g] = SIM_IN_FLIGHT;
    for (u32 g = first; g <= last; g++) m->write_pc[g] = pc;
}

static void destination_addresses(const sim_warp *warp, const sim_instruction *in, u32 exec,
                                  u64 *address) {
    sim_instruction to = {.a = in->b, .imm = in->c, .aux = in->e ? MEMORY_NARROW : 0};

    lane_addresses(warp, &to, exec, address);
}

/* a + imm: source; b + c: destination (e: 32-bit address); d: source bytes */
HANDLER(cp_async) {
    u32 bytes = memory_bytes(in);
    u8 size[SIM_LANES];
    u64 total = 0;
    target from, to;
    sim_copy *copy = new_copy(warp, in);

    if (!copy) return SIM_STEP;
    source_sizes(warp, in, bytes, size);
    lane_addresses(warp, in, exec, from.address);
    destination_addresses(warp, in, exec, to.address);
    u32 lanes = check_sources(warp, in, exec, bytes, size, &from);
    if (!lanes || !SIM_EXEC(target_shared)(warp, in, lanes, bytes, "cp.async", &to))
        return SIM_STEP;
    SIM_EXEC(count_shared)(warp, &to, bytes);
    copy->lanes = to.lanes;
    copy->pc = instruction_pc(warp, in);
    copy->serial = warp->copy_serial++;
    copy->bytes = (u8)bytes;
    copy->together = warp->commits_together;
    FOR_LANES(lane, to.lanes) {
        copy->group[lane] = warp->commits[lane];
        copy->source_bytes[lane] = size[lane];
        copy->to[lane] = (u32)to.address[lane];
        copy->from[lane] = size[lane] ? target_pointer(warp, &from, lane) : NULL;
        copy_bytes(copy->seen[lane], copy->from[lane], size[lane]);
        total += size[lane];
    }
    warp->block->worker->counters.async_bytes += total;
    if (warp->block->checks) {
        FOR_RUNS(lane, n, to.lanes, to.address, bytes)
            mark_in_flight(warp, in, (u32)to.address[lane], lane, n, bytes);
    }
    warp->block->progress++;
    warp->copies++;
    return SIM_STEP;
}

/* ---- completion */

static void complete_lane(sim_warp *warp, const sim_instruction *in, const sim_copy *copy,
                          u32 lane) {
    sim_block *block = warp->block;
    u8 *to = block->shared + copy->to[lane];
    u32 size = copy->source_bytes[lane], bytes = copy->bytes;

    if (size && block->checks && !same_bytes(copy->seen[lane], copy->from[lane], size))
        sim_find(warp, SIM_FINDING_async, &block->kernel->code[copy->pc], instruction_pc(warp, in),
                 "the source of cp.async (%%p) by block %u warp %u lane %u changed before it was "
                 "waited for (%%q)",
                 block->index, warp->index, lane);
    copy_bytes(to, copy->from[lane], size);
    if (size < bytes) memset(to + size, 0, bytes - size);
    if (block->checks)
        shared_write_mark(warp, &block->kernel->code[copy->pc], copy->to[lane], bytes, lane, bytes);
}

/* The lanes of a copy that have committed it long enough ago; all if keep < 0. */
static u32 due_lanes(const sim_warp *warp, const sim_copy *copy, u32 exec, s64 keep) {
    u32 lanes = copy->lanes & exec, due = 0;

    if (keep < 0 || !lanes) return lanes;
    if (copy->together && warp->commits_together) {
        u32 lane = (u32)first_lane(lanes);
        return (s64)copy->group[lane] < (s64)warp->commits[lane] - keep ? lanes : 0;
    }
    FOR_LANES(lane, lanes) {
        due |= (u32)((s64)copy->group[lane] < (s64)warp->commits[lane] - keep) << lane;
    }
    return due;
}

static void forget_complete(sim_warp *warp) {
    while (warp->first_copy < warp->copies && !warp->copy[warp->first_copy].lanes)
        warp->first_copy++;
    if (warp->first_copy == warp->copies) warp->first_copy = warp->copies = 0;
}

static void complete_lanes(sim_warp *warp, const sim_instruction *in, sim_copy *copy, u32 due) {
    FOR_LANES(lane, due) complete_lane(warp, in, copy, lane);
    copy->lanes &= ~due;
}

/* Completes what the lanes have committed, but for their last `keep` groups. */
static void complete(sim_warp *warp, const sim_instruction *in, u32 exec, s64 keep) {
    for (u32 i = warp->first_copy; i < warp->copies; i++)
        complete_lanes(warp, in, &warp->copy[i], due_lanes(warp, &warp->copy[i], exec, keep));
    forget_complete(warp);
}

void SIM_EXEC(complete_copies)(sim_warp *warp, const sim_instruction *in, u32 lanes, u32 serial) {
    for (u32 i = warp->first_copy; i < warp->copies; i++)
        if ((s32)(warp->copy[i].serial - serial) < 0)
            complete_lanes(warp, in, &warp->copy[i], warp->copy[i].lanes & lanes);
    forget_complete(warp);
}

HANDLER(cp_async_commit) {
    (void)in;
    FOR_LANES(lane, exec) warp->commits[lane]++;
    if ((exec | warp->exited) != ~0u) warp->commits_together = false;
    warp->commit_cycle[(warp->commits[first_lane(exec)] - 1) % 16] = warp->cycles;
    return SIM_STEP;
}

/* imm: groups that may stay in flight; aux 1: wait_all */
HANDLER(cp_async_wait) {
    s64 commits = warp->commits[first_lane(exec)], newest = commits - 1 - (in->aux ? 0 : in->imm);

    complete(warp, in, exec, in->aux ? -1 : in->imm);
    if (newest >= 0 && newest > commits - 16) {
        u64 ready = warp->commit_cycle[newest % 16] + sim_async_latency;
        if (ready > warp->cycles) warp->cycles = ready;
    }
    return SIM_STEP;
}
