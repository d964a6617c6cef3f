/* block.c - one thread block: its memory, its warps in turn, and its barriers. */
#include "race.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LINE = 64, SLICE = 8192 };

/* ------------------------------------------------------------------------------------ memory */

/* Cuts the arena into parts; with no arena yet, adds up their sizes. */
typedef struct cutter {
    uint8_t *arena;
    size_t at;
} cutter;

static void *cut(cutter *c, size_t bytes)
{
    void *part = c->arena ? c->arena + c->at : NULL;

    c->at += (bytes + LINE - 1) / LINE * LINE + LINE;
    return part;
}

static size_t lay_out(sim_block *b, uint8_t *arena)
{
    const sim_kernel *k = b->kernel;
    cutter c = {.arena = arena};
    size_t stores = ((size_t)b->shared_bytes >> k->shared_store_shift) + 1;
    size_t loads = ((size_t)b->shared_bytes >> k->shared_load_shift) + 1;
    uint32_t **arrays[] = {&b->marks.write,  &b->marks.write_pc,     &b->marks.read,     &b->marks.read_warps,
                           &b->marks.read_pc, &b->marks.atomic,      &b->marks.atomic_warps, &b->marks.atomic_pc};
    sim_warp *warps = cut(&c, b->warps * sizeof *b->warp);

    b->shared = cut(&c, b->shared_bytes);
    for (int i = 0; i < 8; i++) {
        bool wanted = b->checks && (i < 5 || k->shared_atomics);
        *arrays[i] = wanted ? cut(&c, (i >= 2 && i < 5 ? loads : stores) * sizeof(uint32_t)) : NULL;
    }
    for (uint32_t w = 0; w < b->warps; w++) {
        uint8_t *registers = cut(&c, k->register_bytes), *local = cut(&c, (size_t)SIM_LANES * k->local_bytes);
        if (!arena) continue;
        warps[w].base[0] = registers;
        warps[w].local = local;
    }
    b->warp = warps;
    return c.at;
}

static void warp_release(sim_warp *warp)
{
    free(warp->copy);
    free(warp->lane_seen);
    warp->copy = NULL;
    warp->lane_seen = NULL;
}

void sim_block_free(sim_block *block)
{
    if (!block) return;
    free(block->arena);
    free(block);
}

/* --------------------------------------------------------------------------- starting a block */

static uint64_t special_value(const sim_block *b, sim_special kind, uint32_t warp, uint32_t lane)
{
    const moe_dims *d = &b->launch->dims;
    uint32_t thread = warp * SIM_LANES + lane;
    uint32_t clusters = d->cluster > 1 ? d->cluster : 1;

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
    case SIM_SPECIAL_clusterid_x: return b->id[0] / clusters;
    case SIM_SPECIAL_clusterid_y: return b->id[1];
    case SIM_SPECIAL_clusterid_z: return b->id[2];
    case SIM_SPECIAL_nclusterid_x: return d->grid[0] / clusters;
    case SIM_SPECIAL_nclusterid_y: return d->grid[1];
    case SIM_SPECIAL_nclusterid_z: return d->grid[2];
    case SIM_SPECIAL_cluster_ctaid_x: return b->id[0] % clusters;
    case SIM_SPECIAL_cluster_ctarank: return b->id[0] % clusters;
    case SIM_SPECIAL_cluster_nctaid_x: return clusters;
    case SIM_SPECIAL_cluster_nctarank: return clusters;
    case SIM_SPECIAL_cluster_nctaid_y:
    case SIM_SPECIAL_cluster_nctaid_z: return 1;
    case SIM_SPECIAL_warp_size: return SIM_LANES;
    default: return 0;
    }
}

static void set_specials(const sim_block *b, sim_warp *warp)
{
    const sim_kernel *k = b->kernel;

    for (uint32_t i = 0; i < k->specials; i++) {
        uint8_t *at = warp->base[0] + k->special[i].offset;
        bool wide = k->special[i].kind == SIM_SPECIAL_gridid;
        for (uint32_t lane = 0; lane < SIM_LANES; lane++) {
            uint64_t value = special_value(b, k->special[i].kind, warp->index, lane);
            if (wide) memcpy(at + 8 * lane, &value, 8);
            else memcpy(at + 4 * lane, &value, 4);
        }
    }
}

