/* bulk.c - bulk copies that are under way: loads land when they are waited for, stores likewise. */
#include "async.h"

#include <stdlib.h>
#include <string.h>

#define OFFSET_MASK ((1ull << SIM_ADDRESS_SHIFT) - 1)
enum { STRETCH = 256 }; /* bytes that are marked at once */

bool sim_bulk_add(sim_block *block, const sim_bulk *bulk) {
    sim_async *async = sim_async_of(block);

    if (!async) return false;
    if (async->bulks == async->bulk_room) {
        uint32_t room = async->bulk_room ? 2 * async->bulk_room : 32;
        sim_bulk *bigger = realloc(async->bulk, room * sizeof *bigger);
        if (!bigger) return false;
        async->bulk = bigger;
        async->bulk_room = room;
    }
    async->bulk[async->bulks++] = *bulk;
    return true;
}

void sim_bulk_remove(sim_async *async, uint32_t i) {
    free(async->bulk[i].snapshot);
    async->bulks--;
    memmove(&async->bulk[i], &async->bulk[i + 1], (async->bulks - i) * sizeof *async->bulk);
}

/* ---- boxes */

/* One line of a box along the fastest dimension: what lies inside of the tensor, and what does not
 * on either side. */
static void line(const sim_bulk *bulk, uint32_t shared, uint64_t address, bool inside,
                 sim_bulk_row *row, void *context) {
    const sim_tensor_map *map = &bulk->map;
    int64_t size = (int64_t)map->size[0] + 1, first = bulk->at[0], end = first + map->box[0];
    int64_t low = first < 0 ? 0 : first, high = end > size ? size : end, element = map->element;

    if (!inside || low >= high) {
        row(context, shared, 0, (uint32_t)(map->box[0] * element));
        return;
    }
    if (low > first) row(context, shared, 0, (uint32_t)((low - first) * element));
    row(context, shared + (uint32_t)((low - first) * element), address + (uint64_t)(low * element),
        (uint32_t)((high - low) * element));
    if (end > high)
        row(context, shared + (uint32_t)((high - first) * element), 0,
            (uint32_t)((end - high) * element));
}

void sim_bulk_rows(const sim_bulk *bulk, sim_bulk_row *row, void *context) {
    const sim_tensor_map *map = &bulk->map;
    uint32_t lines = 1, width = (uint32_t)map->box[0] * map->element;

    if (!map->rank) {
        row(context, bulk->shared, map->address, bulk->bytes);
        return;
    }
    for (int i = 1; i < map->rank; i++) lines *= map->box[i];
    for (uint32_t n = 0; n < lines; n++) {
        uint64_t address = map->address;
        bool inside = true;
        for (uint32_t i = 1, rest = n; i < map->rank; rest /= map->box[i], i++) {
            int64_t at = (int64_t)bulk->at[i] + rest % map->box[i];
            inside = inside && at >= 0 && at <= (int64_t)map->size[i];
            address += inside ? (uint64_t)at * map->stride[i] : 0;
        }
        line(bulk, bulk->shared + n * width, address, inside, row, context);
    }
}

typedef struct transfer {
    sim_warp *warp;
    const sim_bulk *bulk;
    const sim_instruction *in;
    uint64_t bytes;
    bool bad;
} transfer;

/* The memory behind a stretch, recorded as read or written; NULL after a finding. */
static uint8_t *reach(transfer *t, uint64_t address, uint32_t bytes, bool write) {
    sim_block *block = t->warp->block;
    sim_allocation *a = sim_allocation_at(block->launch->memory, address);
    uint64_t offset = address & OFFSET_MASK;

    if (!a || offset > a->size || bytes > a->size - offset) {
        if (!t->bad)
            sim_find(t->warp, a ? SIM_FINDING_bounds : SIM_FINDING_freed, t->in, UINT32_MAX,
                     "a bulk copy of %u bytes at 0x%llx by block %u warp %u lane %u (%%p) leaves "
                     "its allocation of %llu bytes: the tensor map is larger than the memory",
                     bytes, (unsigned long long)address, block->index, t->warp->index,
                     t->bulk->lane, a ? (unsigned long long)a->size : 0ull);
        t->bad = true;
        return NULL;
    }
    for (uint32_t at = 0; at < bytes; at += STRETCH) {
        sim_range range = {.allocation = a,
                           .offset = offset + at,
                           .bytes = bytes - at < STRETCH ? bytes - at : STRETCH,
                           .lane = t->bulk->lane,
                           .lane_bytes = 1u << 20,
                           .early = t->bulk->early};
        if (!block->checks) sim_global_touch(t->warp, a, range.offset, range.bytes);
        else if (write) sim_global_write(t->warp, t->in, &range);
        else sim_global_read(t->warp, t->in, &range);
    }
    if (write && block->checks) sim_written_set(a, offset, bytes);
    t->bytes += bytes;
    return a->bytes + offset;
}

