/* run_inputs.h - the inputs of one run on a device, from a file's tensors or a model's weights. */
#ifndef MOE_RUN_INPUTS_H
#define MOE_RUN_INPUTS_H

#include "models/model_weights.h"

enum { MOE_RUN_BUFFERS = MOE_CALLER_TENSORS + 1 }; /* the workspace is one, too */

/* Device memory of one run, freed together. */
typedef struct moe_run_buffers {
    moe_device *device;
    void *memory[MOE_RUN_BUFFERS];
    int count;
} moe_run_buffers;

/* MOE_E_MEMORY, MOE_E_DEVICE. */
moe_status moe_run_buffer(moe_run_buffers *buffers, size_t bytes, void **out);
void moe_run_buffers_free(moe_run_buffers *buffers);

/* Where inputs come from: weights that have a role from a model where there is one, all else from
 * the file. */
typedef struct moe_run_source {
    const moe_tensor_file *file;
    moe_model_weights *weights; /* NULL: none */
    const uint64_t *seed;       /* NULL: nothing is drawn */
} moe_run_source;

/* Copies every input that the layer needs to the device and sets its pointer in `io`. What
 * moe_tensor_get, moe_model_weights_read and the device say. */
moe_status moe_run_upload(const moe_run_source *source, const moe_layer *layer, int64_t tokens,
                          moe_run_buffers *buffers, moe_io *io);

#endif
