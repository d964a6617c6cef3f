/* block.c - one thread block: its memory, its warps in turn, and its barriers. */
#include "order/async.h"

#include <stdlib.h>
#include <string.h>

/* PATIENCE: warp instructions for which a block may do nothing but poll before others run. */
enum { LINE = 64, SLICE = 8192, PATIENCE = 2048 };

/* ------------------------------------------------------------------------------------ memory */

/* Cuts the arena into parts; with no arena yet, adds up their sizes. */
typedef struct cutter {
    uint8_t *arena;
    size_t at;
} cutter;

static void *cut(cutter *c, size_t bytes) {
    void *part = c->arena ? c->arena + c->at : NULL;

    c->at += (bytes + LINE - 1) / LINE * LINE + LINE;
    return part;
}

static size_t lay_out(sim_block *b, uint8_t *arena) {
    const sim_kernel *k = b->kernel;
    cutter c = {.arena = arena};
    size_t stores = ((size_t)b->shared_bytes >> k->shared_store_shift) + 1;
    size_t loads = ((size_t)b->shared_bytes >> k->shared_load_shift) + 1;
    uint32_t **arrays[] = {&b->marks.write,        &b->marks.write_pc, &b->marks.read,
                           &b->marks.read_warps,   &b->marks.read_pc,  &b->marks.atomic,
                           &b->marks.atomic_warps, &b->marks.atomic_pc};
    sim_warp *warps = cut(&c, b->warps * sizeof *b->warp);

    b->shared = cut(&c, b->shared_bytes);
    for (int i = 0; i < 8; i++) {
        bool wanted = b->checks && (i < 5 || k->shared_atomics);
        *arrays[i] = wanted ? cut(&c, (i >= 2 && i < 5 ? loads : stores) * sizeof(uint32_t)) : NULL;
    }
    for (uint32_t w = 0; w < b->warps; w++) {
        uint8_t *registers = cut(&c, k->register_bytes),
                *local = cut(&c, (size_t)SIM_LANES * k->local_bytes);
        if (!arena) continue;
        warps[w].base[0] = registers;
        warps[w].local = local;
    }
    b->warp = warps;
    return c.at;
}

static void warp_release(sim_warp *warp) {
    free(warp->copy);
    free(warp->lane_seen);
    warp->copy = NULL;
    warp->lane_seen = NULL;
}

void sim_block_free(sim_block *block) {
    if (!block) return;
    free(block->arena);
    free(block);
}

/* --------------------------------------------------------------------------- starting a block */

static uint64_t special_value(const sim_block *b, sim_special kind, uint32_t warp, uint32_t lane) {
    const moe_dims *d = &b->launch->dims;
    uint32_t thread = warp * SIM_LANES + lane;
    const uint32_t *cluster = b->launch->cluster;

    switch (kind) {
    case SIM_SPECIAL_tid_x: return thread % d->block[0];
    case SIM_SPECIAL_tid_y: return thread / d->block[0] % d->block[1];
    case SIM_SPECIAL_tid_z: return thread / d->block[0] / d->block[1];
    case SIM_SPECIAL_ntid_x: return d->block[0];
    case SIM_SPECIAL_ntid_y: return d->block[1];
    case SIM_SPECIAL_ntid_z: return d->block[2];
    case SIM_SPECIAL_ctaid_x: return b->id[0];
    case SIM_SPECIAL_ctaid_y: return b->id[1];
    case SIM_SPECIAL_ctaid_z: return b->id[2];
    case SIM_SPECIAL_nctaid_x: return d->grid[0];
    case SIM_SPECIAL_nctaid_y: return d->grid[1];
    case SIM_SPECIAL_nctaid_z: return d->grid[2];
    case SIM_SPECIAL_laneid: return lane;
    case SIM_SPECIAL_warpid: return warp;
    case SIM_SPECIAL_nwarpid: return (uint64_t)b->launch->context->facts.threads_sm / SIM_LANES;
    case SIM_SPECIAL_smid: return b->index % (uint64_t)b->launch->context->facts.sms;
    case SIM_SPECIAL_nsmid: return (uint64_t)b->launch->context->facts.sms;
    case SIM_SPECIAL_gridid: return b->launch->number;
    case SIM_SPECIAL_lanemask_eq: return 1u << lane;
    case SIM_SPECIAL_lanemask_lt: return (1u << lane) - 1;
    case SIM_SPECIAL_lanemask_le: return (2u << lane) - 1;
    case SIM_SPECIAL_lanemask_gt: return ~((2u << lane) - 1);
    case SIM_SPECIAL_lanemask_ge: return ~((1u << lane) - 1);
    case SIM_SPECIAL_dynamic_smem: return d->smem;
    case SIM_SPECIAL_total_smem: return b->shared_bytes;
    case SIM_SPECIAL_clusterid_x: return b->id[0] / cluster[0];
    case SIM_SPECIAL_clusterid_y: return b->id[1] / cluster[1];
    case SIM_SPECIAL_clusterid_z: return b->id[2] / cluster[2];
    case SIM_SPECIAL_nclusterid_x: return d->grid[0] / cluster[0];
    case SIM_SPECIAL_nclusterid_y: return d->grid[1] / cluster[1];
    case SIM_SPECIAL_nclusterid_z: return d->grid[2] / cluster[2];
    case SIM_SPECIAL_cluster_ctaid_x: return b->id[0] % cluster[0];
    case SIM_SPECIAL_cluster_ctaid_y: return b->id[1] % cluster[1];
    case SIM_SPECIAL_cluster_ctaid_z: return b->id[2] % cluster[2];
    case SIM_SPECIAL_cluster_ctarank: return b->rank;
    case SIM_SPECIAL_cluster_nctaid_x: return cluster[0];
    case SIM_SPECIAL_cluster_nctaid_y: return cluster[1];
    case SIM_SPECIAL_cluster_nctaid_z: return cluster[2];
    case SIM_SPECIAL_cluster_nctarank: return b->launch->cluster_size;
    case SIM_SPECIAL_is_explicit_cluster: return b->launch->clustered;
    case SIM_SPECIAL_warp_size: return SIM_LANES;
    default: return 0;
    }
}

