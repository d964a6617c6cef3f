/* exec_async.h - what waits for cp.async by other means than cp.async.wait. */
#ifndef SIM_EXEC_ASYNC_H
#define SIM_EXEC_ASYNC_H

#include "exec/exec_memory.h"

/* aux of instructions on mbarriers and bulk copies, besides the flags of addresses. ORDER
 * decode_async.c */
enum {
    MBARRIER_EXPECT = 1 << 16,
    MBARRIER_NO_ARRIVAL = 1 << 17,
    MBARRIER_STATE = 1 << 18,
    BULK_STORE = 1 << 16,
    BULK_TENSOR = 1 << 17,
    BULK_MULTICAST = 1 << 18, /* list[f]: the mask of blocks */
    BULK_REDUCE = 1 << 19,    /* e: operation | type << 8; a tensor's type is its map's */
    BULK_READ = 1 << 20,      /* of a wait: only for the sources */
};

/* aux of wgmma. ORDER decode_async.c */
enum {
    WGMMA_BRAIN = 1, /* bf16, else f16 */
    WGMMA_NEGATE_A = 2,
    WGMMA_NEGATE_B = 4,
    WGMMA_TRANSPOSE_A = 8, /* MN-major, in shared memory */
    WGMMA_TRANSPOSE_B = 16,
};

/* Addresses of shared memory in a cluster: the block's rank + 1 stands above the offset. */
enum { CLUSTER_SHIFT = 24, CLUSTER_OFFSET = (1 << CLUSTER_SHIFT) - 1 };

/* Completes the copies of some lanes that were issued before number `serial`. */
void SIM_EXEC(complete_copies)(sim_warp *warp, const sim_instruction *in, u32 lanes, u32 serial);

#endif
