/* exec_remote.h - accesses to shared memory of other blocks of the cluster (exec_remote.c). Their
 * addresses are offsets in shared memory with a rank above; see aux.h. */
#ifndef SIM_EXEC_REMOTE_H
#define SIM_EXEC_REMOTE_H

#include "exec/exec.h"

/* The lanes of which the address names another block. */
static inline u32 remote_lanes(const sim_warp *warp, const u64 *offset, u32 lanes) {
    u32 remote = 0, own = warp->block->rank + 1;

    FOR_LANES(lane, lanes) {
        u32 rank = (u32)(offset[lane] >> CLUSTER_SHIFT);
        remote |= (u32)(rank != 0 && rank != own) << lane;
    }
    return remote;
}

/* Offsets in the own block's memory for some lanes; the others repeat the first. */
static inline void own_offsets(const u64 *offset, u32 lanes, u64 *out) {
    u64 fill = offset[first_lane(lanes)] & CLUSTER_OFFSET;

    for (int i = 0; i < SIM_LANES; i++) out[i] = lanes >> i & 1 ? offset[i] & CLUSTER_OFFSET : fill;
}

void SIM_EXEC(remote_load)(sim_warp *warp, const sim_instruction *in, u32 lanes,
                           const u64 *offset);
void SIM_EXEC(remote_store)(sim_warp *warp, const sim_instruction *in, u32 lanes,
                            const u64 *offset);
void SIM_EXEC(remote_atomic)(sim_warp *warp, const sim_instruction *in, u32 lanes,
                             const u64 *offset);

#endif