static void set_specials(const sim_block *b, sim_warp *warp) {
    const sim_kernel *k = b->kernel;

    for (uint32_t i = 0; i < k->specials; i++) {
        uint8_t *at = warp->base[0] + k->special[i].offset;
        bool wide = k->special[i].kind == SIM_SPECIAL_gridid;
        if (k->special[i].kind == SIM_SPECIAL_is_explicit_cluster) {
            memset(at, b->launch->clustered ? 0xff : 0, sizeof(uint32_t));
            continue;
        }
        for (uint32_t lane = 0; lane < SIM_LANES; lane++) {
            uint64_t value = special_value(b, k->special[i].kind, warp->index, lane);
            if (wide) memcpy(at + 8 * lane, &value, 8);
            else memcpy(at + 4 * lane, &value, 4);
        }
    }
}

static void start_warp(sim_block *b, uint32_t index) {
    sim_warp *warp = &b->warp[index];
    uint8_t *registers = warp->base[0], *local = warp->local;
    const moe_dims *d = &b->launch->dims;
    uint32_t threads = d->block[0] * d->block[1] * d->block[2], first = index * SIM_LANES;
    uint32_t lanes = threads - first >= SIM_LANES ? ~0u : (1u << (threads - first)) - 1;

    memset(warp, 0, sizeof *warp);
    warp->base[0] = registers;
    warp->base[1] = b->kernel->constants;
    warp->local = local;
    warp->block = b;
    warp->index = index;
    warp->first = warp->active = lanes;
    warp->exited = ~lanes;
    warp->waited = b->launch->dims.overlap ? 0 : ~0u;
    warp->pc = b->kernel->start;
    warp->next_pc = UINT32_MAX;
    warp->commits_together = true;
    memset(local, 0xff, (size_t)SIM_LANES * b->kernel->local_bytes);
    set_specials(b, warp);
}

static void clear_marks(sim_block *b) {
    const sim_kernel *k = b->kernel;
    size_t stores = ((size_t)b->shared_bytes >> k->shared_store_shift) + 1;
    size_t loads = ((size_t)b->shared_bytes >> k->shared_load_shift) + 1;

    memset(b->shared, 0xff, b->shared_bytes);
    if (!b->checks) return;
    memset(b->marks.write, 0, stores * sizeof(uint32_t));
    memset(b->marks.read, 0, loads * sizeof(uint32_t));
    if (b->marks.atomic) memset(b->marks.atomic, 0, stores * sizeof(uint32_t));
}

/* Blocks start by clusters: number n is the block of rank n % size in cluster n / size. */
static void place_block(const sim_launch_state *launch, uint32_t number, sim_block *b) {
    const uint32_t *grid = launch->dims.grid, *size = launch->cluster;
    uint32_t cluster = number / launch->cluster_size, rank = number % launch->cluster_size;

    b->rank = rank;
    for (int i = 0; i < 3; i++) {
        b->id[i] = cluster % (grid[i] / size[i]) * size[i] + rank % size[i];
        cluster /= grid[i] / size[i];
        rank /= size[i];
    }
    b->index = (b->id[2] * grid[1] + b->id[1]) * grid[0] + b->id[0];
    b->first_epoch = sim_epoch_first(&launch->epochs, number);
}

