/* bulk.c - bulk copies that are under way, the boxes that they move, and loads. */
#include "order/async.h"

#include <stdlib.h>
#include <string.h>

#define OFFSET_MASK ((1ull << SIM_ADDRESS_SHIFT) - 1)

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

/* ---- global memory */

sim_allocation *sim_bulk_reach(sim_transfer *t, uint64_t address, uint32_t bytes) {
    const sim_block *block = t->warp->block;
    sim_allocation *a = sim_allocation_at(block->launch->memory, address);
    uint64_t offset = address & OFFSET_MASK;

    if (a && offset <= a->size && bytes <= a->size - offset) return a;
    if (!t->bad)
        sim_find(t->warp, a ? SIM_FINDING_bounds : SIM_FINDING_freed, t->in, UINT32_MAX,
                 "a bulk copy of %u bytes at 0x%llx by block %u warp %u lane %u (%%p) leaves "
                 "its allocation of %llu bytes: the tensor map is larger than the memory",
                 bytes, (unsigned long long)address, block->index, t->warp->index, t->bulk->lane,
                 a ? (unsigned long long)a->size : 0ull);
    t->bad = true;
    return NULL;
}

sim_range sim_bulk_range(const sim_transfer *t, sim_allocation *a, uint64_t address,
                         uint32_t bytes) {
    uint64_t offset = address & OFFSET_MASK, ends = offset | bytes | 16;

    return (sim_range){.allocation = a,
                       .offset = offset,
                       .bytes = bytes,
                       .lane = t->bulk->lane,
                       .lane_bytes = 1u << 20, /* all of them are this lane's */
                       .grain = (uint8_t)(ends & -ends),
                       .early = t->bulk->early};
}

/* ---- loads */

static const uint8_t *load_from(sim_transfer *t, uint64_t address, uint32_t bytes) {
    sim_allocation *a = sim_bulk_reach(t, address, bytes);

    if (!a) return NULL;
    sim_range range = sim_bulk_range(t, a, address, bytes);
    if (t->warp->block->checks) sim_global_read(t->warp, t->in, &range);
    else sim_global_touch(t->warp, a, range.offset, bytes);
    t->bytes += bytes;
    return a->bytes + range.offset;
}

/* A stretch in pieces that a swizzle keeps together. */
static void load_row(void *context, uint32_t shared, uint64_t address, uint32_t bytes) {
    sim_transfer *t = context;
    const uint8_t *from = address ? load_from(t, address, bytes) : NULL;

    for (uint32_t at = 0, n; at < bytes; at += n) {
        n = 16 - (shared + at) % 16;
        if (n > bytes - at) n = bytes - at;
        uint8_t *to = t->warp->block->shared + sim_swizzle(shared + at, t->bulk->map.swizzle);
        if (from && n == 16) memcpy(to, from + at, 16); /* inline */
        else if (from) memcpy(to, from + at, n);
        else memset(to, 0, n);
    }
}

static void mark_landed(sim_block *block, const sim_bulk *bulk, uint32_t agent) {
    uint32_t shift = block->kernel->shared_store_shift;
    uint32_t stamp = block->now << SIM_TIME_SHIFT | agent << SIM_WARP_SHIFT | bulk->lane;
    uint32_t end = bulk->shared + bulk->bytes;

    for (uint32_t g = bulk->shared >> shift; g << shift < end; g++) {
        block->marks.write[g] = stamp;
        block->marks.write_pc[g] = bulk->pc;
    }
}

static void land(sim_block *block, const sim_bulk *bulk) {
    sim_warp *owner = &block->warp[bulk->warp];
    uint32_t agent = sim_agent(owner, SIM_PROXY_LOADS);
    sim_transfer t = {.warp = owner, .bulk = bulk, .in = &block->kernel->code[bulk->pc]};

    sim_race_tick(block); /* later than all that anyone has seen */
    sim_bulk_rows(bulk, load_row, &t);
    if (block->checks) mark_landed(block, bulk, agent);
    block->worker->counters.load_sectors += bulk->copy ? 0 : t.bytes / 32;
    block->worker->counters.bulk_sectors += bulk->copy ? 0 : t.bytes / 32;
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
