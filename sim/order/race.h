/* race.h - which accesses are ordered, by logical time.
 *
 * A block's clock `now` counts its releases (a barrier completed, an arrival, a published fence).
 * Each access leaves a stamp on the granules that it touches:
 *
 *     time 16 | epoch 6 | warp 5 | lane 5      (0: no such access yet)
 *
 * `epoch` counts the warp's own __syncwarp within one tick. Warp w has seen everything that warp v
 * did up to time w.seen[v]; `all_seen` is a stamp below which everything by any warp is visible, so
 * one comparison decides nearly all accesses. What the comparison does not decide is looked at
 * closely: accesses of the same warp are ordered by `synced` (all lanes) or lane_seen (partial
 * syncs), and always for one lane.
 *
 * A granule is as small as the narrowest access of its kind in the kernel (shared memory) or in the
 * page so far (global memory), so marks are exact for every byte. Each granule remembers the last
 * plain write, the plain reads and the atomic accesses since. Several readers are kept as a set of
 * warps with the time of the last; where that cannot prove a race, none is reported.
 *
 * Across blocks (global memory only): a block that executes a device-wide fence and then a strong
 * (atomic, volatile, relaxed, release) store publishes what it wrote before the fence, under the
 * next number of a launch-wide order; a strong load makes all publications so far visible. Without
 * fences, any two plain accesses of two blocks to a byte race if one is a write. */
#ifndef SIM_RACE_H
#define SIM_RACE_H

#include "machine/engine.h"

enum { SIM_TIME_SHIFT = 16, SIM_EPOCH_SHIFT = 10, SIM_WARP_SHIFT = 5 };
enum { SIM_TIME_LIMIT = 0xfff0, SIM_EPOCH_LIMIT = 63 };
/* As a write stamp: a copy has not been waited for (in global memory: a bulk store); as a read
 * stamp: a matrix operation has not. */
#define SIM_IN_FLIGHT 0xffffffffu

/* Flags beside the pc of the access that a stamp belongs to. */
enum { SIM_PC_MASK = 0xfffff };
#define SIM_MANY_LANES (1u << 20)  /* lanes of the stamp's warp, at its time */
#define SIM_MANY_WARPS (1u << 21)  /* other warps of the block, not ordered before it */
#define SIM_MANY_BLOCKS (1u << 22) /* blocks of the launch */
#define SIM_MIXED_TIMES (1u << 23) /* warps of the set read at different times */
#define SIM_VOLATILE (1u << 24)

static inline uint32_t sim_stamp(const sim_warp *warp) {
    return warp->block->now << SIM_TIME_SHIFT | warp->epoch << SIM_EPOCH_SHIFT |
           warp->index << SIM_WARP_SHIFT;
}

static inline uint32_t sim_stamp_warp(uint32_t stamp) {
    return stamp >> SIM_WARP_SHIFT & 31;
}

static inline uint32_t sim_stamp_lane(uint32_t stamp) {
    return stamp & 31;
}

/* Is the access that left the stamp ordered before the next access of this lane? */
bool sim_ordered(const sim_warp *warp, uint32_t stamp, uint32_t lane);

/* Has the lane waited for the launches ahead, or does it come after one of the block that has? */
bool sim_has_waited(sim_warp *warp, uint32_t lane);

/* ---- what warps do (race.c) */

void sim_race_start(sim_block *block); /* all clocks to the beginning */
void sim_race_tick(sim_block *block);  /* time passes */
void sim_race_refresh(sim_warp *warp); /* recomputes all_seen from seen and synced */
void sim_race_syncwarp(sim_warp *warp, uint32_t lanes);
void sim_race_fence(sim_warp *warp, uint32_t lanes, bool device);
void sim_race_publish(sim_warp *warp, uint32_t lanes, bool release); /* before a strong store */
void sim_race_acquire(sim_warp *warp, uint32_t lanes);               /* after a strong load */

/* ---- shared memory (race_shared.c): the slow paths behind the checks of exec_shared.h */

typedef struct sim_access {
    const sim_instruction *in;
    uint32_t offset; /* of the granule in shared memory */
    uint32_t lane;
    bool same_value; /* a store that does not change the memory */
} sim_access;

/* A read of a granule of stores: against the write, which is all that a strong read races with; and
 * a plain read, against atomic accesses too. */
void sim_shared_written_slow(sim_warp *warp, const sim_instruction *in, uint32_t granule,
                             uint32_t lane);
void sim_shared_read_slow(sim_warp *warp, const sim_instruction *in, uint32_t granule,
                          uint32_t lane);
void sim_shared_write_slow(sim_warp *warp, const sim_access *access, uint32_t granule);
void sim_shared_readers_slow(sim_warp *warp, const sim_access *access, uint32_t granule);
void sim_shared_atomics_slow(sim_warp *warp, const sim_access *access, uint32_t granule,
                             bool write);

/* ---- global memory (race_global.c) */

typedef struct sim_range {
    sim_allocation *allocation;
    uint64_t offset; /* in the allocation */
    uint32_t bytes;
    uint32_t lane;       /* that accesses the first bytes; */
    uint32_t lane_bytes; /* the next lane goes on after as many */
    bool same_value;     /* a store that changes nothing */
    bool strong;         /* atomic, volatile, relaxed, acquire, release */
    bool cached;         /* .nc: must not be written in this launch */
    bool early;          /* issued before the lane's griddepcontrol.wait */
    uint8_t grain;       /* smallest part to be told apart, if less than lane_bytes; 0: none */
    bool in_flight;      /* by a bulk store that is not complete: in order before nothing */
} sim_range;

void sim_global_read(sim_warp *warp, const sim_instruction *in, const sim_range *range);
void sim_global_write(sim_warp *warp, const sim_instruction *in, const sim_range *range);
/* A write that was in flight is complete: from now on it is the lane's. */
void sim_global_settle(sim_warp *warp, const sim_instruction *in, const sim_range *range);
/* Would this write be reported, unless it changes nothing? Records nothing. */
bool sim_global_suspect(sim_warp *warp, const sim_instruction *in, const sim_range *range);
/* Records which sectors a launch has used; needed even without checks. */
void sim_global_touch(sim_warp *warp, sim_allocation *allocation, uint64_t offset, uint32_t bytes);

#endif
