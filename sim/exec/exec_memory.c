/* exec_memory.c - loads and stores. */
#include "exec/exec_move.h"
#include "exec/exec_remote.h"
#include "order/polling.h"

#define OFFSET_MASK ((1ull << SIM_ADDRESS_SHIFT) - 1)

/* ---- global */

/* What a load has brought: a hash of the bytes in its registers. */
static u64 found_by(sim_warp *warp, const sim_instruction *in, u32 lanes) {
    u32 bytes = memory_bytes(in);
    u8 values[SIM_LANES * 64];
    u64 hash = lanes;

    stored_bytes(warp, in, lanes, values);
    FOR_LANES(lane, lanes)
        for (u32 i = 0; i < bytes; i++)
            hash = (hash ^ values[lane * bytes + i]) * 0x100000001b3ull;
    return hash;
}

/* A strong load may be a poll: it is counted if it has brought something new. */
static void end_strong_load(sim_warp *warp, const sim_instruction *in, const target *t) {
    u32 bytes = memory_bytes(in);
    u64 found = found_by(warp, in, t->lanes);
    bool nothing = warp->poll.again && warp->poll.found == found;

    sim_race_acquire(warp, t->lanes); /* not before the value is here */
    if (!nothing) {
        SIM_EXEC(count_global)(warp, t, bytes, SAMPLE_LOAD);
        sim_flags_wait(warp, t->address, t->lanes, bytes);
    }
    warp->poll.found = found;
    sim_poll_end(warp, nothing);
}

static void start_load(sim_warp *warp, const sim_instruction *in, const target *t) {
    if (in->aux & MEMORY_STRONG) {
        warp->block->polls++;
        sim_poll_start(warp, instruction_pc(warp, in), t->address[first_lane(t->lanes)]);
    } else {
        SIM_EXEC(count_global)(warp, t, memory_bytes(in), SAMPLE_LOAD);
    }
}

static void global_load(sim_warp *warp, const sim_instruction *in, u32 exec, target *t) {
    const sim_block *block = warp->block;
    u32 bytes = memory_bytes(in);
    sim_range range = {.bytes = bytes,
                       .lane_bytes = bytes,
                       .strong = in->aux & MEMORY_STRONG,
                       .cached = in->aux & MEMORY_CACHED};

    if (!SIM_EXEC(target_global)(warp, in, exec, bytes, "load", t)) return;
    start_load(warp, in, t);
    if (t->span || t->uniform) {
        range.allocation = t->allocation;
        range.offset = t->offset;
        if (t->span) range.bytes = SIM_LANES * bytes;
        else range.lane = (u32)first_lane(t->lanes);
        if (block->checks) {
            SIM_EXEC(check_written)(warp, in, &range);
            sim_global_read(warp, in, &range);
        } else {
            sim_global_touch(warp, t->allocation, t->offset, range.bytes);
        }
        if (t->span) load_span(warp, in, t->lanes, t->first, bytes);
        else load_uniform(warp, in, t->lanes, t->first);
        if (range.strong) end_strong_load(warp, in, t);
        return;
    }
    const u8 *at[SIM_LANES] = {0};
    FOR_RUNS(lane, n, t->lanes, t->address, bytes) {
        range.allocation = sim_allocation_at(block->launch->memory, t->address[lane]);
        range.offset = t->address[lane] & OFFSET_MASK;
        range.bytes = n * bytes;
        range.lane = lane;
        for (u32 i = 0; i < n; i++)
            at[lane + i] = range.allocation->bytes + range.offset + i * bytes;
        if (block->checks) {
            SIM_EXEC(check_written)(warp, in, &range);
            sim_global_read(warp, in, &range);
        } else {
            sim_global_touch(warp, range.allocation, range.offset, range.bytes);
        }
    }
    load_from(warp, in, t->lanes, at);
    if (range.strong) end_strong_load(warp, in, t);
}

