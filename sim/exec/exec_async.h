/* exec_async.h - what waits for cp.async by other means than cp.async.wait. */
#ifndef SIM_EXEC_ASYNC_H
#define SIM_EXEC_ASYNC_H

#include "exec/exec_memory.h"

/* Completes the copies of some lanes that were issued before number `serial`. */
void SIM_EXEC(complete_copies)(sim_warp *warp, const sim_instruction *in, u32 lanes, u32 serial);

#endif
