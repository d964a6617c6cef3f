/* reuse.c - reuse distances from the sets of epochs in which pages were used. */
#include "model/reuse.h"

/* FIRST_SHIFT: slices begin with 1024 cycles, in which an H100's DRAM brings 1.7 MB. */
enum { FIRST_SHIFT = 10, NO_SLICES = 63, BEFORE = 0, AFTER = SIM_EPOCHS + 1, ENDS = AFTER + 1 };

sim_epochs sim_epochs_of(uint32_t blocks, uint32_t slots) {
    sim_epochs e = {.slots = slots ? slots : 1, .slices = SIM_EPOCHS};
    uint32_t rounds = (blocks + e.slots - 1) / e.slots;

    e.rounds = (rounds + SIM_EPOCHS - 1) / SIM_EPOCHS;
    if (!e.rounds) e.rounds = 1;
    while (e.slices > 1 && e.slices * rounds > SIM_EPOCHS) e.slices /= 2;
    e.shift = e.slices > 1 ? FIRST_SHIFT : NO_SLICES;
    return e;
}

/* Two slices of each round become one. */
static void coarsen_once(sim_uses *uses, const sim_epochs *e) {
    uint64_t pairs = 0;

    for (uint32_t at = 0; at < SIM_EPOCHS; at += e->slices)
        for (uint32_t i = 0; i < e->slices; i++)
            pairs |= (uses->epochs >> (at + i) & 1) << (at + i / 2);
    uses->epochs = pairs;
    uses->shift++;
}

void sim_uses_coarsen(sim_uses *uses, const sim_epochs *e, uint64_t cycle) {
    while (cycle >> uses->shift >= e->slices) coarsen_once(uses, e);
}

/* Bytes by the epochs of two successive uses, counted from 1; BEFORE and AFTER stand for none. */
typedef struct gaps {
    uint64_t bytes[ENDS][ENDS];
    uint64_t spanning[ENDS][ENDS]; /* of gaps that begin no later and end no earlier */
    uint64_t total;
} gaps;

static void add_gaps(gaps *g, const sim_uses *page) {
    uint32_t last = BEFORE;

    for (uint64_t left = page->epochs; left; left &= left - 1) {
        uint32_t epoch = (uint32_t)__builtin_ctzll(left) + 1;
        g->bytes[last][epoch] += page->sectors * 32u;
        last = epoch;
    }
    g->bytes[last][AFTER] += page->sectors * 32u;
    g->total += page->sectors * 32u;
}

static void sum_spans(gaps *g) {
    for (int a = BEFORE; a < ENDS; a++)
        for (int b = AFTER; b >= BEFORE; b--) {
            uint64_t earlier = a > BEFORE ? g->spanning[a - 1][b] : 0;
            uint64_t later = b < AFTER ? g->spanning[a][b + 1] : 0;
            uint64_t both = a > BEFORE && b < AFTER ? g->spanning[a - 1][b + 1] : 0;
            g->spanning[a][b] = g->bytes[a][b] + earlier + later - both;
        }
}

/* What lies unused from epoch a to b - 1 is spanned by a gap; all else was used meanwhile. */
static uint64_t sum_missed(const gaps *g, uint64_t capacity) {
    uint64_t missed = 0;

    for (int a = BEFORE + 1; a < AFTER; a++)
        for (int b = a + 1; b < AFTER; b++)
            if (g->total - g->spanning[a - 1][b] > capacity) missed += g->bytes[a][b];
    return missed;
}

uint64_t sim_reuse_missed(sim_uses *pages, size_t count, const sim_epochs *e, uint64_t capacity) {
    gaps g = {.total = 0};
    uint8_t shift = e->shift;

    for (size_t i = 0; i < count; i++)
        if (pages[i].shift > shift) shift = pages[i].shift;
    for (size_t i = 0; i < count; i++) {
        if (!pages[i].epochs) continue;
        while (pages[i].shift < shift) coarsen_once(&pages[i], e);
        add_gaps(&g, &pages[i]);
    }
    sum_spans(&g);
    return sum_missed(&g, capacity);
}