/* One lane's store, with the question whether it changes anything. */
static void global_store_lane(sim_warp *warp, const sim_instruction *in, sim_range range,
                              const u8 *value) {
    u8 *at = range.allocation->bytes + range.offset;

    range.bytes = range.lane_bytes;
    range.same_value = memcmp(at, value, range.bytes) == 0;
    sim_global_write(warp, in, &range);
    memcpy(at, value, range.bytes);
}

/* Stores run by run; where something may be wrong, lane by lane, so that lanes that hit the same
 * bytes see one another. */
static void global_store_lanes(sim_warp *warp, const sim_instruction *in, target *t) {
    const sim_block *block = warp->block;
    u32 bytes = memory_bytes(in);
    u8 values[SIM_LANES * 64];
    sim_range range = {.lane_bytes = bytes, .strong = in->aux & MEMORY_STRONG};

    stored_bytes(warp, in, t->lanes, values);
    FOR_RUNS(lane, n, t->lanes, t->address, bytes) {
        range.allocation = sim_allocation_at(block->launch->memory, t->address[lane]);
        range.offset = t->address[lane] & OFFSET_MASK;
        range.bytes = n * bytes;
        range.lane = lane;
        if (!block->checks) {
            sim_global_touch(warp, range.allocation, range.offset, range.bytes);
        } else {
            sim_written_set(range.allocation, range.offset, range.bytes);
            if (sim_global_suspect(warp, in, &range)) {
                for (u32 i = 0; i < n; i++) {
                    global_store_lane(warp, in, range, values + (lane + i) * bytes);
                    range.offset += bytes;
                    range.lane++;
                }
                continue;
            }
            sim_global_write(warp, in, &range);
        }
        memcpy(range.allocation->bytes + range.offset, values + lane * bytes, range.bytes);
    }
}

static bool writable(sim_warp *warp, const sim_instruction *in, const target *t) {
    const sim_allocation *a =
        sim_allocation_at(warp->block->launch->memory, t->address[first_lane(t->lanes)]);

    if (!a->readonly) return true;
    sim_find(warp, SIM_FINDING_readonly, in, UINT32_MAX,
             "block %u warp %u stores to constant memory (%%p)", warp->block->index, warp->index);
    return false;
}

static void global_store(sim_warp *warp, const sim_instruction *in, u32 exec, target *t) {
    const sim_block *block = warp->block;
    u32 bytes = memory_bytes(in);

    if (!SIM_EXEC(target_global)(warp, in, exec, bytes, "store", t) || !writable(warp, in, t))
        return;
    SIM_EXEC(count_global)(warp, t, bytes, SAMPLE_STORE);
    warp->block->progress++;
    if ((in->aux & MEMORY_STRONG) && block->checks)
        sim_race_publish(warp, t->lanes, in->aux & MEMORY_RELEASE);
    if (in->aux & MEMORY_STRONG) sim_flags_set(warp, t->address, t->lanes, bytes);
    sim_range range = {.allocation = t->allocation,
                       .offset = t->offset,
                       .bytes = SIM_LANES * bytes,
                       .lane_bytes = bytes,
                       .strong = in->aux & MEMORY_STRONG};
    if (!t->span || (block->checks && sim_global_suspect(warp, in, &range))) {
        global_store_lanes(warp, in, t);
        return;
    }
    if (block->checks) {
        sim_global_write(warp, in, &range);
        sim_written_set(t->allocation, t->offset, range.bytes);
    } else {
        sim_global_touch(warp, t->allocation, t->offset, SIM_LANES * bytes);
    }
    store_span(warp, in, t->lanes, t->first, bytes);
}

/* A warp that may be waiting lets others run. */
static int after_load(const sim_instruction *in) {
    return in->aux & MEMORY_STRONG ? SIM_YIELD : SIM_STEP;
}