static void start_warp(sim_block *b, uint32_t index)
{
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
    warp->pc = b->kernel->start;
    warp->next_pc = UINT32_MAX;
    memset(local, 0xff, (size_t)SIM_LANES * b->kernel->local_bytes);
    set_specials(b, warp);
}

static void clear_marks(sim_block *b)
{
    const sim_kernel *k = b->kernel;
    size_t stores = ((size_t)b->shared_bytes >> k->shared_store_shift) + 1;
    size_t loads = ((size_t)b->shared_bytes >> k->shared_load_shift) + 1;

    memset(b->shared, 0xff, b->shared_bytes);
    if (!b->checks) return;
    memset(b->marks.write, 0, stores * sizeof(uint32_t));
    memset(b->marks.read, 0, loads * sizeof(uint32_t));
    if (b->marks.atomic) memset(b->marks.atomic, 0, stores * sizeof(uint32_t));
}

moe_status sim_block_start(sim_block *b, sim_worker *worker, uint32_t index)
{
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
    b->index = index;
    b->id[0] = index % d->grid[0];
    b->id[1] = index / d->grid[0] % d->grid[1];
    b->id[2] = index / d->grid[0] / d->grid[1];
    b->warps = b->live = (d->block[0] * d->block[1] * d->block[2] + SIM_LANES - 1) / SIM_LANES;
    b->shared_bytes = launch->shared_bytes;
    b->checks = launch->checks;
    b->random = launch->context->options.seed * 0x9e3779b97f4a7c15ull + index * 0xbf58476d1ce4e5b9ull + 1;
    size = lay_out(b, NULL);
    if (size > b->arena_size) {
        free(b->arena);
        b->arena_size = 0;
        b->arena = aligned_alloc(LINE, size);
        if (!b->arena) return moe_fail(MOE_E_MEMORY, "out of host memory: %zu bytes for a simulated block", size);
        b->arena_size = size;
    }
    lay_out(b, b->arena);
    for (uint32_t w = 0; w < b->warps; w++) start_warp(b, w);
    clear_marks(b);
    sim_race_start(b);
    return MOE_OK;
}

/* --------------------------------------------------------------------------------- what lanes do */

void sim_warp_wake(sim_warp *warp, uint32_t lanes)
{
    warp->waiting |= lanes;
    for (int i = 0; i < SIM_LANES; i++)
        if ((lanes >> i & 1) && warp->lane_pc[i] < warp->next_pc) warp->next_pc = warp->lane_pc[i];
}

void sim_warp_exit(sim_warp *warp, uint32_t lanes)
{
    warp->exited |= lanes;
    warp->active &= ~lanes;
    warp->waiting &= ~lanes;
    /* Those that waited for these lanes look again. */
    sim_warp_wake(warp, warp->parked);
    warp->parked = 0;
}

/* ---------------------------------------------------------------------------------- barriers */

static uint32_t ended_warps(const sim_block *b)
{
    uint32_t ended = 0;

    for (uint32_t w = 0; w < b->warps; w++) ended |= (uint32_t)(b->warp[w].state == SIM_WARP_DONE) << w;
    return ended;
}

static bool is_complete(const sim_block *b, const sim_barrier *barrier)
{
    uint32_t all = b->warps == 32 ? ~0u : (1u << b->warps) - 1;

    if (barrier->expected) return barrier->arrived >= barrier->expected;
    return ((barrier->came | ended_warps(b)) & all) == all;
}

