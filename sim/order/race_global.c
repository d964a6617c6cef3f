/* race_global.c - marks on global memory: by page and granule, made when first needed.
 *
 * A global stamp is 64 bits: block + 1 (24) | fences that the block had executed (8) | the stamp of
 * race.h (32). When a block's clock starts anew it takes a further number for itself, so `block` is
 * modulo the grid's size, and what it did under an earlier number is ordered before. Blocks of one
 * launch may mark a page at the same time from different host threads, so each page has a lock. */
#include "order/race.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCK_SHIFT = 40, FENCE_SHIFT = 32, BLOCK_MASK = (1 << 24) - 1, SECTOR_SHIFT = 5 };

static uint64_t own_id(const sim_block *b) {
    return ((uint64_t)b->generation * b->launch->blocks + b->index + 1) & BLOCK_MASK;
}

/* What the lanes of a range leave behind, less their numbers. */
static uint64_t own_stamp(const sim_warp *warp, const sim_range *range) {
    const sim_block *b = warp->block;
    uint32_t stamp = range->in_flight ? SIM_IN_FLIGHT : sim_stamp(warp);

    return own_id(b) << BLOCK_SHIFT | (uint64_t)b->fences << FENCE_SHIFT | stamp;
}

static uint32_t block_of(const sim_launch_state *launch, uint64_t stamp) {
    return ((uint32_t)(stamp >> BLOCK_SHIFT) - 1) % launch->blocks;
}

/* ---- pages */

/* The page, locked, without what another launch left on it. */
static sim_page *page_take(const sim_warp *warp, sim_allocation *allocation, uint64_t offset) {
    sim_page *page = &allocation->page[offset >> SIM_PAGE_SHIFT];
    const sim_launch_state *launch = warp->block->launch;

    for (unsigned tries = 1;
         launch->parallel && __atomic_exchange_n(&page->lock, 1, __ATOMIC_ACQUIRE); tries++)
        if (tries % 64 == 0) sched_yield();
    if (page->launch == launch->number) return page;
    page->touched[0] = page->touched[1] = 0;
    page->uses = (sim_uses){0};
    for (int kind = 0; kind < SIM_MARK_KINDS; kind++) page->marks[kind].stale = true;
    page->launch = launch->number;
    return page;
}

static void page_release(const sim_warp *warp, sim_page *page) {
    if (warp->block->launch->parallel) __atomic_store_n(&page->lock, 0, __ATOMIC_RELEASE);
}

/* Granules of at most 1 << shift bytes, taking over what coarser ones held. False without memory:
 * the marks are lost, nothing else. */
static bool marks_ready(sim_marks *marks, uint32_t shift) {
    if (marks->stale && marks->stamp && marks->shift == shift)
        memset(marks->stamp, 0, (SIM_PAGE_BYTES >> shift) * sizeof *marks->stamp);
    else if (marks->stale) sim_marks_free(marks);
    marks->stale = false;
    if (marks->stamp && marks->shift <= shift) return true;
    uint32_t count = SIM_PAGE_BYTES >> shift;
    uint64_t *stamp = calloc(count, sizeof *stamp);
    uint32_t *detail = calloc(count, sizeof *detail);
    if (!stamp || !detail) {
        free(stamp);
        free(detail);
        return false;
    }
    for (uint32_t g = 0; marks->stamp && g < count; g++) {
        stamp[g] = marks->stamp[g >> (marks->shift - shift)];
        detail[g] = marks->detail[g >> (marks->shift - shift)];
    }
    sim_marks_free(marks);
    *marks = (sim_marks){.stamp = stamp, .detail = detail, .shift = shift};
    return true;
}

/* log2 of the access that each lane makes in a range, or of what is finer. */
static uint32_t range_shift(const sim_range *range) {
    uint32_t shift = (uint32_t)__builtin_ctz(range->grain ? range->grain : range->lane_bytes);

    return shift > 4 ? 4 : shift;
}

/* ---- sectors */

