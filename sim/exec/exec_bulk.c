/* exec_bulk.c - bulk copies (TMA): what a thread hands to the copy engine, and waiting for it. */
#include "core/layer.h"
#include "exec/exec_async.h"
#include "order/async.h"

#define OFFSET_MASK ((1ull << SIM_ADDRESS_SHIFT) - 1)

/* Assumptions of the time model: cycles from issue to arrival of the first byte, and bytes that an
 * SM's copy engine moves a clock. */
enum { BULK_LATENCY = 600, BULK_BYTES_CLOCK = 64, STRETCH = 256 };

/* ---- operands */

/* The tensor map at a generic address: in the parameters, or in global or constant memory. */
static bool read_map(sim_warp *warp, const sim_instruction *in, u64 address, u32 lane,
                     sim_tensor_map *out) {
    const sim_launch_state *launch = warp->block->launch;
    u64 offset = address & OFFSET_MASK;
    const u8 *from = NULL;

    if (address >> SIM_ADDRESS_SHIFT == SIM_WINDOW_PARAM) {
        if (offset + sizeof *out <= launch->kernel->args_size) from = launch->args + offset;
    } else {
        const sim_allocation *a = sim_allocation_at(launch->memory, address);
        if (a && offset + sizeof *out <= a->size) from = a->bytes + offset;
    }
    if (from) memcpy(out, from, sizeof *out);
    if (from && out->magic == SIM_TENSOR_MAGIC && !(address % 64)) return true;
    sim_find(warp, SIM_FINDING_bounds, in, UINT32_MAX,
             "block %u warp %u lane %u copies by the tensor map at 0x%llx (%%p), which is none: it "
             "must be encoded for this device, at a multiple of 64 bytes",
             warp->block->index, warp->index, lane, (unsigned long long)address);
    return false;
}

static bool shared_fits(sim_warp *warp, const sim_instruction *in, const sim_bulk *bulk) {
    const sim_block *block = warp->block;
    u32 align = bulk->map.rank ? 128 : 16;

    if (bulk->shared % align) {
        sim_find(warp, SIM_FINDING_misaligned, in, UINT32_MAX,
                 "a bulk copy at byte %u of shared memory, no multiple of %u, by block %u warp %u "
                 "lane %u (%%p)",
                 bulk->shared, align, block->index, warp->index, bulk->lane);
        return false;
    }
    if (bulk->shared <= block->shared_bytes && bulk->bytes <= block->shared_bytes - bulk->shared)
        return true;
    sim_find(warp, SIM_FINDING_bounds, in, UINT32_MAX,
             "a bulk copy of %u bytes at byte %u of shared memory of %u bytes, by block %u warp %u "
             "lane %u (%%p)",
             bulk->bytes, bulk->shared, block->shared_bytes, block->index, warp->index, bulk->lane);
    return false;
}

/* A copy without a map: both addresses and the size are multiples of 16. */
static bool run_fits(sim_warp *warp, const sim_instruction *in, const sim_bulk *bulk) {
    if (!(bulk->map.address % 16) && !(bulk->bytes % 16)) return shared_fits(warp, in, bulk);
    sim_find(warp, SIM_FINDING_misaligned, in, UINT32_MAX,
             "a bulk copy of %u bytes at 0x%llx of global memory by block %u warp %u lane %u "
             "(%%p): both must be multiples of 16",
             bulk->bytes, (unsigned long long)bulk->map.address, warp->block->index, warp->index,
             bulk->lane);
    return false;
}

/* Where a box may begin. Hopper takes any other for an illegal instruction. */
static bool box_fits(sim_warp *warp, const sim_instruction *in, const sim_bulk *bulk) {
    s64 first = (s64)bulk->at[0] * bulk->map.element;

    if (first % 16) {
        sim_find(warp, SIM_FINDING_misaligned, in, UINT32_MAX,
                 "a box that begins at byte %lld of its tensor's lines, no multiple of 16, by "
                 "block %u warp %u lane %u (%%p)",
                 (long long)first, warp->block->index, warp->index, bulk->lane);
        return false;
    }
    for (int i = 0; i < bulk->map.rank && bulk->kind == SIM_BULK_STORE; i++) {
        if (bulk->at[i] >= 0) continue;
        sim_find(warp, SIM_FINDING_bounds, in, UINT32_MAX,
                 "block %u warp %u lane %u stores a box that begins at coordinate %d (%%p); only "
                 "loads may begin below 0",
                 warp->block->index, warp->index, bulk->lane, bulk->at[i]);
        return false;
    }
    return shared_fits(warp, in, bulk);
}

