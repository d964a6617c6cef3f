/* exec_target.c - bounds and alignment of memory instructions, and what they cost. */
#include "exec/exec_memory.h"

#include <stdio.h>

#define OFFSET_MASK ((1ull << SIM_ADDRESS_SHIFT) - 1)

static const char *window_name(u64 address) {
    switch (address >> SIM_ADDRESS_SHIFT) {
    case 0: return "a null pointer or a bare offset";
    case SIM_WINDOW_SHARED: return "shared memory through a global access";
    case SIM_WINDOW_LOCAL: return "local memory through a global access";
    case SIM_WINDOW_PARAM: return "a parameter";
    default: return "no allocation";
    }
}

static bool is_before(const sim_memory *memory, u64 address) {
    u64 offset = address & OFFSET_MASK;

    return offset > OFFSET_MASK / 2 &&
           sim_allocation_at(memory, address + OFFSET_MASK + 1 - offset);
}

/* " at byte 64", or, where an address has run under the start of an allocation into the room of the
 * one before, ", 4 bytes before". */
static void place_text(const sim_memory *memory, u64 address, char *text, size_t size) {
    u64 offset = address & OFFSET_MASK, before = OFFSET_MASK + 1 - offset;

    if (is_before(memory, address))
        snprintf(text, size, ", %llu bytes before a global allocation of %llu bytes",
                 (unsigned long long)before,
                 (unsigned long long)sim_allocation_at(memory, address + before)->size);
    else
        snprintf(text, size, " at byte %llu of a global allocation of %llu bytes",
                 (unsigned long long)offset,
                 (unsigned long long)sim_allocation_at(memory, address)->size);
}

/* One lane's global access; false if it must not happen. */
static bool check_global(sim_warp *warp, const sim_instruction *in, u32 lane, u64 address,
                         u32 bytes, const char *what) {
    const sim_memory *memory = warp->block->launch->memory;
    const sim_allocation *a = sim_allocation_at(memory, address);
    u64 offset = address & OFFSET_MASK, number = address >> SIM_ADDRESS_SHIFT;

    if (!a && !is_before(memory, address)) {
        bool freed = number >= SIM_FIRST_ALLOCATION && number < memory->count;
        sim_find(warp, freed ? SIM_FINDING_freed : SIM_FINDING_bounds, in, UINT32_MAX,
                 "%s of %u bytes at 0x%llx, %s, by block %u warp %u lane %u (%%p)", what, bytes,
                 (unsigned long long)address,
                 freed ? "an allocation that is freed" : window_name(address), warp->block->index,
                 warp->index, lane);
        return false;
    }
    if (!a || offset > a->size || bytes > a->size - offset) {
        char place[120];
        place_text(memory, address, place, sizeof place);
        sim_find(warp, SIM_FINDING_bounds, in, UINT32_MAX,
                 "%s of %u bytes%s, by block %u warp %u lane %u (%%p)", what, bytes, place,
                 warp->block->index, warp->index, lane);
        return false;
    }
    if (address & (bytes - 1)) {
        sim_find(
            warp, SIM_FINDING_misaligned, in, UINT32_MAX,
            "%s of %u bytes at byte %llu of a global allocation, by block %u warp %u lane %u (%%p)",
            what, bytes, (unsigned long long)offset, warp->block->index, warp->index, lane);
        return false;
    }
    return true;
}

bool SIM_EXEC(target_global)(sim_warp *warp, const sim_instruction *in, u32 exec, u32 bytes,
                             const char *what, target *out) {
    const sim_memory *memory = warp->block->launch->memory;

    spread s = address_spread(out->address, bytes);
    sim_allocation *a = sim_allocation_at(memory, s.low);
    out->lanes = exec;
    out->span = out->uniform = false;
    if (unlikely(!a || s.low >> SIM_ADDRESS_SHIFT != s.high >> SIM_ADDRESS_SHIFT ||
                 (s.bits & (bytes - 1)) || (s.high & OFFSET_MASK) + bytes > a->size)) {
        FOR_LANES(lane, exec) {
            if (!check_global(warp, in, lane, out->address[lane], bytes, what))
                out->lanes &= ~(1u << lane);
        }
        return out->lanes != 0;
    }
    out->allocation = a;
    out->offset = out->address[0] & OFFSET_MASK;
    out->first = a->bytes + out->offset;
    out->span = s.contiguous && exec == ~0u;
    out->uniform = s.low == s.high;
    return true;
}

