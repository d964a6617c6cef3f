/* exec_atomic.c - atom, red and fences. */
#include "exec/exec_memory.h"
#include "exec/exec_reduce.h"
#include "exec/exec_remote.h"
#include "order/polling.h"

#define OFFSET_MASK ((1ull << SIM_ADDRESS_SHIFT) - 1)

/* Sums of floats are data; all else may be a flag, or count those that have come. */
static bool may_be_flag(const sim_instruction *in) {
    u8 type = REDUCTION_TYPE(in);

    return type < SIM_T_f32 || type > SIM_T_bf16x2;
}

static u32 repeated_words(const u64 *address, u32 lanes) {
    u32 repeats = 0, before = 0;

    FOR_LANES(lane, lanes) {
        bool again = false;
        FOR_LANES(other, before) again |= address[other] == address[lane];
        repeats += again;
        before |= 1u << lane;
    }
    return repeats;
}

static void global_atomic(sim_warp *warp, const sim_instruction *in, u32 exec, target *t) {
    const sim_block *block = warp->block;
    u32 bytes = memory_bytes(in);
    sim_range range = {.bytes = bytes, .lane_bytes = bytes, .strong = true};

    if (!SIM_EXEC(target_global)(warp, in, exec, bytes, "atomic", t)) return;
    SIM_EXEC(count_global)(warp, t, bytes, SAMPLE_ATOMIC);
    warp->block->worker->counters.atomic_repeats += repeated_words(t->address, t->lanes);
    sim_race_publish(warp, t->lanes, in->aux & MEMORY_RELEASE);
    if (may_be_flag(in)) sim_flags_set(warp, t->address, t->lanes, bytes);
    FOR_LANES(lane, t->lanes) {
        range.allocation = sim_allocation_at(block->launch->memory, t->address[lane]);
        range.offset = t->address[lane] & OFFSET_MASK;
        range.lane = lane;
        if (block->checks) {
            SIM_EXEC(check_written)(warp, in, &range);
            sim_global_write(warp, in, &range);
            sim_written_set(range.allocation, range.offset, bytes);
        } else {
            sim_global_touch(warp, range.allocation, range.offset, bytes);
        }
        SIM_EXEC(atomic_lane)(warp, in, lane, range.allocation->bytes + range.offset, true);
    }
    sim_race_acquire(warp, t->lanes);
}

static void shared_atomic(sim_warp *warp, const sim_instruction *in, u32 exec, target *t) {
    sim_block *block = warp->block;
    u32 bytes = memory_bytes(in);

    if (!SIM_EXEC(target_shared)(warp, in, exec, bytes, "atomic", t)) return;
    SIM_EXEC(count_shared)(warp, t, bytes);
    sim_race_publish(warp, t->lanes, in->aux & MEMORY_RELEASE);
    FOR_LANES(lane, t->lanes) {
        sim_access access = {.in = in, .offset = (u32)t->address[lane], .lane = lane};
        if (block->checks) shared_strong(warp, &access, bytes, true, true);
        SIM_EXEC(atomic_lane)(warp, in, lane, block->shared + access.offset, false);
    }
    sim_race_acquire(warp, t->lanes);
}

HANDLER(atom_global) {
    target t;

    lane_addresses(warp, in, exec, t.address);
    global_atomic(warp, in, exec, &t);
    return SIM_STEP;
}

HANDLER(atom_shared) {
    target t;

    lane_addresses(warp, in, exec, t.address);
    shared_atomic(warp, in, exec, &t);
    return SIM_STEP;
}

/* Shared memory of any block of the cluster. */
static void cluster_atomic(sim_warp *warp, const sim_instruction *in, u32 lanes,
                           const u64 *offset) {
    u32 remote = remote_lanes(warp, offset, lanes), own = lanes & ~remote;
    target t;

    if (remote) SIM_EXEC(remote_atomic)(warp, in, remote, offset);
    if (!own) return;
    own_offsets(offset, own, t.address);
    shared_atomic(warp, in, own, &t);
}

HANDLER(atom_cluster) {
    u64 offset[SIM_LANES];

    lane_addresses(warp, in, exec, offset);
    cluster_atomic(warp, in, exec, offset);
    return SIM_STEP;
}

HANDLER(atom_generic) {
    u64 address[SIM_LANES];
    target t;
    u32 shared = 0;

    lane_addresses(warp, in, exec, address);
    FOR_LANES(lane, exec)
        shared |= (u32)(address[lane] >> SIM_ADDRESS_SHIFT == SIM_WINDOW_SHARED) << lane;
    u32 parts[2] = {shared, exec & ~shared};
    for (int part = 0; part < 2; part++) {
        if (!parts[part]) continue;
        u64 mask = part == 0 ? OFFSET_MASK : ~0ull, fill = address[first_lane(parts[part])] & mask;
        for (int i = 0; i < SIM_LANES; i++)
            t.address[i] = parts[part] >> i & 1 ? address[i] & mask : fill;
        if (part == 0) cluster_atomic(warp, in, shared, t.address);
        else global_atomic(warp, in, parts[1], &t);
    }
    return SIM_STEP;
}

HANDLER(fence) {
    sim_race_fence(warp, exec, in->aux);
    return SIM_STEP;
}
