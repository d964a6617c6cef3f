/* enqueue.h - one launch put on a stream: arguments packed, tensors encoded, grids sized. */
#ifndef MOE_ENQUEUE_H
#define MOE_ENQUEUE_H

#include "core/args.h"
#include "device/device.h"

typedef struct moe_enqueue {
    moe_device *device;
    void *module;
    const moe_launch *launch;
    moe_op_kind kind;
    const moe_layer *layer;
    int64_t tokens; /* above 0 */
    int64_t rows;   /* of the buffers h and y_rows */
    bool follows;   /* a kernel of the same layer is ahead: blocks may start before it has ended */
} moe_enqueue;

/* Enqueues the kernels of a launch in order; no allocation, lock or wait. MOE_E_INVALID (more blocks
 * than a grid holds, a tensor that cannot be encoded), MOE_E_UNSUPPORTED (the device has no tensor
 * maps), MOE_E_DEVICE, MOE_E_FAULT. */
moe_status moe_enqueue_launch(const moe_enqueue *e, const moe_arg_values *values, void *stream);

#endif
