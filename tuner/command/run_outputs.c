/* run_outputs.c - what a run of one layer gives, as a table. */
#include "command/run_outputs.h"

#include "models/safetensors.h"
#include "reference.h"

#include <stdlib.h>
#include <string.h>

/* y, ids and weights; the row of each slot, which tells what was dropped; and where asked the
 * statistics that files have a name for. */
static bool is_wanted(const moe_tensor_desc *desc, moe_arg tensor, bool statistics) {
    if (desc->role != MOE_ROLE_OUTPUT || !desc->present) return false;
    return moe_tensor_is_result(desc) || tensor == MOE_ARG_slot_rows || (statistics && desc->file);
}

moe_status moe_run_outputs_make(const moe_layer *layer, int64_t tokens, bool statistics,
                                moe_run_buffers *buffers, moe_io *io, moe_run_outputs *out) {
    const moe_sizes sizes = moe_sizes_make(layer, tokens, 1);
    for (moe_arg i = 0; (int)i < MOE_CALLER_TENSORS; i++) {
        const moe_tensor_desc desc = moe_tensor_describe(&sizes, i);
        const size_t bytes = (size_t)moe_tensor_bytes_of(&desc);
        void *memory;
        if (!is_wanted(&desc, i, statistics)) continue;
        out->data[i] = malloc(bytes + 1);
        if (!out->data[i])
            return moe_fail(MOE_E_MEMORY, "no memory for the outputs of %lld tokens",
                            (long long)tokens);
        if (moe_io_pointer(io, i)) continue; /* given */
        MOE_TRY(moe_run_buffer(buffers, bytes, &memory));
        moe_io_set(io, i, memory);
    }
    return MOE_OK;
}

/* The weights with which rows were added. */
static void apply_drops(const moe_layer *layer, int64_t tokens, const moe_run_outputs *out) {
    const int *rows = out->data[MOE_ARG_slot_rows];
    float *given = out->data[MOE_ARG_weights];
    double weights[MOE_MAX_SLOTS];
    for (int64_t t = 0; t < tokens; t++, rows += layer->k, given += layer->k) {
        for (int64_t j = 0; j < layer->k; j++) weights[j] = rows[j] < 0 ? 0 : (double)given[j];
        moe_ref_drop(layer, layer->k, weights);
        for (int64_t j = 0; j < layer->k; j++) given[j] = (float)weights[j];
    }
}

moe_status moe_run_outputs_fetch(const moe_layer *layer, int64_t tokens, moe_device *device,
                                 const moe_io *io, moe_run_outputs *out) {
    const moe_sizes sizes = moe_sizes_make(layer, tokens, 1);
    for (moe_arg i = 0; (int)i < MOE_CALLER_TENSORS; i++) {
        const moe_tensor_desc desc = moe_tensor_describe(&sizes, i);
        if (out->data[i])
            MOE_TRY(moe_device_copy_out(device, out->data[i], moe_io_pointer(io, i),
                                        (size_t)moe_tensor_bytes_of(&desc)));
    }
    if (out->data[MOE_ARG_slot_rows]) apply_drops(layer, tokens, out);
    return MOE_OK;
}

/* An output as a tensor around `data`. */
static moe_tensor tensor_of(const moe_tensor_desc *desc, const void *data) {
    moe_tensor tensor = {.name = desc->file, .type = moe_tensor_type_of(desc->dtype), .data = data,
                         .rank = desc->rank, .bytes = (size_t)moe_tensor_bytes_of(desc)};
    for (int i = 0; i < desc->rank; i++) tensor.shape[i] = desc->shape[i];
    return tensor;
}

moe_status moe_run_outputs_write(const char *path, const moe_layer *layer, int64_t tokens,
                                 const moe_run_outputs *out) {
    const moe_sizes sizes = moe_sizes_make(layer, tokens, 1);
    moe_tensor tensors[MOE_CALLER_TENSORS];
    int64_t count = 0;
    for (moe_arg i = 0; (int)i < MOE_CALLER_TENSORS; i++) {
        const moe_tensor_desc desc = moe_tensor_describe(&sizes, i);
        if (out->data[i] && desc.file) tensors[count++] = tensor_of(&desc, out->data[i]);
    }
    return moe_tensor_file_write(path, tensors, count);
}

void moe_run_outputs_free(moe_run_outputs *out) {
    for (int i = 0; i < MOE_CALLER_TENSORS; i++) free(out->data[i]);
}
