/* library.c - all that libmoetune_sim shows of itself. */
#include "device/device_library.h"
#include "gpu/sim_device.h"

MOE_API moe_device_entry moetune_sim;

const moe_device_library *moetune_sim(moe_message_place *place) {
    static const moe_device_library library = {
        .interface = MOE_DEVICE_INTERFACE,
        .version = MOE_VERSION,
        .sizes = MOE_DEVICE_SIZES,
        .class = &moe_device_sim,
    };
    moe_message_share(place);
    return &library;
}
