/* layer_replay.h - plans on a layer's case, ready to be timed: recorded once as a graph and then
 * replayed, as an inference engine does it, where the device can; else launched kernel by
 * kernel. */
#ifndef MOE_LAYER_REPLAY_H
#define MOE_LAYER_REPLAY_H

#include "device/device.h"
#include "judge/layer_case.h"

typedef struct moe_layer_replay {
    moe_layer_case *c;
    const moe_plan *plan;
    moe_device *device;
    void *graph; /* NULL: launched kernel by kernel */
} moe_layer_replay;

/* Prepares `count` plans on a case; they share its workspace, which must stay as it is from then
 * on. `note` (size bytes) says why they are not replayed where the device could not record them,
 * else it is "". Close them before the case. MOE_E_MEMORY, MOE_E_DEVICE, MOE_E_INVALID. */
moe_status moe_layer_replays_open(moe_device *device, moe_layer_case *c,
                                  const moe_plan *const *plan, int count, moe_layer_replay *out,
                                  char *note, size_t size);
void moe_layer_replays_close(moe_layer_replay *replay, int count);

/* Enqueues it once on the default stream: a moe_work of meter.h. */
moe_status moe_layer_replay_run(void *replay);

/* Judges what a replay leaves in y, however often it ran before: it must be what the plan's plain
 * run gave. Where there is no graph, that run was judged already, and this is right. */
moe_status moe_layer_replay_judge(moe_layer_replay *replay, moe_layer_verdict *out);

#endif
