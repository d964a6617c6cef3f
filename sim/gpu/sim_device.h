/* sim_device.h - the simulated GPU as a device class. */
#ifndef SIM_DEVICE_H
#define SIM_DEVICE_H

#include "device/device.h"
#include "machine/sim.h"

extern const moe_device_class moe_device_sim;

/* What stands behind the colon: CHIP[,seed=N][,threads=N][,checks=0|1][,portable=0|1]. `chip` gets
 * the name, *options what is said of them. MOE_E_PARSE. */
moe_status sim_device_parse(const char *rest, char *chip, size_t size, sim_options *options);

#endif
