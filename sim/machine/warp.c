/* warp.c - where the lanes of a warp stand. */
#include "machine/engine.h"

void sim_warp_wake(sim_warp *warp, uint32_t lanes) {
    warp->waiting |= lanes;
    for (int i = 0; i < SIM_LANES; i++)
        if ((lanes >> i & 1) && warp->lane_pc[i] < warp->next_pc) warp->next_pc = warp->lane_pc[i];
}

void sim_warp_exit(sim_warp *warp, uint32_t lanes) {
    warp->exited |= lanes;
    warp->active &= ~lanes;
    warp->waiting &= ~lanes;
    /* Those that waited for these lanes look again. */
    sim_warp_wake(warp, warp->parked);
    warp->parked = 0;
}
