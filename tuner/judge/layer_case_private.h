/* layer_case_private.h - what layer_case.c and layer_verify.c share. */
#ifndef MOE_LAYER_CASE_PRIVATE_H
#define MOE_LAYER_CASE_PRIVATE_H

#include "device/device.h"
#include "judge/layer_case.h"
#include "workload.h"

enum { LAYER_REFERENCE_FLOPS = 2000000000 };

/* Step of the bias update that is asked for. */
static const float layer_bias_rate = 0.001f;

/* Buffers on the device: by tensor, then the workspace. */
enum { LAYER_WORKSPACE = MOE_CALLER_TENSORS, LAYER_BUFFERS };

struct moe_layer_case {
    moe_device *device;
    moe_layer layer;
    int64_t tokens;
    moe_entry entry;
    int first_expert;
    moe_workload work;
    int *ids;        /* [T,k] where routing is given */
    float *weights;  /* [T,k] where routing is given */
    int64_t spots;   /* tokens that the reference is made for, */
    int64_t *chosen; /* [spots] these */
    double *logits;  /* [spots,e], or what the router has instead, where it runs */
    moe_ptr address[LAYER_BUFFERS];
    size_t bytes[LAYER_BUFFERS];
};

/* A tensor's array on the host; NULL where a run writes it or the case has none. */
const void *layer_host(const moe_layer_case *c, moe_arg tensor);

/* The pointers of a run; with `all` outputs, or those that every caller asks for. */
moe_io layer_io(const moe_layer_case *c, bool all);

/* Makes a workspace of some bytes. */
moe_status layer_set_workspace(moe_layer_case *c, size_t bytes);

#endif
