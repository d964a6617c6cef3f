/* warp.c - where the lanes of a warp stand. */
#include "machine/engine.h"

/* Puts lanes where they can go on from lane_pc. */
static void wake(sim_warp *warp, uint32_t lanes) {
    warp->waiting |= lanes;
    for (int i = 0; i < SIM_LANES; i++)
        if ((lanes >> i & 1) && warp->lane_pc[i] < warp->next_pc) warp->next_pc = warp->lane_pc[i];
}

void sim_warp_exit(sim_warp *warp, uint32_t lanes) {
    warp->exited |= lanes;
    warp->active &= ~lanes;
    warp->waiting &= ~lanes;
    /* Those that waited for these lanes look again. */
    wake(warp, warp->parked);
    warp->parked = 0;
}
