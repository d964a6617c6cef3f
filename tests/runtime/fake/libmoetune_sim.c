/* libmoetune_sim.c - one of another version. */
#include "device/device_library.h"

MOE_API moe_device_entry moetune_sim;

const moe_device_library *moetune_sim(moe_message_place *place) {
    static const moe_device_library library = {
        .interface = MOE_DEVICE_INTERFACE + FAKE_NEWER,
        .version = "7.0.0",
        .sizes = {sizeof(moe_device_class) + FAKE_LARGER, sizeof(moe_facts), sizeof(moe_image)},
    };
    (void)place;
    return &library;
}