HANDLER(ld_global) {
    target t;

    lane_addresses(warp, in, exec, t.address);
    global_load(warp, in, exec, &t);
    return after_load(in);
}

HANDLER(ld_constant) {
    target t;

    lane_addresses(warp, in, exec, t.address);
    global_load(warp, in, exec, &t);
    return SIM_STEP;
}

HANDLER(st_global) {
    target t;

    lane_addresses(warp, in, exec, t.address);
    global_store(warp, in, exec, &t);
    return SIM_STEP;
}

/* ---- shared */

static void shared_load(sim_warp *warp, const sim_instruction *in, u32 exec, target *t) {
    sim_block *block = warp->block;
    u32 bytes = memory_bytes(in);
    bool strong = in->aux & MEMORY_STRONG;

    if (!SIM_EXEC(target_shared)(warp, in, exec, bytes, "load", t)) return;
    SIM_EXEC(count_shared)(warp, t, bytes);
    if (strong) {
        block->polls++;
        sim_race_acquire(warp, t->lanes);
    }
    if (t->span) {
        if (block->checks && !strong) {
            shared_read(warp, in, (u32)t->offset, SIM_LANES * bytes, 0, bytes);
            load_span(warp, in, t->lanes, t->first, bytes);
            return;
        }
        if (!block->checks) {
            load_span(warp, in, t->lanes, t->first, bytes);
            return;
        }
    }
    const u8 *at[SIM_LANES] = {0};
    FOR_LANES(lane, t->lanes) {
        u32 offset = (u32)t->address[lane];
        at[lane] = block->shared + offset;
        if (!block->checks) continue;
        if (strong) {
            sim_access access = {.in = in, .offset = offset, .lane = lane};
            shared_strong(warp, &access, bytes, true, false);
        } else {
            shared_read(warp, in, offset, bytes, lane, bytes);
        }
    }
    load_from(warp, in, t->lanes, at);
}

static void shared_store_lanes(sim_warp *warp, const sim_instruction *in, target *t) {
    sim_block *block = warp->block;
    u32 bytes = memory_bytes(in);
    u8 values[SIM_LANES * 64];

    stored_bytes(warp, in, t->lanes, values);
    FOR_LANES(lane, t->lanes) {
        u32 offset = (u32)t->address[lane];
        u8 *at = block->shared + offset;
        sim_access access = {.in = in, .offset = offset, .lane = lane};
        if (block->checks && (in->aux & MEMORY_STRONG)) {
            shared_strong(warp, &access, bytes, false, true);
        } else if (block->checks) {
            if (shared_write_suspect(warp, offset, bytes)) {
                access.same_value = memcmp(at, values + lane * bytes, bytes) == 0;
                shared_write_look(warp, &access, bytes);
            }
            shared_write_mark(warp, in, offset, bytes, lane, bytes);
        }
        memcpy(at, values + lane * bytes, bytes);
    }
}

static void shared_store(sim_warp *warp, const sim_instruction *in, u32 exec, target *t) {
    sim_block *block = warp->block;
    u32 bytes = memory_bytes(in);

    if (!SIM_EXEC(target_shared)(warp, in, exec, bytes, "store", t)) return;
    SIM_EXEC(count_shared)(warp, t, bytes);
    block->progress++;
    if (in->aux & MEMORY_STRONG) sim_race_publish(warp, t->lanes, in->aux & MEMORY_RELEASE);
    if (!t->span ||
        (block->checks && ((in->aux & MEMORY_STRONG) ||
                           shared_write_suspect(warp, (u32)t->offset, SIM_LANES * bytes)))) {
        shared_store_lanes(warp, in, t);
        return;
    }
    if (block->checks) shared_write_mark(warp, in, (u32)t->offset, SIM_LANES * bytes, 0, bytes);
    store_span(warp, in, t->lanes, t->first, bytes);
}

HANDLER(ld_shared) {
    target t;

    lane_addresses(warp, in, exec, t.address);
    shared_load(warp, in, exec, &t);
    return SIM_STEP;
}

