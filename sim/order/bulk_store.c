/* bulk_store.c - bulk stores and reductions to global memory.
 *
 * A store is issued, then read, then written. From the issue on its bytes in global memory are in
 * flight, and its source must stay as it is; cp.async.bulk.wait_group.read gives the source back;
 * only wait_group without .read, or the end of the block, has the bytes written, as late as may be.
 * A reduction is the same, but for the elements that it combines one by one; reductions and other
 * atomic accesses do not race with one another. */
#include "order/async.h"

#include <stdlib.h>
#include <string.h>

/* Bytes of shared memory that a copy may touch: a swizzle stays within 128 of them. */
static uint32_t footprint(const sim_block *block, const sim_bulk *bulk) {
    uint32_t bytes = (bulk->bytes + 127) & ~127u, room = block->shared_bytes - bulk->shared;

    return bytes < room ? bytes : room;
}

static sim_range store_range(const sim_transfer *t, sim_allocation *a, uint64_t address,
                             uint32_t bytes, bool in_flight) {
    sim_range range = sim_bulk_range(t, a, address, bytes);
    uint32_t element = sim_reduce_bytes((sim_reduce_type)t->bulk->reduction.type);

    range.strong = t->bulk->reduces;
    if (range.strong && element < range.grain) range.grain = (uint8_t)element;
    range.in_flight = in_flight;
    return range;
}

/* ---- issue */

static void check_reduced(const sim_transfer *t, const sim_range *range) {
    uint64_t first;

    if (sim_written_test(range->allocation, range->offset, range->bytes, &first)) return;
    sim_find(t->warp, SIM_FINDING_unwritten, t->in, UINT32_MAX,
             "a bulk reduction by block %u warp %u lane %u (%%p) changes byte %llu of a global "
             "allocation of %llu bytes, which nobody wrote",
             t->warp->block->index, t->warp->index, t->bulk->lane, (unsigned long long)first,
             (unsigned long long)range->allocation->size);
}

/* The pieces of a row that a swizzle keeps together: 16 bytes, or less at the ends. */
typedef void piece(void *context, uint32_t from, uint32_t at, uint32_t bytes);

static void each_piece(const sim_bulk *bulk, uint32_t shared, uint32_t bytes, piece *visit,
                       void *context) {
    for (uint32_t at = 0, n; at < bytes; at += n) {
        n = 16 - (shared + at) % 16;
        if (n > bytes - at) n = bytes - at;
        visit(context, sim_swizzle(shared + at, bulk->map.swizzle), at, n);
    }
}

static void check_piece(void *context, uint32_t from, uint32_t at, uint32_t bytes) {
    const sim_transfer *t = context;

    (void)at;
    sim_async_read(t->warp, t->in, from, bytes, t->bulk->lane);
}

/* Of elements outside of the tensor nothing is read or written. */
static void announce_row(void *context, uint32_t shared, uint64_t address, uint32_t bytes) {
    sim_transfer *t = context;
    sim_allocation *a = address ? sim_bulk_reach(t, address, bytes) : NULL;

    if (address && t->bulk->map.swizzle) each_piece(t->bulk, shared, bytes, check_piece, t);
    else if (address) sim_async_read(t->warp, t->in, shared, bytes, t->bulk->lane);
    if (!a) return;
    sim_range range = store_range(t, a, address, bytes, true);
    if (t->bulk->reduces) check_reduced(t, &range);
    sim_global_write(t->warp, t->in, &range);
}

static bool take_snapshot(const sim_block *block, sim_bulk *bulk) {
    uint32_t bytes = footprint(block, bulk);

    bulk->snapshot = malloc(bytes + 1u);
    if (bulk->snapshot) memcpy(bulk->snapshot, block->shared + bulk->shared, bytes);
    return bulk->snapshot != NULL;
}

void sim_bulk_store_start(sim_warp *warp, const sim_instruction *in, sim_bulk *bulk) {
    sim_block *block = warp->block;
    const sim_async *async = sim_async_of(block);
    sim_transfer t = {.warp = warp, .bulk = bulk, .in = in};

    if (block->checks) sim_bulk_rows(bulk, announce_row, &t);
    bulk->group = async ? async->commits[warp->index][bulk->lane] : 0;
    if (take_snapshot(block, bulk) && sim_bulk_add(block, bulk)) return;
    free(bulk->snapshot);
    sim_find(warp, SIM_FINDING_async, in, UINT32_MAX,
             "out of host memory for bulk stores under way (%%p)");
    __atomic_store_n(&block->launch->abort, 1, __ATOMIC_RELAXED);
}

/* ---- reading */

/* Compares the source as it is with what it was. */
typedef struct comparison {
    const sim_block *block;
    const sim_bulk *bulk;
    bool differs;
} comparison;

static void compare_piece(void *context, uint32_t from, uint32_t at, uint32_t bytes) {
    comparison *c = context;

    (void)at;
    c->differs = c->differs || memcmp(c->bulk->snapshot + (from - c->bulk->shared),
                                      c->block->shared + from, bytes) != 0;
}

