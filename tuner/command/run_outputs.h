/* run_outputs.h - what a run of one layer gives, from the device into a safetensors file. */
#ifndef MOE_RUN_OUTPUTS_H
#define MOE_RUN_OUTPUTS_H

#include "command/run_inputs.h"

/* Host copies of the outputs. */
typedef struct moe_run_outputs {
    void *data[MOE_CALLER_TENSORS]; /* by tensor; NULL: not asked for, or an input */
} moe_run_outputs;

/* Makes device buffers for all outputs and points io at them; counts, mean_probs, losses and, where
 * keys have a bias, next_router_bias only with `statistics`. MOE_E_MEMORY, MOE_E_DEVICE. */
moe_status moe_run_outputs_make(const moe_layer *layer, int64_t tokens, bool statistics,
                                moe_run_buffers *buffers, moe_io *io, moe_run_outputs *out);

/* Copies them to the host. The weights become those with which rows were added: 0 where the
 * capacity dropped a slot, and changed as the layer's drop says. MOE_E_DEVICE. */
moe_status moe_run_outputs_fetch(const moe_layer *layer, int64_t tokens, moe_device *device,
                                 const moe_io *io, moe_run_outputs *out);

/* Writes them to a file. MOE_E_IO. */
moe_status moe_run_outputs_write(const char *path, const moe_layer *layer, int64_t tokens,
                                 const moe_run_outputs *out);
void moe_run_outputs_free(moe_run_outputs *out);

#endif