/* The operation on a tensor's elements; what PTX has not for their type is a finding. */
static bool tensor_reduction(sim_warp *warp, const sim_instruction *in, sim_bulk *bulk) {
    static const u8 types[MOE_DTYPE_COUNT] = {
#define MOE_DTYPE_NAMES(constant, map, blas, ptx, ...) [MOE_##constant] = SIM_T_##ptx,
#include "core/dtype.def"
#undef MOE_DTYPE_NAMES
    };

    bulk->reduction.type = types[bulk->map.dtype];
    if (!bulk->reduces || sim_reduce_bulk_legal(bulk->reduction)) return true;
    sim_find(warp, SIM_FINDING_value, in, UINT32_MAX,
             "block %u warp %u lane %u reduces into a tensor of %s by an operation that its "
             "elements do not have (%%p)",
             warp->block->index, warp->index, bulk->lane,
             moe_dtype_names[bulk->map.dtype]);
    return false;
}

/* a: map (list: coordinates) or global address; b, c: shared address and its offset; d: mbarrier or
 * 0, at e; f: bytes of a copy without a map */
static bool describe(sim_warp *warp, const sim_instruction *in, u32 lane, sim_bulk *out) {
    u64 address = LANES_OF(const u64, warp, in->a)[lane] + (u64)in->imm;

    *out = (sim_bulk){.kind = in->aux & BULK_STORE ? SIM_BULK_STORE : SIM_BULK_LOAD,
                      .warp = warp->index,
                      .lane = lane,
                      .pc = instruction_pc(warp, in),
                      .early = !sim_has_waited(warp, lane),
                      .reduces = in->aux & BULK_REDUCE,
                      .reduction = {REDUCTION_OPERATION(in), REDUCTION_TYPE(in), true},
                      .shared = LANES_OF(const u32, warp, in->b)[lane] + (u32)in->c};
    if (in->d) out->barrier = LANES_OF(const u32, warp, in->d)[lane] + (u32)in->e;
    if (!(in->aux & BULK_TENSOR)) {
        out->map.address = address;
        out->bytes = LANES_OF(const u32, warp, in->f)[lane];
        return run_fits(warp, in, out);
    }
    if (!read_map(warp, in, address, lane, &out->map)) return false;
    if (out->map.rank != (u32)in->f) {
        sim_find(warp, SIM_FINDING_value, in, UINT32_MAX,
                 "block %u warp %u lane %u gives %d coordinates for a tensor of %u dimensions "
                 "(%%p)",
                 warp->block->index, warp->index, lane, in->f, out->map.rank);
        return false;
    }
    out->bytes = sim_tensor_box_bytes(&out->map);
    for (int i = 0; i < in->f; i++) out->at[i] = LANES_OF(const s32, warp, in->list[i])[lane];
    return tensor_reduction(warp, in, out) && box_fits(warp, in, out);
}

/* When the copy's last byte is there. */
static u64 engine_time(sim_warp *warp, u32 bytes) {
    sim_async *async = sim_async_of(warp->block);
    u64 start = warp->cycles;

    if (!async) return start;
    if (async->copy_free > start) start = async->copy_free;
    async->copy_free = start + bytes / BULK_BYTES_CLOCK;
    return async->copy_free + BULK_LATENCY;
}

/* ---- issue */

/* What the copy will write is not to be touched until it is waited for. */
static void mark_in_flight(const sim_block *block, const sim_bulk *bulk) {
    const sim_shared_marks *m = &block->marks;
    u32 shift = block->kernel->shared_store_shift, end = bulk->shared + bulk->bytes;

    for (u32 g = bulk->shared >> shift; block->checks && g << shift < end; g++) {
        m->write[g] = SIM_IN_FLIGHT;
        m->write_pc[g] = bulk->pc;
    }
}