static void compare_row(void *context, uint32_t shared, uint64_t address, uint32_t bytes) {
    const comparison *c = context;

    if (address) each_piece(c->bulk, shared, bytes, compare_piece, context);
}

static bool source_differs(const sim_block *block, const sim_bulk *bulk) {
    comparison c = {.block = block, .bulk = bulk};

    if (memcmp(bulk->snapshot, block->shared + bulk->shared, bulk->bytes) == 0) return false;
    sim_bulk_rows(bulk, compare_row, &c);
    return c.differs;
}

static void read_source(sim_warp *warp, const sim_instruction *in, sim_bulk *bulk) {
    const sim_block *block = warp->block;

    if (!bulk->read && source_differs(block, bulk))
        sim_find(warp, SIM_FINDING_async, &block->kernel->code[bulk->pc],
                 (uint32_t)(in - block->kernel->code),
                 "the source of a bulk store (%%p) by block %u warp %u lane %u changed before it "
                 "was waited for (%%q)",
                 block->index, warp->index, bulk->lane);
    bulk->read = true;
}

/* ---- writing */

static void combine(uint8_t *to, const uint8_t *from, uint32_t bytes, sim_reduction reduction) {
    uint32_t element = sim_reduce_bytes((sim_reduce_type)reduction.type);
    bool changed;

    for (uint32_t at = 0; at < bytes; at += element) {
        uint64_t value = 0;
        memcpy(&value, from + at, element);
        sim_reduce(to + at, element, reduction, value, 0, &changed);
    }
}

static uint8_t *written(sim_transfer *t, uint64_t address, uint32_t bytes) {
    sim_allocation *a = sim_bulk_reach(t, address, bytes);

    if (!a) return NULL;
    sim_range range = store_range(t, a, address, bytes, false);
    if (t->warp->block->checks) {
        sim_global_settle(t->warp, t->in, &range);
        sim_written_set(a, range.offset, bytes);
    } else {
        sim_global_touch(t->warp, a, range.offset, bytes);
    }
    t->bytes += bytes;
    return a->bytes + range.offset;
}

typedef struct target_row {
    const sim_bulk *bulk;
    uint8_t *to;
} target_row;

static void write_piece(void *context, uint32_t from, uint32_t at, uint32_t bytes) {
    const target_row *row = context;
    const sim_bulk *bulk = row->bulk;
    const uint8_t *source = bulk->snapshot + (from - bulk->shared);

    if (bulk->reduces) combine(row->to + at, source, bytes, bulk->reduction);
    else memcpy(row->to + at, source, bytes);
}

static void write_row(void *context, uint32_t shared, uint64_t address, uint32_t bytes) {
    sim_transfer *t = context;
    target_row row = {t->bulk, address ? written(t, address, bytes) : NULL};

    if (row.to) each_piece(t->bulk, shared, bytes, write_piece, &row);
}

static void write_out(sim_warp *warp, const sim_bulk *bulk) {
    sim_block *block = warp->block;
    sim_counters *c = &block->worker->counters;
    /* bounds were reported at the issue, if anything is checked */
    sim_transfer t = {.warp = warp,
                      .bulk = bulk,
                      .in = &block->kernel->code[bulk->pc],
                      .bad = block->checks};

    sim_bulk_rows(bulk, write_row, &t);
    if (bulk->reduces) c->atomic_sectors += t.bytes / 32;
    else c->store_sectors += t.bytes / 32;
    block->progress++;
}

/* ---- waiting */

static bool is_due(const sim_async *async, const sim_warp *warp, const sim_bulk *bulk,
                   uint32_t lane, int64_t keep) {
    int64_t newest = (int64_t)async->commits[warp->index][lane] - keep;

    return bulk->kind == SIM_BULK_STORE && bulk->warp == warp->index && bulk->lane == lane &&
           (int64_t)bulk->group < newest;
}

void sim_bulk_store_wait(sim_warp *warp, const sim_instruction *in, uint32_t lane, int64_t keep,
                         bool reads_only) {
    sim_async *async = warp->block->async;

    for (uint32_t i = 0; async && i < async->bulks;) {
        sim_bulk *bulk = &async->bulk[i];
        if (!is_due(async, warp, bulk, lane, keep)) {
            i++;
            continue;
        }
        read_source(warp, in, bulk);
        if (reads_only) {
            i++;
            continue;
        }
        write_out(warp, bulk);
        sim_bulk_remove(async, i);
    }
}

/* Hardware completes what is under way when a block ends, waited for or not. */
void sim_bulk_store_end(sim_block *block) {
    const sim_async *async = block->async;

    for (uint32_t i = 0; i < async->bulks; i++)
        if (async->bulk[i].kind == SIM_BULK_STORE)
            write_out(&block->warp[async->bulk[i].warp], &async->bulk[i]);
}