static bool check_shared(sim_warp *warp, const sim_instruction *in, u32 lane, u64 offset, u32 bytes,
                         const char *what) {
    const sim_block *block = warp->block;

    if (offset > block->shared_bytes || bytes > block->shared_bytes - offset) {
        sim_find(warp, SIM_FINDING_bounds, in, UINT32_MAX,
                 "%s of %u bytes at byte %llu of shared memory of %u bytes, by block %u warp %u "
                 "lane %u (%%p)",
                 what, bytes, (unsigned long long)offset, block->shared_bytes, block->index,
                 warp->index, lane);
        return false;
    }
    if (offset & (bytes - 1)) {
        sim_find(warp, SIM_FINDING_misaligned, in, UINT32_MAX,
                 "%s of %u bytes at byte %llu of shared memory, by block %u warp %u lane %u (%%p)",
                 what, bytes, (unsigned long long)offset, block->index, warp->index, lane);
        return false;
    }
    return true;
}

bool SIM_EXEC(target_shared)(sim_warp *warp, const sim_instruction *in, u32 exec, u32 bytes,
                             const char *what, target *out) {
    const sim_block *block = warp->block;

    spread s = address_spread(out->address, bytes);
    out->lanes = exec;
    out->span = out->uniform = false;
    if (unlikely((s.bits & (bytes - 1)) || s.high + bytes > block->shared_bytes ||
                 s.high + bytes < s.high)) {
        FOR_LANES(lane, exec) {
            if (!check_shared(warp, in, lane, out->address[lane], bytes, what))
                out->lanes &= ~(1u << lane);
        }
        return out->lanes != 0;
    }
    out->offset = out->address[0];
    out->first = block->shared + out->offset;
    out->span = s.contiguous && exec == ~0u;
    out->uniform = s.low == s.high;
    return true;
}

/* ---- costs. Of scattered accesses every so many-th is measured; the number is odd, so that it
 * does not keep step with loops. */

enum { SAMPLE_EVERY = 13 };

static void count(sim_worker *worker, u64 cost, sim_sample kind) {
    u64 *counter[] = {&worker->counters.load_sectors, &worker->counters.store_sectors,
                      &worker->counters.atomic_sectors, &worker->counters.shared_wavefronts};

    *counter[kind] += cost;
}

void SIM_EXEC(count_global)(sim_warp *warp, const target *t, u32 bytes, sim_sample kind) {
    sim_worker *worker = warp->block->worker;

    if (t->span) {
        count(worker, ((t->offset + SIM_LANES * bytes - 1) >> 5) - (t->offset >> 5) + 1, kind);
    } else if (t->uniform) {
        count(worker, 1, kind);
    } else {
        sim_samples *s = &warp->block->samples[kind];
        if (s->requests++ % SAMPLE_EVERY) return;
        s->measured++;
        s->cost += sim_sectors(t->address, t->lanes, bytes);
    }
}

void SIM_EXEC(count_shared)(sim_warp *warp, const target *t, u32 bytes) {
    sim_worker *worker = warp->block->worker;
    u32 offset[SIM_LANES];

    if (t->span) {
        count(worker, bytes > 4 ? bytes / 4 : 1, SAMPLE_SHARED);
    } else if (t->uniform) {
        count(worker, 1, SAMPLE_SHARED);
    } else {
        sim_samples *s = &warp->block->samples[SAMPLE_SHARED];
        if (s->requests++ % SAMPLE_EVERY) return;
        for (int i = 0; i < SIM_LANES; i++) offset[i] = (u32)t->address[i];
        s->measured++;
        s->cost += sim_wavefronts(offset, t->lanes, bytes);
    }
}

void SIM_EXEC(check_written)(sim_warp *warp, const sim_instruction *in, const sim_range *range) {
    u64 first;

    if (sim_written_test(range->allocation, range->offset, range->bytes, &first)) return;
    sim_find(warp, SIM_FINDING_unwritten, in, UINT32_MAX,
             "block %u warp %u lane %u reads byte %llu of a global allocation of %llu bytes, which "
             "nobody "
             "wrote (%%p)",
             warp->block->index, warp->index,
             range->lane + (u32)(first - range->offset) / range->lane_bytes,
             (unsigned long long)first, (unsigned long long)range->allocation->size);
}