/* Writes the result of bar.red: aux >> 1 of the instruction: 0 popc, 1 and, 2 or. */
static void give_result(sim_warp *warp, const sim_barrier *barrier)
{
    const sim_instruction *in = warp->reduction;
    uint32_t lanes = warp->reduction_lanes, operation = in->aux >> 1;
    uint32_t *d = (uint32_t *)(void *)(warp->base[0] + in->d);

    warp->reduction = NULL;
    if (operation == 0) {
        for (int lane = 0; lane < SIM_LANES; lane++)
            if (lanes >> lane & 1) d[lane] = barrier->popc;
    } else if (in->d) {
        bool yes = operation == 1 ? !barrier->all : barrier->any != 0;
        *d = (*d & ~lanes) | (yes ? lanes : 0);
    }
}

static void release_warp(sim_warp *warp, const sim_barrier *barrier)
{
    sim_block *b = warp->block;

    for (uint32_t v = 0; v < b->warps; v++)
        if (barrier->seen[v] > warp->seen[v]) warp->seen[v] = barrier->seen[v];
    warp->epoch = 0;
    warp->synced = b->now << SIM_TIME_SHIFT;
    sim_race_refresh(warp);
    if (warp->reduction) give_result(warp, barrier);
    if (barrier->cycle > warp->cycles) warp->cycles = barrier->cycle;
    if (warp->state == SIM_WARP_BARRIER) warp->state = SIM_WARP_READY;
}

static void open_barrier(sim_block *b, sim_barrier *barrier)
{
    uint32_t ended = barrier->expected ? 0 : ended_warps(b);

    for (uint32_t v = 0; v < b->warps; v++)
        if (ended >> v & 1) barrier->seen[v] = b->now;
    sim_race_tick(b);
    for (uint32_t w = 0; w < b->warps; w++)
        if (barrier->waiting >> w & 1) release_warp(&b->warp[w], barrier);
    memset(barrier, 0, sizeof *barrier);
}

static void join(sim_barrier *barrier, sim_warp *warp, const sim_arrival *a)
{
    uint32_t bit = 1u << warp->index;

    barrier->arrived += SIM_LANES;
    barrier->came |= bit;
    if (a->waits) barrier->waiting |= bit;
    barrier->popc += (uint32_t)__builtin_popcount(a->values);
    barrier->all |= a->values ^ a->lanes; /* lanes that disagree */
    barrier->any |= a->values;
    for (uint32_t v = 0; v < warp->block->warps; v++)
        if (warp->seen[v] > barrier->seen[v]) barrier->seen[v] = warp->seen[v];
    barrier->seen[warp->index] = warp->block->now;
    if (warp->cycles > barrier->cycle) barrier->cycle = warp->cycles;
}

bool sim_barrier_arrive(sim_warp *warp, const sim_arrival *a)
{
    sim_block *b = warp->block;
    sim_barrier *barrier = &b->barrier[a->id];
    uint32_t pc = (uint32_t)(a->in - b->kernel->code);

    b->worker->counters.barriers++;
    b->progress++;
    if (!barrier->came) {
        barrier->expected = a->threads;
        barrier->pc = pc;
    } else if (barrier->expected != a->threads) {
        sim_find(warp, SIM_FINDING_barrier, a->in, barrier->pc,
                 "barrier %u is used with %u threads by block %u warp %u (%%p) and with %u by others (%%q); 0 is all",
                 a->id, a->threads, b->index, warp->index, barrier->expected);
    }
    if (a->reduces) {
        warp->reduction = a->in;
        warp->reduction_lanes = a->lanes;
    }
    join(barrier, warp, a);
    if (is_complete(b, barrier)) {
        open_barrier(b, barrier);
        return true;
    }
    if (!a->waits) {
        sim_race_tick(b);
        return true;
    }
    warp->state = SIM_WARP_BARRIER;
    warp->barrier = a->id;
    return false;
}

void sim_barrier_leave(sim_block *b)
{
    for (uint32_t i = 0; i < SIM_BARRIERS; i++)
        if (b->barrier[i].came && !b->barrier[i].expected && is_complete(b, &b->barrier[i]))
            open_barrier(b, &b->barrier[i]);
}

/* -------------------------------------------------------------------------------- diagnosis */

/* Some instruction where lanes of the warp stand. */
static uint32_t some_pc(const sim_warp *warp, uint32_t lanes)
{
    return lanes ? warp->lane_pc[__builtin_ctz(lanes)] : warp->pc;
}

