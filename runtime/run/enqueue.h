/* enqueue.h - one launch: arguments packed, tensors encoded and grids sized once, then put on any
 * stream, any number of times. */
#ifndef MOE_ENQUEUE_H
#define MOE_ENQUEUE_H

#include "core/args.h"
#include "core/tensor_view.h"
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

/* A launch that only wants a stream. It borrows device, module and launch. */
typedef struct moe_ready {
    moe_device *device;
    void *module;
    const moe_launch *launch;
    moe_op_kind kind;
    moe_dims dims[MOE_MAX_KERNELS];
    size_t args_size;
    _Alignas(MOE_TENSOR_MAP_ALIGN) unsigned char args[MOE_ARGS_MAX_SIZE];
} moe_ready;

/* MOE_E_INVALID (more blocks than a grid holds, a tensor that cannot be encoded), MOE_E_UNSUPPORTED
 * (the device has no tensor maps). */
moe_status moe_enqueue_prepare(const moe_enqueue *e, const moe_arg_values *values, moe_ready *out);

/* Enqueues the kernels in order; no allocation, lock or wait. MOE_E_DEVICE, MOE_E_FAULT. */
moe_status moe_ready_run(const moe_ready *ready, void *stream);

/* Both at once. */
moe_status moe_enqueue_launch(const moe_enqueue *e, const moe_arg_values *values, void *stream);

#endif
