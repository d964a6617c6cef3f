/* polling.h - waits by polling, as the time model sees them.
 *
 * How often a warp polls here depends on whose turn it is in the simulator; on the chip it waits
 * for one moment. So polls that find nothing new take no time and are not counted, nor is what the
 * warp executes between them, and the poll that ends a wait for a flag is issued no earlier than
 * the flag was set: its own latency is the way through the L2. */
#ifndef SIM_POLLING_H
#define SIM_POLLING_H

#include "machine/engine.h"

/* The warp polls, with an instruction, at an address: if it has done nothing else since the last
 * time, it is as early as it was then. */
void sim_poll_start(sim_warp *warp, uint32_t pc, uint64_t address);
/* Then, whether it found anything new; or that it found what it waits for. */
void sim_poll_end(sim_warp *warp, bool nothing);
void sim_poll_over(sim_warp *warp);
/* Has the warp done nothing but poll, in vain, for some time? */
bool sim_poll_idle(sim_warp *warp);

/* Of an instruction that is tried until the warp may go on: what its handler returns. Only the
 * first try takes time. */
int sim_poll_until(sim_warp *warp, uint32_t pc, bool may_go_on);

/* The lanes store words that others may wait for; to be called before they do. */
void sim_flags_set(sim_warp *warp, const uint64_t *address, uint32_t lanes, uint32_t bytes);
/* The lanes have found words that others stored: the warp goes on no earlier than these did. */
void sim_flags_wait(sim_warp *warp, const uint64_t *address, uint32_t lanes, uint32_t bytes);

#endif
