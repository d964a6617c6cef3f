/* counters.h - what a launch on the simulated GPU has executed: the input of the time model.
 *
 * The engine adds to the counters of the block that it runs and merges them into the launch's when
 * the block ends (sim_counters_merge), so that no counter is shared between threads. All counts
 * are of warp instructions, not of lanes.
 *
 * Time of one warp, for `block_cycles`: the engine keeps a cycle count for each warp and adds the
 * `stall` of each instruction that the warp issues (sim_schedule sets it when a kernel is loaded;
 * sim_class_latency is the fallback). These events move it further:
 *   - at a barrier, every warp that it releases continues at the latest arrival;
 *   - at cp.async.wait_group, a warp continues no earlier than the commit that it waits for plus
 *     sim_async_latency;
 *   - at an mbarrier, or a flag in global memory that it polls, it continues when the last arrival
 *     or store came; polls that find nothing new are not counted (polling.h). */
#ifndef SIM_COUNTERS_H
#define SIM_COUNTERS_H

#include <stdint.h>

typedef enum sim_class {
#define SIM_CLASS(name, latency, slots, help) SIM_CLASS_##name,
#include "model/class.def"
#undef SIM_CLASS
    SIM_CLASS_COUNT
} sim_class;

/* Input type of a matrix multiplication. */
typedef enum sim_mma {
    SIM_MMA_F16,
    SIM_MMA_TF32,
    SIM_MMA_F64,
    SIM_MMA_INT8,
    SIM_MMA_WARPGROUP, /* wgmma on f16 or bf16 */
    SIM_MMA_COUNT
} sim_mma;

typedef struct sim_counters {
    uint64_t blocks, warps;              /* that ran */
    uint64_t instr[SIM_CLASS_COUNT];     /* warp instructions issued */
    uint64_t mma_flops[SIM_MMA_COUNT];   /* 2*m*n*k each; bf16 counts as f16 */
    uint64_t load_sectors;               /* 32-byte sectors that loads and cp.async asked for, */
    uint64_t bulk_sectors;               /* of these, bulk loads, */
    uint64_t store_sectors;              /* that stores touched, */
    uint64_t atomic_sectors;             /* that atom and red touched; each summed over requests */
    uint64_t atomic_repeats;             /* lanes of global atomics on a word of an earlier lane */
    uint64_t unique_bytes;               /* sectors touched at least once in the launch, times 32 */
    uint64_t missed_bytes;               /* that the L2 had let go when they were used again */
    uint64_t resident_bytes;             /* of these, in the L2 when the launch began */
    uint64_t shared_wavefronts;          /* passes through shared memory: 1 without bank conflict */
    uint64_t async_bytes;                /* by cp.async, zero fill not counted */
    uint64_t barriers;                   /* warp arrivals at bar.sync and its kin */
    uint64_t far_cycles;                 /* by which the warps would take longer, all together, if
                                            all of their loads came from DRAM */
    uint64_t block_cycles;               /* longest warp of a block, summed over the blocks */
    uint64_t block_cycles_max;           /* the largest of these */
    uint64_t block_scattered_max;        /* most sectors that scattered accesses of a block
                                            touched */
} sim_counters;

/* Cycles until a dependent instruction can issue, by class (of loads from global memory, those that
 * hit the L2); of loads that come from DRAM; and those of one cp.async. */
extern const uint16_t sim_class_latency[SIM_CLASS_COUNT];
extern const uint16_t sim_dram_latency;
extern const uint16_t sim_async_latency;

/* Adds the counters of a block, or of some blocks, to those of a launch. */
void sim_counters_merge(sim_counters *into, const sim_counters *from);

/* All warp instructions. */
uint64_t sim_counters_instr(const sim_counters *counters);

/* Passes that a warp's access to shared memory takes: 32 banks of 4 bytes, equal words count once.
 * `offset` is each active lane's byte offset; accesses of 8 and 16 bytes are served by half and
 * quarter warps. `bytes` is 1, 2, 4, 8 or 16. */
unsigned sim_wavefronts(const uint32_t offset[32], uint32_t active, unsigned bytes);

/* 32-byte sectors that a warp's access touches, equal sectors counted once. */
unsigned sim_sectors(const uint64_t address[32], uint32_t active, unsigned bytes);

#endif