static void touch(const sim_warp *warp, sim_page *page, uint32_t at, uint32_t bytes) {
    uint32_t first = at >> SECTOR_SHIFT, last = (at + bytes - 1) >> SECTOR_SHIFT;
    const sim_block *block = warp->block;

    sim_uses_add(&page->uses, &block->launch->epochs, block->first_epoch, warp->cycles);
    for (uint32_t s = first; s <= last; s++) {
        if (page->touched[s >> 6] >> (s & 63) & 1) continue;
        page->touched[s >> 6] |= 1ull << (s & 63);
        warp->block->worker->counters.unique_bytes += 1u << SECTOR_SHIFT;
    }
}

static uint32_t page_part(uint64_t offset, uint64_t bytes) {
    uint64_t left = SIM_PAGE_BYTES - (offset & (SIM_PAGE_BYTES - 1));

    return (uint32_t)(bytes < left ? bytes : left);
}

void sim_global_touch(sim_warp *warp, sim_allocation *allocation, uint64_t offset, uint32_t bytes) {
    while (bytes) {
        uint32_t part = page_part(offset, bytes);
        sim_page *page = page_take(warp, allocation, offset);
        touch(warp, page, offset & (SIM_PAGE_BYTES - 1), part);
        page_release(warp, page);
        offset += part;
        bytes -= part;
    }
}

/* ---- order */

/* Has a write (or read) by another block been published, and may this block have seen that? */
static bool published(const sim_warp *warp, uint64_t stamp) {
    const sim_launch_state *launch = warp->block->launch;
    uint32_t by = block_of(launch, stamp), fence = stamp >> FENCE_SHIFT & 255;
    const uint64_t *log = __atomic_load_n(&launch->fence_log[by], __ATOMIC_ACQUIRE);

    if (fence == 255) return true;
    if (!log) return false;
    uint64_t order = __atomic_load_n(&log[fence], __ATOMIC_ACQUIRE);
    return order && order <= warp->block->acquired;
}

static bool ordered(const sim_warp *warp, uint64_t stamp, uint32_t detail, uint32_t lane) {
    const sim_block *b = warp->block;

    if (block_of(b->launch, stamp) != b->index) return published(warp, stamp);
    if ((uint32_t)stamp == SIM_IN_FLIGHT) return false;
    if ((detail & SIM_MANY_BLOCKS) && !b->launch->order) return false;
    if (stamp >> BLOCK_SHIFT != own_id(b)) return true;
    if ((uint32_t)stamp < warp->all_seen) return true;
    if ((detail & SIM_MANY_LANES) && sim_stamp_warp((uint32_t)stamp) == warp->index &&
        (uint32_t)stamp >= warp->synced && !warp->lane_seen)
        return false;
    return sim_ordered(warp, (uint32_t)stamp, lane);
}

typedef struct look {
    sim_warp *warp;
    const sim_instruction *in;
    const sim_range *range;
    const char *what;
    bool probe; /* do not report, only say so: */
    bool found;
} look;

static uint32_t lane_at(const sim_range *range, uint64_t offset) {
    uint32_t shift = (uint32_t)__builtin_ctz(range->lane_bytes); /* accesses are powers of two */

    return range->lane + (offset > range->offset ? (uint32_t)(offset - range->offset) >> shift : 0);
}

/* "block 3 warp 1 lane 5", or the bulk store of a block. */
static void agent_name(const sim_block *b, uint64_t stamp, char *text, size_t size) {
    uint32_t by = block_of(b->launch, stamp), from = (uint32_t)stamp;

    if (from == SIM_IN_FLIGHT) snprintf(text, size, "a bulk store of block %u", by);
    else
        snprintf(text, size, "block %u warp %u lane %u", by, sim_stamp_warp(from),
                 sim_stamp_lane(from));
}

static const char *missing_between(const sim_warp *warp, uint64_t stamp) {
    const sim_block *b = warp->block;

    if (block_of(b->launch, stamp) != b->index)
        return "in one launch without fence and flag between";
    return sim_stamp_warp((uint32_t)stamp) == warp->index ? "no __syncwarp between"
                                                          : "no barrier between";
}

