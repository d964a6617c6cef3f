/* occupancy.h - how many blocks of a kernel share an SM. */
#ifndef MOE_OCCUPANCY_H
#define MOE_OCCUPANCY_H

#include "core/facts.h"
#include "core/launch.h"

/* Blocks that an SM holds at once by the kernel's block, regs, smem and static_smem; 0 where it
 * cannot hold one, or a block may not have so much shared memory. A kernel that was not compiled
 * counts as one without registers. The templates ask through moe.occupancy. */
int64_t moe_occupancy(const moe_kernel *kernel, const moe_facts *facts);

#endif
