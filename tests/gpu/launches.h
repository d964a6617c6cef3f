/* launches.h - what only several blocks or kernels show: kernels that start early, replays of them,
 * and blocks that wait for one another. */
#ifndef LAUNCHES_H
#define LAUNCHES_H

#include "device/device.h"

/* Compiles the kernels for an sm_90a device, which all tests below use; `rounds` is how often each
 * repeats its launches. Fails the test on an error. */
void launches_open(moe_device *device, int rounds);
void launches_close(void);

/* Tests for cmocka. */
void early_readers_see_what_is_older(void **state);
void replays_keep_early_starts_in_order(void **state);
void blocks_meet(void **state);
void blocks_that_cannot_meet_are_refused(void **state);

#endif
