/* built_in.c - linked into programs that hold the simulator themselves: the command, tests and
 * benchmarks. They need no libmoetune_sim. */
#include "gpu/sim_device.h"

__attribute__((constructor)) static void register_class(void) {
    moe_device_register(&moe_device_sim);
}