moe_status sim_block_start(sim_block *b, sim_worker *worker, uint32_t number) {
    sim_launch_state *launch = worker->launch;
    const moe_dims *d = &launch->dims;
    uint8_t *arena = b->arena;
    size_t size = b->arena_size;

    memset(b, 0, sizeof *b);
    b->arena = arena;
    b->arena_size = size;
    b->worker = worker;
    b->launch = launch;
    b->kernel = launch->kernel;
    place_block(launch, number, b);
    b->warps = b->live = (d->block[0] * d->block[1] * d->block[2] + SIM_LANES - 1) / SIM_LANES;
    b->agents = b->warps + SIM_PROXIES <= SIM_MAX_WARPS ? b->warps + SIM_PROXIES : b->warps;
    b->shared_bytes = launch->shared_bytes;
    b->checks = launch->checks;
    b->random = launch->context->options.seed * 0x9e3779b97f4a7c15ull +
                b->index * 0xbf58476d1ce4e5b9ull + 1;
    size = lay_out(b, NULL);
    if (size > b->arena_size) {
        free(b->arena);
        b->arena_size = 0;
        b->arena = aligned_alloc(LINE, size);
        if (!b->arena)
            return moe_fail(MOE_E_MEMORY, "out of host memory: %zu bytes for a simulated block",
                            size);
        b->arena_size = size;
    }
    lay_out(b, b->arena);
    for (uint32_t w = 0; w < b->warps; w++) start_warp(b, w);
    clear_marks(b);
    sim_race_start(b);
    return MOE_OK;
}

/* ---------------------------------------------------------------------------------- scheduling */

static uint64_t next_random(sim_block *b) {
    b->random ^= b->random << 13;
    b->random ^= b->random >> 7;
    b->random ^= b->random << 17;
    return b->random;
}

static sim_warp *next_ready(sim_block *b) {
    bool shuffled = b->launch->context->options.seed != 0;
    uint32_t start = shuffled ? (uint32_t)(next_random(b) >> 33) % b->warps : b->turn;

    for (uint32_t i = 0; i < b->warps; i++) {
        uint32_t w = (start + i) % b->warps;
        if (b->warp[w].state != SIM_WARP_READY) continue;
        b->turn = w + 1;
        return &b->warp[w];
    }
    return NULL;
}

/* Scattered accesses of which only some were measured. */
static void finish_samples(const sim_block *b, sim_counters *c) {
    uint64_t *counter[] = {&c->load_sectors, &c->store_sectors, &c->atomic_sectors,
                           &c->shared_wavefronts};
    uint64_t sectors = 0; /* of all but shared memory, which stands last */

    for (int i = 0; i < 4; i++) {
        const sim_samples *s = &b->samples[i];
        uint64_t cost = s->measured ? s->cost * s->requests / s->measured : 0;
        *counter[i] += cost;
        if (i < 3) sectors += cost;
    }
    if (sectors > c->block_scattered_max) c->block_scattered_max = sectors;
}

static sim_block_state finish(sim_block *b) {
    uint64_t longest = 0;
    sim_counters *c = &b->worker->counters;

    for (uint32_t w = 0; w < b->warps; w++) {
        if (b->warp[w].cycles > longest) longest = b->warp[w].cycles;
        warp_release(&b->warp[w]);
    }
    sim_async_finish(b);
    finish_samples(b, c);
    c->blocks++;
    c->warps += b->warps;
    c->block_cycles += longest;
    if (longest > c->block_cycles_max) c->block_cycles_max = longest;
    return SIM_BLOCK_DONE;
}

/* When something last happened besides polling. */
typedef struct sign_of_life {
    uint64_t progress, polls, executed;
} sign_of_life;

static sign_of_life now_of(const sim_block *b) {
    return (sign_of_life){b->progress, b->polls, b->executed};
}

/* Has it polled for a while and done nothing else? */
static bool is_waiting(sim_block *b, sign_of_life *last) {
    if (b->progress != last->progress) {
        __atomic_add_fetch(&b->launch->progress, 1, __ATOMIC_RELAXED);
        *last = now_of(b);
    }
    return b->polls != last->polls && b->executed - last->executed > PATIENCE;
}

sim_block_state sim_block_run(sim_block *b, uint64_t quantum) {
    sim_launch_state *launch = b->launch;
    uint64_t stop = b->executed + quantum, polls = b->polls;
    sign_of_life last = now_of(b);
    bool shuffled = launch->context->options.seed != 0;

    while (b->live && b->executed < stop) {
        sim_warp *warp = next_ready(b);
        if (!warp) {
            sim_report_deadlock(b, "no warp can go on");
            return finish(b);
        }
        launch->context->run(warp, shuffled ? 1 + next_random(b) % 64 : SLICE);
        if (warp->state == SIM_WARP_DONE) sim_barrier_leave(b);
        if (__atomic_load_n(&launch->abort, __ATOMIC_RELAXED)) return finish(b);
        if (b->live && is_waiting(b, &last)) return SIM_BLOCK_STALLED;
    }
    if (b->live && (sim_over_budget(b) || (b->polls == polls && sim_loops_for_ever(b)))) {
        __atomic_store_n(&launch->abort, 1, __ATOMIC_RELAXED);
        return finish(b);
    }
    if (b->live) return SIM_BLOCK_RUNNING;
    for (uint32_t w = 0; w < b->warps; w++)
        if (b->warp[w].state == SIM_WARP_STUCK) sim_report_stuck(&b->warp[w]);
    return finish(b);
}
