/* run_inputs.c - the inputs of one run on a device, from a file's tensors or a model's weights. */
#include "command/run_inputs.h"

#include "core/router.h"

#include <stdlib.h>
#include <string.h>

moe_status moe_run_buffer(moe_run_buffers *b, size_t bytes, void **out) {
    MOE_TRY(moe_device_alloc(b->device, bytes, out));
    b->memory[b->count++] = *out;
    return MOE_OK;
}

void moe_run_buffers_free(moe_run_buffers *b) {
    for (int i = 0; i < b->count; i++) moe_device_free(b->device, b->memory[i]);
    b->count = 0;
}

/* What the router has in f32 may be in the weights' dtype, as some models ship it; every such value
 * is exact in f32. */
static moe_status widen(moe_run_buffers *b, const moe_tensor *tensor, int64_t n, void **out) {
    const size_t bytes = (size_t)n * sizeof(float);
    float *wide = malloc(bytes);
    if (!wide) return moe_fail(MOE_E_MEMORY, "no memory for %s", tensor->name);
    moe_status status = moe_tensor_floats(tensor, 0, n, wide);
    if (!status) status = moe_run_buffer(b, bytes, out);
    if (!status) status = moe_device_copy_in(b->device, *out, wide, bytes);
    free(wide);
    return status;
}

static moe_status upload_tensor(moe_run_buffers *b, const moe_tensor_file *file,
                                const moe_tensor_desc *in, const moe_layer *layer, void **out) {
    const moe_tensor *tensor = moe_tensor_find(file, in->file);
    const moe_tensor_type type = moe_tensor_type_of(in->dtype), own = moe_tensor_type_of(layer->w);
    bool narrow = tensor && in->dtype == MOE_F32 && tensor->type == own && own != type;
    MOE_TRY(moe_tensor_get(file, in->file, narrow ? own : type, in->rank, in->shape, &tensor));
    if (narrow) return widen(b, tensor, moe_tensor_elements(in), out);
    MOE_TRY(moe_run_buffer(b, tensor->bytes, out));
    return moe_device_copy_in(b->device, *out, tensor->data, tensor->bytes);
}

/* Piece by piece, so that the host never holds more than one expert's. */
static moe_status upload_weight(moe_run_buffers *b, moe_model_weights *weights,
                                moe_arg tensor, void **out) {
    const int64_t pieces = moe_model_weights_pieces(weights, tensor);
    const size_t bytes = moe_model_weights_bytes(weights, tensor);
    void *piece = malloc(bytes);
    if (!piece) return moe_fail(MOE_E_MEMORY, "no memory for %zu bytes of an expert", bytes);
    moe_status status = moe_run_buffer(b, (size_t)pieces * bytes, out);
    for (int64_t i = 0; i < pieces && !status; i++) {
        status = moe_model_weights_read(weights, tensor, i, piece);
        if (!status)
            status = moe_device_copy_in(b->device, (char *)*out + (size_t)i * bytes, piece, bytes);
    }
    free(piece);
    return status;
}

static moe_status upload_seed(moe_run_buffers *b, uint64_t seed, moe_io *io) {
    void *memory;
    MOE_TRY(moe_run_buffer(b, sizeof seed, &memory));
    io->seed = memory;
    return moe_device_copy_in(b->device, memory, &seed, sizeof seed);
}

/* The rows of a table that are the caller's to choose. */
static void set_free_size(const moe_tensor_file *file, moe_tensor_desc *desc) {
    const moe_tensor *tensor = moe_tensor_find(file, desc->file);
    for (int i = 0; i < desc->rank; i++)
        if (desc->shape[i] < 0) desc->shape[i] = tensor && tensor->rank > i ? tensor->shape[i] : 0;
}

static moe_status upload_one(const moe_run_source *source, const moe_layer *layer, moe_arg tensor,
                             moe_tensor_desc *desc, moe_run_buffers *buffers, void **out) {
    if (source->weights && moe_model_weights_hold(source->weights, tensor))
        return upload_weight(buffers, source->weights, tensor, out);
    set_free_size(source->file, desc);
    return upload_tensor(buffers, source->file, desc, layer, out);
}

moe_status moe_run_upload(const moe_run_source *source, const moe_layer *layer, int64_t tokens,
                          moe_run_buffers *buffers, moe_io *io) {
    const moe_sizes sizes = moe_sizes_make(layer, tokens, 1);
    io->routing_given = !moe_layer_routes(layer);
    const moe_entry entry = io->routing_given ? MOE_ENTRY_GIVEN : MOE_ENTRY_ROUTER;
    if (source->seed) MOE_TRY(upload_seed(buffers, *source->seed, io));
    for (moe_arg i = 0; (int)i < MOE_CALLER_TENSORS; i++) {
        moe_tensor_desc desc = moe_tensor_describe(&sizes, i);
        void *memory;
        if (!moe_tensor_is_input(&desc, entry)) continue;
        MOE_TRY(upload_one(source, layer, i, &desc, buffers, &memory));
        moe_io_set(io, i, memory);
        if (i == MOE_ARG_expert_table) io->vocab = desc.shape[0];
    }
    return MOE_OK;
}