static uint32_t standing_pc(const sim_warp *warp)
{
    if (warp->state == SIM_WARP_BARRIER)
        return (warp->active ? warp->pc : some_pc(warp, warp->waiting)) - 1;
    if (warp->active) return warp->pc;
    return some_pc(warp, warp->parked ? warp->parked : warp->waiting);
}

void sim_block_describe(const sim_block *b, char *text, size_t size)
{
    size_t at = 0;

    text[0] = 0;
    for (uint32_t w = 0; w < b->warps && at + 1 < size; w++) {
        const sim_warp *warp = &b->warp[w];
        char place[160];
        if (warp->state == SIM_WARP_DONE) continue;
        uint32_t pc = standing_pc(warp);
        sim_place_text(b->kernel, pc, place, sizeof place);
        int more = snprintf(text + at, size - at, "%swarp %u at %s (%s)", at ? "; " : "", w,
                            pc < b->kernel->count ? b->kernel->text[pc] : "end", place);
        if (more < 0) break;
        at += (size_t)more;
    }
}

/* Lanes that wait for one another: at different collectives, or at different barriers. */
static void report_stuck(sim_warp *warp)
{
    sim_block *b = warp->block;
    uint32_t lane = (uint32_t)__builtin_ctz(warp->parked), pc = warp->lane_pc[lane], here = 0;
    uint32_t missing, other = UINT32_MAX;
    bool barrier = false;

    for (uint32_t i = 0; i < SIM_LANES; i++) {
        if (!(warp->parked >> i & 1)) continue;
        barrier |= warp->park_kind[i] == SIM_PARK_BARRIER;
        if (warp->lane_pc[i] == pc) here |= 1u << i;
    }
    missing = warp->park_mask[lane] & ~here & ~warp->exited;
    if (missing) other = warp->lane_pc[__builtin_ctz(missing)];
    sim_find(warp, barrier ? SIM_FINDING_divergent : SIM_FINDING_collective, &b->kernel->code[pc], other,
             "block %u warp %u: lanes 0x%08x wait at %s (%%p) for lanes 0x%08x, which wait at %s (%%q)", b->index,
             warp->index, here, b->kernel->text[pc], missing,
             other < b->kernel->count ? b->kernel->text[other] : "?");
}

static void report_deadlock(sim_block *b, const char *why)
{
    sim_warp *warp = &b->warp[0];
    char text[SIM_FINDING_TEXT - 80];
    bool stuck = false;

    for (uint32_t w = 0; w < b->warps; w++) {
        if (b->warp[w].state == SIM_WARP_STUCK) {
            report_stuck(&b->warp[w]);
            stuck = true;
        }
        if (b->warp[w].state != SIM_WARP_DONE) warp = &b->warp[w];
    }
    if (stuck) return;
    sim_block_describe(b, text, sizeof text);
    sim_find(warp, SIM_FINDING_deadlock, &b->kernel->code[standing_pc(warp)], UINT32_MAX, "block %u: %s: %s", b->index, why,
             text);
}

/* ---------------------------------------------------------------------------------- scheduling */

static uint64_t next_random(sim_block *b)
{
    b->random ^= b->random << 13;
    b->random ^= b->random >> 7;
    b->random ^= b->random << 17;
    return b->random;
}