HANDLER(st_shared) {
    target t;

    lane_addresses(warp, in, exec, t.address);
    shared_store(warp, in, exec, &t);
    return SIM_STEP;
}

/* ---- shared memory of any block of the cluster */

typedef void shared_access(sim_warp *warp, const sim_instruction *in, u32 exec, target *t);
typedef void remote_access(sim_warp *warp, const sim_instruction *in, u32 lanes,
                           const u64 *offset);

static void cluster_access(sim_warp *warp, const sim_instruction *in, u32 lanes, const u64 *offset,
                           shared_access *shared, remote_access *remote) {
    u32 there = remote_lanes(warp, offset, lanes), here = lanes & ~there;
    target t;

    if (there) remote(warp, in, there, offset);
    if (!here) return;
    own_offsets(offset, here, t.address);
    shared(warp, in, here, &t);
}

HANDLER(ld_cluster) {
    u64 offset[SIM_LANES];

    lane_addresses(warp, in, exec, offset);
    cluster_access(warp, in, exec, offset, shared_load, SIM_EXEC(remote_load));
    return SIM_STEP;
}

HANDLER(st_cluster) {
    u64 offset[SIM_LANES];

    lane_addresses(warp, in, exec, offset);
    cluster_access(warp, in, exec, offset, shared_store, SIM_EXEC(remote_store));
    return SIM_STEP;
}

/* ---- local: each lane has its own bytes */

static u32 local_pointers(sim_warp *warp, const sim_instruction *in, u32 exec, u32 bytes,
                          const u64 *address, u8 **at) {
    u32 size = warp->block->kernel->local_bytes, lanes = exec;

    FOR_LANES(lane, exec) {
        u64 offset = address[lane];
        if (offset < size && offset + bytes <= size && !(offset & (bytes - 1))) {
            at[lane] = warp->local + (u64)lane * size + offset;
            continue;
        }
        sim_find(warp, address[lane] & (bytes - 1) ? SIM_FINDING_misaligned : SIM_FINDING_bounds,
                 in, UINT32_MAX,
                 "access of %u bytes at byte %llu of local memory of %u bytes, by block %u warp %u "
                 "lane %u (%%p)",
                 bytes, (unsigned long long)address[lane], size, warp->block->index, warp->index,
                 lane);
        lanes &= ~(1u << lane);
    }
    return lanes;
}

static void local_load(sim_warp *warp, const sim_instruction *in, u32 exec, const u64 *address) {
    u8 *at[SIM_LANES] = {0};
    u32 lanes = local_pointers(warp, in, exec, memory_bytes(in), address, at);

    load_from(warp, in, lanes, (const u8 *const *)at);
}

static void local_store(sim_warp *warp, const sim_instruction *in, u32 exec, const u64 *address) {
    u8 *at[SIM_LANES] = {0};
    u32 lanes = local_pointers(warp, in, exec, memory_bytes(in), address, at);

    store_to(warp, in, lanes, at);
}

HANDLER(ld_local) {
    u64 address[SIM_LANES];

    lane_addresses(warp, in, exec, address);
    local_load(warp, in, exec, address);
    return SIM_STEP;
}

HANDLER(st_local) {
    u64 address[SIM_LANES];

    lane_addresses(warp, in, exec, address);
    local_store(warp, in, exec, address);
    return SIM_STEP;
}

/* Moves aux bytes inside local memory from offset imm to offset e: arguments of a call. */
HANDLER(copy_local) {
    u32 size = warp->block->kernel->local_bytes;

    FOR_LANES(lane, exec) {
        u8 *frame = warp->local + (u64)lane * size;
        memmove(frame + in->e, frame + in->imm, in->aux);
    }
    return SIM_STEP;
}

/* ---- parameters of the kernel: the same for all */