static void find_race(const look *l, uint32_t lane, uint64_t stamp, uint32_t pc,
                      const char *earlier, uint64_t offset) {
    const sim_block *b = l->warp->block;
    char agent[60];

    agent_name(b, stamp, agent, sizeof agent);
    sim_find(
        l->warp, SIM_FINDING_race, l->in, pc & SIM_PC_MASK,
        "%s by %s (%%q) and %s by block %u warp %u lane %u (%%p) of global address 0x%llx (byte "
        "%llu of its allocation), %s",
        earlier, agent, l->what, b->index, l->warp->index, lane,
        (unsigned long long)((uint64_t)(l->range->allocation - b->launch->memory->allocation)
                                 << SIM_ADDRESS_SHIFT |
                             offset),
        (unsigned long long)offset, missing_between(l->warp, stamp));
}

/* A bulk store of this block is not complete. */
static void find_in_flight(const look *l, uint32_t lane, uint32_t pc, uint64_t offset) {
    sim_find(l->warp, SIM_FINDING_async, l->in, pc & SIM_PC_MASK,
             "block %u warp %u lane %u %ss byte %llu of a global allocation (%%p) while a bulk "
             "store (%%q) may still be writing it: no cp.async.bulk.wait_group, other than .read, "
             "by the storing thread",
             l->warp->block->index, l->warp->index, lane, l->what, (unsigned long long)offset);
}

static void find_unordered(const look *l, uint32_t lane, uint64_t stamp, uint32_t pc,
                           const char *earlier, uint64_t offset) {
    const sim_block *b = l->warp->block;
    bool own = block_of(b->launch, stamp) == b->index;

    if (own && (uint32_t)stamp == SIM_IN_FLIGHT) find_in_flight(l, lane, pc, offset);
    else find_race(l, lane, stamp, pc, earlier, offset);
}

/* Compares a part of a range that lies in one page with the marks of one kind. */
static void compare(look *l, const sim_page *page, sim_mark_kind kind, uint64_t offset,
                    uint32_t bytes) {
    static const char *const earlier[] = {"write", "read", "atomic access"};
    const sim_marks *marks = &page->marks[kind];
    uint64_t own = own_id(l->warp->block);
    uint32_t at = offset & (SIM_PAGE_BYTES - 1), shift = marks->shift;

    if (!marks->stamp || marks->stale) return;
    for (uint32_t g = at >> shift; g <= (at + bytes - 1) >> shift; g++) {
        uint64_t stamp = marks->stamp[g];
        uint32_t detail = marks->detail[g];
        if (!stamp) continue;
        if (stamp >> BLOCK_SHIFT == own && (uint32_t)stamp < l->warp->all_seen &&
            !(detail & SIM_MANY_BLOCKS) && !l->range->cached)
            continue;
        uint64_t byte = offset - at + ((uint64_t)g << shift);
        uint32_t lane = lane_at(l->range, byte > offset ? byte : offset);
        if (l->range->same_value && kind == SIM_WRITES) continue;
        if (kind == SIM_ATOMICS && (detail & SIM_VOLATILE) && l->what[0] == 'r') continue;
        bool fine = ordered(l->warp, stamp, detail, lane);
        if (l->probe && !fine) {
            l->found = true;
            return;
        }
        if (!fine) {
            find_unordered(l, lane, stamp, detail, earlier[kind], byte);
        } else if (l->range->cached && kind == SIM_WRITES) {
            sim_find(l->warp, SIM_FINDING_race, l->in, detail & SIM_PC_MASK,
                     "ld.global.nc by block %u warp %u lane %u (%%p) of bytes that this launch "
                     "writes (%%q): "
                     "the non-coherent cache may hold the old ones",
                     l->warp->block->index, l->warp->index, lane);
        }
    }
}

/* ---- marking */

