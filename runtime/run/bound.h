/* bound.h - a run of constant pointers, ready but for its stream. Private to bound.c and run.c. */
#ifndef MOE_BOUND_H
#define MOE_BOUND_H

#include "run/enqueue.h"
#include "run/fill.h"
#include "run/plan.h"

/* Nothing is written after moe_bound_make, so streams and threads may share it. */
struct moe_bound {
    moe_device *device;
    int fills, steps;
    moe_fill fill[MOE_MAX_FILLS];
    moe_ready step[MOE_PIPELINE_STEPS];
};

/* Makes one where `out` is: no allocation, lock or wait, and no work on the device. */
moe_status moe_bound_make(const moe_plan *plan, const moe_io *io, int64_t tokens, moe_bound *out);

#endif