static void argument_load(sim_warp *warp, const sim_instruction *in, u32 exec, const u64 *address) {
    const sim_kernel *k = warp->block->kernel;
    const u8 *at[SIM_LANES] = {0};
    u32 bytes = memory_bytes(in), lanes = exec;

    FOR_LANES(lane, exec) {
        at[lane] = warp->block->launch->args + address[lane];
        if (address[lane] < k->args_size && address[lane] + bytes <= k->args_size) continue;
        sim_find(warp, SIM_FINDING_bounds, in, UINT32_MAX,
                 "load of %u bytes at byte %llu of %u bytes of parameters, by block %u warp %u "
                 "lane %u (%%p)",
                 bytes, (unsigned long long)address[lane], k->args_size, warp->block->index,
                 warp->index, lane);
        lanes &= ~(1u << lane);
    }
    load_from(warp, in, lanes, at);
}

HANDLER(ld_argument) {
    u64 address[SIM_LANES];

    lane_addresses(warp, in, exec, address);
    if (address[0] + memory_bytes(in) <= warp->block->kernel->args_size && in->a == (s32)0x80000000)
        load_uniform(warp, in, exec, warp->block->launch->args + address[0]);
    else argument_load(warp, in, exec, address);
    return SIM_STEP;
}

/* ---- generic: by what each lane's address is in */

static u32 lanes_in_window(const u64 *address, u32 lanes, u64 window) {
    u32 in = 0;

    FOR_LANES(lane, lanes) in |= (u32)(address[lane] >> SIM_ADDRESS_SHIFT == window) << lane;
    return in;
}

/* Offsets in the window of some lanes; the others repeat the first. */
static void window_offsets(const u64 *address, u32 lanes, u64 *offset) {
    u64 fill = address[first_lane(lanes)] & OFFSET_MASK;

    for (int i = 0; i < SIM_LANES; i++)
        offset[i] = lanes >> i & 1 ? address[i] & OFFSET_MASK : fill;
}

static void refill(const u64 *address, u32 lanes, u64 *out) {
    u64 fill = address[first_lane(lanes)];

    for (int i = 0; i < SIM_LANES; i++) out[i] = lanes >> i & 1 ? address[i] : fill;
}

HANDLER(ld_generic) {
    u64 address[SIM_LANES];
    target t;

    lane_addresses(warp, in, exec, address);
    u32 shared = lanes_in_window(address, exec, SIM_WINDOW_SHARED);
    u32 local = lanes_in_window(address, exec, SIM_WINDOW_LOCAL);
    u32 param = lanes_in_window(address, exec, SIM_WINDOW_PARAM);
    u32 global = exec & ~(shared | local | param);
    if (shared) {
        window_offsets(address, shared, t.address);
        cluster_access(warp, in, shared, t.address, shared_load, SIM_EXEC(remote_load));
    }
    if (local) {
        window_offsets(address, local, t.address);
        local_load(warp, in, local, t.address);
    }
    if (param) {
        window_offsets(address, param, t.address);
        argument_load(warp, in, param, t.address);
    }
    if (global) {
        refill(address, global, t.address);
        global_load(warp, in, global, &t);
    }
    return after_load(in);
}

HANDLER(st_generic) {
    u64 address[SIM_LANES];
    target t;

    lane_addresses(warp, in, exec, address);
    u32 shared = lanes_in_window(address, exec, SIM_WINDOW_SHARED);
    u32 local = lanes_in_window(address, exec, SIM_WINDOW_LOCAL);
    u32 global = exec & ~(shared | local);
    if (shared) {
        window_offsets(address, shared, t.address);
        cluster_access(warp, in, shared, t.address, shared_store, SIM_EXEC(remote_store));
    }
    if (local) {
        window_offsets(address, local, t.address);
        local_store(warp, in, local, t.address);
    }
    if (global) {
        refill(address, global, t.address);
        global_store(warp, in, global, &t);
    }
    return SIM_STEP;
}
