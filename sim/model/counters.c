/* counters.c - arithmetic on launch counters, and the cost of one warp's memory access. */
#include "model/counters.h"

#include <stdbool.h>

enum { LANES = 32, BANKS = 32, SECTOR_SHIFT = 5 };

const uint16_t sim_class_latency[SIM_CLASS_COUNT] = {
#define SIM_CLASS(name, latency, slots, help) latency,
#include "model/class.def"
#undef SIM_CLASS
};

const uint16_t sim_dram_latency = 570; /* measured on an H100 by others; see class.def */
const uint16_t sim_async_latency = 550; /* assumption */

static uint64_t larger(uint64_t a, uint64_t b) { return a > b ? a : b; }

void sim_counters_merge(sim_counters *into, const sim_counters *from) {
    uint64_t cycles = larger(into->block_cycles_max, from->block_cycles_max);
    uint64_t scattered = larger(into->block_scattered_max, from->block_scattered_max);
    uint64_t *sum = (uint64_t *)into;
    const uint64_t *add = (const uint64_t *)from;

    _Static_assert(sizeof(sim_counters) % sizeof(uint64_t) == 0, "all members are uint64_t");
    for (unsigned i = 0; i < sizeof(sim_counters) / sizeof(uint64_t); i++) sum[i] += add[i];
    into->block_cycles_max = cycles;
    into->block_scattered_max = scattered;
}

uint64_t sim_counters_instr(const sim_counters *counters) {
    uint64_t sum = 0;

    for (int i = 0; i < SIM_CLASS_COUNT; i++) sum += counters->instr[i];
    return sum;
}

/* The different words of each bank that one pass group has asked for so far. */
typedef struct bank_words {
    uint32_t word[BANKS][LANES * 4];
    unsigned count[BANKS];
} bank_words;

static void bank_add(bank_words *banks, uint32_t word) {
    unsigned bank = word % BANKS;

    for (unsigned i = 0; i < banks->count[bank]; i++)
        if (banks->word[bank][i] == word) return;
    banks->word[bank][banks->count[bank]++] = word;
}

/* Passes of the lanes [first, first + lanes). */
static unsigned group_wavefronts(const uint32_t offset[32], uint32_t active, unsigned bytes,
                                 unsigned first, unsigned lanes) {
    bank_words banks;
    unsigned most = 0;

    for (unsigned i = 0; i < BANKS; i++) banks.count[i] = 0;
    for (unsigned lane = first; lane < first + lanes; lane++) {
        if (!(active >> lane & 1)) continue;
        for (unsigned at = 0; at < bytes; at += 4) bank_add(&banks, (offset[lane] + at) / 4);
    }
    for (unsigned i = 0; i < BANKS; i++)
        if (banks.count[i] > most) most = banks.count[i];
    return most;
}

unsigned sim_wavefronts(const uint32_t offset[32], uint32_t active, unsigned bytes) {
    unsigned lanes = bytes <= 4 ? LANES : LANES * 4 / bytes;
    unsigned sum = 0;

    for (unsigned first = 0; first < LANES; first += lanes)
        sum += group_wavefronts(offset, active, bytes, first, lanes);
    return sum;
}

unsigned sim_sectors(const uint64_t address[32], uint32_t active, unsigned bytes) {
    uint64_t seen[2 * LANES];
    unsigned count = 0;

    for (unsigned lane = 0; lane < LANES; lane++) {
        if (!(active >> lane & 1)) continue;
        uint64_t last = (address[lane] + bytes - 1) >> SECTOR_SHIFT;
        for (uint64_t sector = address[lane] >> SECTOR_SHIFT; sector <= last; sector++) {
            bool known = false;
            for (unsigned i = count; i > 0 && !known; i--) known = seen[i - 1] == sector;
            if (!known) seen[count++] = sector;
        }
    }
    return count;
}
