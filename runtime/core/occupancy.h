/* occupancy.h - how many blocks of a compiled kernel share an SM. */
#ifndef MOE_OCCUPANCY_H
#define MOE_OCCUPANCY_H

#include "core/facts.h"
#include "core/launch.h"

/* Blocks that an SM holds at once by the kernel's threads, registers and shared memory; 0 where it
 * cannot hold one. A kernel that was not compiled counts as one without registers. */
int64_t moe_occupancy(const moe_kernel *kernel, const moe_facts *facts);

#endif