/* A stretch in pieces that a swizzle keeps together. */
static void load_row(void *context, uint32_t shared, uint64_t address, uint32_t bytes) {
    transfer *t = context;
    const uint8_t *from = address ? reach(t, address, bytes, false) : NULL;

    for (uint32_t at = 0, n; at < bytes; at += n) {
        n = 16 - (shared + at) % 16;
        if (n > bytes - at) n = bytes - at;
        uint8_t *to = t->warp->block->shared + sim_swizzle(shared + at, t->bulk->map.swizzle);
        if (from) memcpy(to, from + at, n);
        else memset(to, 0, n);
    }
}

static void store_row(void *context, uint32_t shared, uint64_t address, uint32_t bytes) {
    transfer *t = context;
    uint8_t *to = address ? reach(t, address, bytes, true) : NULL;

    for (uint32_t at = 0, n; to && at < bytes; at += n) {
        n = 16 - (shared + at) % 16;
        if (n > bytes - at) n = bytes - at;
        memcpy(to + at, t->warp->block->shared + sim_swizzle(shared + at, t->bulk->map.swizzle), n);
    }
}

/* ---- loads */

static void mark_landed(sim_block *block, const sim_bulk *bulk, uint32_t agent) {
    uint32_t shift = block->kernel->shared_store_shift;
    uint32_t stamp = block->now << SIM_TIME_SHIFT | agent << SIM_WARP_SHIFT | bulk->lane;

    for (uint32_t g = bulk->shared >> shift; g <= (bulk->shared + bulk->bytes - 1) >> shift; g++) {
        block->marks.write[g] = stamp;
        block->marks.write_pc[g] = bulk->pc;
    }
}

static void land(sim_block *block, const sim_bulk *bulk) {
    sim_warp *owner = &block->warp[bulk->warp];
    uint32_t agent = sim_agent(owner, SIM_PROXY_LOADS);
    transfer t = {.warp = owner, .bulk = bulk, .in = &block->kernel->code[bulk->pc]};

    sim_race_tick(block); /* later than all that anyone has seen */
    sim_bulk_rows(bulk, load_row, &t);
    if (block->checks) mark_landed(block, bulk, agent);
    block->worker->counters.load_sectors += bulk->copy ? 0 : t.bytes / 32;
    block->worker->counters.async_bytes += bulk->copy ? 0 : t.bytes;
    block->agent_time[SIM_PROXY_LOADS] = block->now;
    for (uint32_t i = 0; i < block->async->barriers; i++) {
        sim_mbarrier *barrier = &block->async->barrier[i];
        if (barrier->offset != bulk->barrier) continue;
        barrier->tx -= bulk->bytes;
        barrier->seen[agent] = block->now;
        if (bulk->cycle > barrier->cycle) barrier->cycle = bulk->cycle;
    }
    sim_race_tick(block);
    sim_agent_moved(block);
    block->progress++;
}

bool sim_bulk_land(sim_warp *warp, const sim_instruction *in, uint32_t barrier) {
    sim_async *async = warp->block->async;

    (void)in;
    for (uint32_t i = 0; async && i < async->bulks; i++) {
        if (async->bulk[i].kind != SIM_BULK_LOAD || async->bulk[i].barrier != barrier) continue;
        sim_bulk bulk = async->bulk[i];
        sim_bulk_remove(async, i);
        land(warp->block, &bulk);
        return true;
    }
    return false;
}

/* ---- stores */

static void store(sim_warp *warp, const sim_instruction *in, const sim_bulk *bulk) {
    sim_block *block = warp->block;
    transfer t = {.warp = warp, .bulk = bulk, .in = &block->kernel->code[bulk->pc]};

    if (bulk->snapshot && memcmp(bulk->snapshot, block->shared + bulk->shared, bulk->bytes) != 0)
        sim_find(warp, SIM_FINDING_async, t.in, (uint32_t)(in - block->kernel->code),
                 "the source of a bulk store (%%p) by block %u warp %u lane %u changed before it "
                 "was waited for (%%q)",
                 block->index, warp->index, bulk->lane);
    sim_bulk_rows(bulk, store_row, &t);
    block->worker->counters.store_sectors += t.bytes / 32;
    block->progress++;
}

void sim_bulk_store(sim_warp *warp, const sim_instruction *in, uint32_t lane, int64_t keep) {
    sim_async *async = warp->block->async;
    uint32_t i = 0;

    while (async && i < async->bulks) {
        sim_bulk *bulk = &async->bulk[i];
        int64_t newest = (int64_t)async->commits[warp->index][lane] - keep;
        bool due = bulk->kind == SIM_BULK_STORE && bulk->warp == warp->index &&
                   bulk->lane == lane && (keep < 0 || (int64_t)bulk->group < newest);
        if (!due) {
            i++;
            continue;
        }
        store(warp, in, bulk);
        sim_bulk_remove(async, i);
    }
}
