/* exec_reduce.h - one lane's atomic operation, for this block's memory and for that of others. */
#ifndef SIM_EXEC_REDUCE_H
#define SIM_EXEC_REDUCE_H

#include "exec/exec.h"
#include "number/reduce.h"

/* On the host's memory at `at`. */
void SIM_EXEC(atomic_lane)(sim_warp *warp, const sim_instruction *in, u32 lane, u8 *at,
                           bool global);

#endif
