/* barrier.c - barriers of a block: who has come, what they have seen, and who may go on. */
#include "order/race.h"

#include <string.h>

static uint32_t ended_warps(const sim_block *b) {
    uint32_t ended = 0;

    for (uint32_t w = 0; w < b->warps; w++)
        ended |= (uint32_t)(b->warp[w].state == SIM_WARP_DONE) << w;
    return ended;
}

static bool is_complete(const sim_block *b, const sim_barrier *barrier) {
    uint32_t all = b->warps == 32 ? ~0u : (1u << b->warps) - 1;

    if (barrier->expected) return barrier->arrived >= barrier->expected;
    return ((barrier->came | ended_warps(b)) & all) == all;
}

/* Writes the result of bar.red: aux >> 1 of the instruction: 0 popc, 1 and, 2 or. */
static void give_result(sim_warp *warp, const sim_barrier *barrier) {
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

static void release_warp(sim_warp *warp, const sim_barrier *barrier) {
    sim_block *b = warp->block;

    for (uint32_t v = 0; v < b->agents; v++)
        if (barrier->seen[v] > warp->seen[v]) warp->seen[v] = barrier->seen[v];
    warp->epoch = 0;
    warp->synced = b->now << SIM_TIME_SHIFT;
    sim_race_refresh(warp);
    if (warp->reduction) give_result(warp, barrier);
    if (barrier->cycle > warp->cycles) warp->cycles = barrier->cycle;
    if (warp->state == SIM_WARP_BARRIER) warp->state = SIM_WARP_READY;
}

static void open_barrier(sim_block *b, sim_barrier *barrier) {
    uint32_t ended = barrier->expected ? 0 : ended_warps(b);

    for (uint32_t v = 0; v < b->warps; v++)
        if (ended >> v & 1) barrier->seen[v] = b->now;
    sim_race_tick(b);
    for (uint32_t w = 0; w < b->warps; w++)
        if (barrier->waiting >> w & 1) release_warp(&b->warp[w], barrier);
    memset(barrier, 0, sizeof *barrier);
}

static void join(sim_barrier *barrier, sim_warp *warp, const sim_arrival *a) {
    uint32_t bit = 1u << warp->index;

    barrier->arrived += SIM_LANES;
    barrier->came |= bit;
    if (a->waits) barrier->waiting |= bit;
    barrier->popc += (uint32_t)__builtin_popcount(a->values);
    barrier->all |= a->values ^ a->lanes; /* lanes that disagree */
    barrier->any |= a->values;
    for (uint32_t v = 0; v < warp->block->agents; v++)
        if (warp->seen[v] > barrier->seen[v]) barrier->seen[v] = warp->seen[v];
    barrier->seen[warp->index] = warp->block->now;
    if (warp->cycles > barrier->cycle) barrier->cycle = warp->cycles;
}

bool sim_barrier_arrive(sim_warp *warp, const sim_arrival *a) {
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
                 "barrier %u is used with %u threads by block %u warp %u (%%p) and with %u by "
                 "others (%%q); 0 is all",
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

void sim_barrier_leave(sim_block *b) {
    for (uint32_t i = 0; i < SIM_BARRIERS; i++)
        if (b->barrier[i].came && !b->barrier[i].expected && is_complete(b, &b->barrier[i]))
            open_barrier(b, &b->barrier[i]);
}