static void issue_load(sim_warp *warp, const sim_instruction *in, sim_bulk *bulk) {
    const sim_block *block = warp->block;

    if (!sim_mbarrier_at(warp, in, bulk->barrier, bulk->lane)) return;
    for (u32 at = 0; block->checks && at < bulk->bytes; at += STRETCH) {
        u32 bytes = bulk->bytes - at < STRETCH ? bulk->bytes - at : STRETCH;
        sim_access access = {.in = in, .offset = bulk->shared + at, .lane = bulk->lane};
        if (shared_write_suspect(warp, access.offset, bytes))
            shared_write_look(warp, &access, bytes);
    }
    mark_in_flight(block, bulk);
    sim_bulk_add(warp->block, bulk);
}

/* The same box to several blocks of the cluster, at the same place, each with its own mbarrier.
 * Whether other blocks still use the place is not checked: their clocks are their own. */
static void issue_multicast(sim_warp *warp, const sim_instruction *in, sim_bulk *bulk, u32 mask) {
    for (u32 rank = 0; mask >> rank; rank++) {
        sim_block *peer = rank < SIM_MAX_CLUSTER ? warp->block->cluster[rank] : NULL;
        if (!(mask >> rank & 1)) continue;
        if (peer == warp->block) {
            issue_load(warp, in, bulk);
        } else if (peer) {
            if (!sim_mbarrier_remote(warp, in, peer, bulk->barrier)) continue;
            sim_bulk copy = *bulk;
            copy.copy = true;
            mark_in_flight(peer, &copy);
            sim_bulk_add(peer, &copy);
            peer->progress++;
        } else {
            sim_find(warp, SIM_FINDING_bounds, in, UINT32_MAX,
                     "block %u warp %u lane %u copies to block %u of its cluster (%%p), which is "
                     "not there or has ended",
                     warp->block->index, warp->index, bulk->lane, rank);
        }
    }
}

static bool same_operands(const sim_warp *warp, const sim_instruction *in, u32 a, u32 b) {
    const u64 *map = LANES_OF(const u64, warp, in->a);
    const u32 *shared = LANES_OF(const u32, warp, in->b);
    bool same = map[a] == map[b] && shared[a] == shared[b];

    for (int i = 0; same && i < in->f; i++) {
        const u32 *at = LANES_OF(const u32, warp, in->list[i]);
        same = at[a] == at[b];
    }
    return same;
}

/* Lanes that store, or reduce, one box together make one operation of it, in the name of the first:
 * its operands live in registers of the warp (ptxas makes one UTMASTG or UTMAREDG for each set). */
static u32 distinct_stores(const sim_warp *warp, const sim_instruction *in, u32 exec) {
    u32 kept = 0;

    if ((in->aux & (BULK_STORE | BULK_TENSOR)) != (BULK_STORE | BULK_TENSOR)) return exec;
    FOR_LANES(lane, exec) {
        bool again = false;
        FOR_LANES(other, kept) again = again || same_operands(warp, in, lane, other);
        kept |= (u32)!again << lane;
    }
    return kept;
}

HANDLER(bulk_copy) {
    u32 lanes = distinct_stores(warp, in, exec);

    FOR_LANES(lane, lanes) {
        sim_bulk bulk;
        if (!describe(warp, in, lane, &bulk)) continue;
        bulk.cycle = engine_time(warp, bulk.bytes);
        if (in->aux & BULK_MULTICAST)
            issue_multicast(warp, in, &bulk, LANES_OF(const u16, warp, in->list[in->f])[lane]);
        else if (bulk.kind == SIM_BULK_LOAD) issue_load(warp, in, &bulk);
        else sim_bulk_store_start(warp, in, &bulk);
    }
    warp->block->progress++;
    return SIM_STEP;
}

/* ---- groups of stores */

HANDLER(bulk_commit) {
    sim_async *async = sim_async_of(warp->block);

    (void)in;
    if (!async) return SIM_STEP;
    FOR_LANES(lane, exec) async->commits[warp->index][lane]++;
    async->store_cycle[warp->index] = async->copy_free;
    return SIM_STEP;
}

/* imm: groups that may stay under way */
HANDLER(bulk_wait) {
    const sim_async *async = warp->block->async;
    bool reads_only = in->aux & BULK_READ;

    FOR_LANES(lane, exec) sim_bulk_store_wait(warp, in, lane, in->imm, reads_only);
    if (!async || in->imm || !async->store_cycle[warp->index]) return SIM_STEP;
    u64 end = async->store_cycle[warp->index] + (reads_only ? 0 : BULK_LATENCY);
    if (end > warp->cycles) warp->cycles = end;
    return SIM_STEP;
}