/* The first and last granule of a range in its page. */
typedef struct granules {
    uint32_t first, last;
    uint64_t base; /* offset of the page */
} granules;

static granules granules_of(const sim_marks *marks, uint64_t offset, uint32_t bytes) {
    uint32_t at = offset & (SIM_PAGE_BYTES - 1);

    return (granules){at >> marks->shift, (at + bytes - 1) >> marks->shift, offset - at};
}

static void fill_marks(const sim_range *range, sim_marks *marks, granules g, uint64_t stamp,
                       uint32_t detail) {
    bool one_each = range->lane_bytes == 1u << marks->shift;
    uint32_t lane = lane_at(range, g.base + ((uint64_t)g.first << marks->shift));

    if (one_each) {
        for (uint32_t i = g.first; i <= g.last; i++)
            marks->stamp[i] = stamp | (lane + (i - g.first));
    } else {
        for (uint32_t i = g.first; i <= g.last; i++)
            marks->stamp[i] = stamp | lane_at(range, g.base + ((uint64_t)i << marks->shift));
    }
    for (uint32_t i = g.first; i <= g.last; i++) marks->detail[i] = detail;
}

static void mark_writes(sim_warp *warp, const sim_range *range, sim_marks *marks, uint64_t offset,
                        uint32_t bytes, uint32_t pc) {
    fill_marks(range, marks, granules_of(marks, offset, bytes), own_stamp(warp, range), pc);
}

/* Joins the readers, or atomic accessors, of each granule. */
static void mark_set(sim_warp *warp, const sim_range *range, sim_marks *marks, uint64_t offset,
                     uint32_t bytes, uint32_t pc) {
    granules at = granules_of(marks, offset, bytes);
    uint64_t stamp = own_stamp(warp, range), any = 0;

    for (uint32_t g = at.first; g <= at.last; g++) any |= marks->stamp[g];
    if (!any) {
        fill_marks(range, marks, at, stamp, pc);
        return;
    }
    for (uint32_t g = at.first; g <= at.last; g++) {
        uint64_t old = marks->stamp[g],
                 mine = stamp | lane_at(range, at.base + ((uint64_t)g << marks->shift));
        uint32_t flags = old ? marks->detail[g] & SIM_MANY_BLOCKS : 0;
        if (old && old != mine) {
            if ((old ^ mine) >> BLOCK_SHIFT) {
                bool other = block_of(warp->block->launch, old) != warp->block->index;
                flags |= other ? SIM_MANY_BLOCKS : 0;
            } else if ((uint32_t)old >= warp->all_seen) {
                bool own = sim_stamp_warp((uint32_t)old) == warp->index;
                /* what this lane comes behind is no longer of the set; as in record_set */
                bool past = own ? (uint32_t)old < warp->synced
                                : sim_ordered(warp, (uint32_t)old, (uint32_t)mine & 31);
                if (!past) flags |= marks->detail[g] & SIM_MANY_LANES;
                if (own && !past && ((old ^ mine) & 31)) flags |= SIM_MANY_LANES;
            }
        }
        marks->stamp[g] = mine;
        marks->detail[g] = pc | flags;
    }
}

typedef void marker(sim_warp *warp, const sim_range *range, sim_marks *marks, uint64_t offset,
                    uint32_t bytes, uint32_t pc);

/* What an access looks at, and what it leaves behind. */
typedef struct policy {
    const char *what;
    bool compare[SIM_MARK_KINDS];
    sim_mark_kind mark;
    marker *marker;
    uint32_t flags;
} policy;

static const policy plain_read = {"read", {true, false, true}, SIM_READS, mark_set, 0};
static const policy plain_write = {"write", {true, true, true}, SIM_WRITES, mark_writes, 0};
static const policy strong_read = {
    "read", {true, false, false}, SIM_ATOMICS, mark_set, SIM_VOLATILE};
