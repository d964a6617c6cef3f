/* reuse.h - when the pages of memory were used in a launch, and which uses the L2 no longer served.
 *
 * A launch is cut into epochs, SIM_EPOCHS at most: the blocks that run at the same time make a
 * round, and each round is cut by the modelled cycles of its warps, in slices that grow as it does.
 * A page keeps the set of epochs in which it was used. From these sets follows, whatever the order
 * in which the simulator ran the blocks, how many other bytes were used between two uses of a page;
 * if they are more than the L2 holds, the page comes from DRAM once more. */
#ifndef SIM_REUSE_H
#define SIM_REUSE_H

#include <stddef.h>
#include <stdint.h>

enum { SIM_EPOCHS = 64 };

/* How a launch is cut. */
typedef struct sim_epochs {
    uint32_t slots;  /* blocks of a round */
    uint32_t rounds; /* that share an epoch */
    uint32_t slices; /* epochs of a round, a power of two */
    uint8_t shift;   /* log2 of the cycles of a slice, to begin with */
} sim_epochs;

/* The uses of one page. */
typedef struct sim_uses {
    uint64_t epochs; /* a bit for each */
    uint8_t shift;
    uint8_t sectors; /* of 32 bytes, that were used at all */
} sim_uses;

sim_epochs sim_epochs_of(uint32_t blocks, uint32_t slots);

/* The first epoch of a block's round. */
static inline uint32_t sim_epoch_first(const sim_epochs *e, uint32_t block) {
    return block / e->slots / e->rounds * e->slices;
}

/* Doubles the length of the slices until a cycle falls into one of them. */
void sim_uses_coarsen(sim_uses *uses, const sim_epochs *e, uint64_t cycle);

/* The page was used in the round that begins with epoch `first`. */
static inline void sim_uses_add(sim_uses *uses, const sim_epochs *e, uint32_t first,
                                uint64_t cycle) {
    if (!uses->epochs) uses->shift = e->shift;
    if (cycle >> uses->shift >= e->slices) sim_uses_coarsen(uses, e, cycle);
    uses->epochs |= 1ull << (first + (uint32_t)(cycle >> uses->shift));
}

/* Bytes between whose uses more than `capacity` other bytes were used. Leaves all slices equally
 * long. */
uint64_t sim_reuse_missed(sim_uses *pages, size_t count, const sim_epochs *e, uint64_t capacity);

#endif