static sim_warp *next_ready(sim_block *b)
{
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
static void finish_samples(const sim_block *b, sim_counters *c)
{
    uint64_t *counter[] = {&c->load_sectors, &c->store_sectors, &c->atomic_sectors, &c->shared_wavefronts};

    for (int i = 0; i < 4; i++) {
        const sim_samples *s = &b->samples[i];
        if (s->measured) *counter[i] += s->cost * s->requests / s->measured;
    }
}

static sim_block_state finish(sim_block *b)
{
    uint64_t longest = 0;
    sim_counters *c = &b->worker->counters;

    for (uint32_t w = 0; w < b->warps; w++) {
        if (b->warp[w].cycles > longest) longest = b->warp[w].cycles;
        warp_release(&b->warp[w]);
    }
    finish_samples(b, c);
    c->blocks++;
    c->warps += b->warps;
    c->block_cycles += longest;
    if (longest > c->block_cycles_max) c->block_cycles_max = longest;
    return SIM_BLOCK_DONE;
}

/* ---- loops without end. A block that neither touches memory nor comes to a barrier for a whole
 * quantum may compute, or be caught: if a warp comes back to the same place with the same registers,
 * it will do so for ever. */

enum { LOOP_STEPS = 4096 };

static bool reads_memory(const sim_block *b, uint32_t pc)
{
    uint8_t class = sim_op_class[b->kernel->code[pc].op];

    return class == SIM_CLASS_load_global || class == SIM_CLASS_load_shared || class == SIM_CLASS_local;
}

static bool comes_back(sim_warp *warp, uint8_t *registers)
{
    sim_block *b = warp->block;
    size_t bytes = b->kernel->register_bytes;
    uint32_t pc = warp->pc, active = warp->active;

    memcpy(registers, warp->base[0], bytes);
    for (int i = 0; i < LOOP_STEPS && warp->state == SIM_WARP_READY && warp->active; i++) {
        if (reads_memory(b, warp->pc)) return false;
        b->launch->context->run(warp, 1);
        if (warp->pc == pc && warp->active == active && memcmp(registers, warp->base[0], bytes) == 0) return true;
    }
    return false;
}

static bool loops_for_ever(sim_block *b)
{
    uint8_t *registers = malloc(b->kernel->register_bytes);
    bool caught = false;

    for (uint32_t w = 0; registers && w < b->warps && !caught; w++) {
        sim_warp *warp = &b->warp[w];
        if (warp->state != SIM_WARP_READY || !warp->active || warp->waiting) continue;
        caught = comes_back(warp, registers);
        if (caught)
            sim_find(warp, SIM_FINDING_deadlock, &b->kernel->code[warp->pc], UINT32_MAX,
                     "block %u warp %u is in a loop that never ends (%%p): its registers repeat", b->index, w);
    }
    free(registers);
    return caught;
}

static bool over_budget(sim_block *b)
{
    sim_warp *warp = &b->warp[0];

    if (b->executed < SIM_BUDGET) return false;
    for (uint32_t w = 0; w < b->warps; w++)
        if (b->warp[w].state == SIM_WARP_READY) warp = &b->warp[w];
    sim_find(warp, SIM_FINDING_deadlock, &b->kernel->code[standing_pc(warp)], UINT32_MAX,
             "block %u has executed %llu warp instructions and is at %%p; it is given up", b->index,
             (unsigned long long)b->executed);
    return true;
}

sim_block_state sim_block_run(sim_block *b, uint64_t quantum)
{
    sim_launch_state *launch = b->launch;
    uint64_t stop = b->executed + quantum, progress = b->progress, polls = b->polls;
    bool shuffled = launch->context->options.seed != 0;

    while (b->live && b->executed < stop) {
        sim_warp *warp = next_ready(b);
        if (!warp) {
            report_deadlock(b, "no warp can go on");
            return finish(b);
        }
        launch->context->run(warp, shuffled ? 1 + next_random(b) % 64 : SLICE);
        if (warp->state == SIM_WARP_DONE) sim_barrier_leave(b);
        if (__atomic_load_n(&launch->abort, __ATOMIC_RELAXED)) return finish(b);
    }
    if (b->live && (over_budget(b) || (b->progress == progress && b->polls == polls && loops_for_ever(b)))) {
        __atomic_store_n(&launch->abort, 1, __ATOMIC_RELAXED);
        return finish(b);
    }
    if (b->live) return b->progress == progress && b->polls != polls ? SIM_BLOCK_STALLED : SIM_BLOCK_RUNNING;
    for (uint32_t w = 0; w < b->warps; w++)
        if (b->warp[w].state == SIM_WARP_STUCK) report_stuck(&b->warp[w]);
    return finish(b);
}