static const policy strong_write = {"write", {true, true, false}, SIM_ATOMICS, mark_set, 0};
/* The end of a write that was compared when it began. */
static const policy plain_end = {"write", {false}, SIM_WRITES, mark_writes, 0};
static const policy strong_end = {"write", {false}, SIM_ATOMICS, mark_set, 0};

/* A programmatic dependent launch may run beside those ahead of it until it waits for them: before,
 * it must not read what they write, nor write what they may still read. */
static void check_dependency(sim_warp *warp, const sim_instruction *in, const sim_range *range,
                             const sim_page *page, bool write) {
    const sim_launch_state *launch = warp->block->launch;
    uint64_t wrote = page->wrote[page->wrote[0] == launch->number];

    if (!write && (wrote < launch->chain || wrote == 0)) return;
    sim_find(warp, SIM_FINDING_dependency, in, UINT32_MAX,
             write ? "block %u warp %u lane %u writes global memory (%%p) before its "
                     "griddepcontrol.wait: kernels ahead may still use it"
                   : "block %u warp %u lane %u reads what a kernel ahead writes (%%p) before its "
                     "griddepcontrol.wait",
             warp->block->index, warp->index, range->lane);
}

static bool is_early(sim_warp *warp, const sim_range *range) {
    if ((warp->waited | warp->exited) == ~0u) return range->early;
    return range->early || !sim_has_waited(warp, range->lane);
}

static void note_write(sim_page *page, uint64_t launch) {
    if (page->wrote[0] == launch) return;
    page->wrote[1] = page->wrote[0];
    page->wrote[0] = launch;
}

static void apply(sim_warp *warp, const sim_instruction *in, const sim_range *range,
                  const policy *p) {
    look l = {.warp = warp, .in = in, .range = range, .what = p->what};
    uint32_t pc = (uint32_t)(in - warp->block->kernel->code) | p->flags, left = range->bytes;
    uint64_t offset = range->offset;
    bool ends = p == &plain_end || p == &strong_end;
    bool early = !ends && is_early(warp, range), write = p != &plain_read && p != &strong_read;

    while (left) {
        uint32_t part = page_part(offset, left);
        sim_page *page = page_take(warp, range->allocation, offset);
        if (early) check_dependency(warp, in, range, page, write);
        if (write) note_write(page, warp->block->launch->number);
        touch(warp, page, offset & (SIM_PAGE_BYTES - 1), part);
        for (int kind = 0; kind < SIM_MARK_KINDS; kind++)
            if (p->compare[kind]) compare(&l, page, (sim_mark_kind)kind, offset, part);
        sim_marks *marks = &page->marks[p->mark];
        if (marks_ready(marks, range_shift(range))) p->marker(warp, range, marks, offset, part, pc);
        page_release(warp, page);
        offset += part;
        left -= part;
    }
}

bool sim_global_suspect(sim_warp *warp, const sim_instruction *in, const sim_range *range) {
    const policy *p = range->strong ? &strong_write : &plain_write;
    look l = {.warp = warp, .in = in, .range = range, .what = p->what, .probe = true};
    uint32_t left = range->bytes;

    for (uint64_t offset = range->offset; left && !l.found;) {
        uint32_t part = page_part(offset, left);
        sim_page *page = page_take(warp, range->allocation, offset);
        for (int kind = 0; kind < SIM_MARK_KINDS; kind++)
            if (p->compare[kind]) compare(&l, page, (sim_mark_kind)kind, offset, part);
        page_release(warp, page);
        offset += part;
        left -= part;
    }
    return l.found;
}

void sim_global_read(sim_warp *warp, const sim_instruction *in, const sim_range *range) {
    apply(warp, in, range, range->strong ? &strong_read : &plain_read);
}

void sim_global_write(sim_warp *warp, const sim_instruction *in, const sim_range *range) {
    apply(warp, in, range, range->strong ? &strong_write : &plain_write);
}

void sim_global_settle(sim_warp *warp, const sim_instruction *in, const sim_range *range) {
    apply(warp, in, range, range->strong ? &strong_end : &plain_end);
}
