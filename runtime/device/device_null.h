/* device_null.h - the null device: host memory, accepts every image, runs nothing. It measures what
 * the host side of a run costs. */
#ifndef MOE_DEVICE_NULL_H
#define MOE_DEVICE_NULL_H

#include "device/device.h"

/* Launches that a null device has swallowed since it was opened. */
int64_t moe_null_launches(const moe_device *device);

#endif
