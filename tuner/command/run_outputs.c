/* run_outputs.c - what a run of one layer gives, as a table. */
#include "command/run_outputs.h"

#include "models/safetensors.h"
#include "reference.h"

#include <stdlib.h>
#include <string.h>

/* Sizes that shapes are made of. */
typedef enum extent { END, TOKENS, WIDTH, CHOICES, EXPERTS, LOSSES } extent;

/* Which runs have an output. */
typedef enum wanted { ALWAYS, ROWS, STATISTIC, PROBS, LOSS, KEY_BIAS } wanted;

enum { Y, IDS, WEIGHTS, SLOT_ROWS }; /* ORDER outputs */

#define IO(member) offsetof(moe_io, member)
static const struct {
    const char *name; /* of the tensor; NULL: it is not written */
    size_t slot;      /* of the pointer in moe_io */
    moe_tensor_type type; /* MOE_TENSOR_TYPE_COUNT: the layer's x */
    extent shape[2];
    wanted when;
} table[MOE_RUN_OUTPUTS] = {
    {"y", IO(y), MOE_TENSOR_TYPE_COUNT, {TOKENS, WIDTH}, ALWAYS},
    {"ids", IO(ids), MOE_TENSOR_I32, {TOKENS, CHOICES}, ALWAYS},
    {"weights", IO(weights), MOE_TENSOR_F32, {TOKENS, CHOICES}, ALWAYS},
    {NULL, IO(slot_rows), MOE_TENSOR_I32, {TOKENS, CHOICES}, ROWS},
    {"counts", IO(counts), MOE_TENSOR_I32, {EXPERTS, END}, STATISTIC},
    {"mean_probs", IO(mean_probs), MOE_TENSOR_F32, {EXPERTS, END}, PROBS},
    {"losses", IO(losses), MOE_TENSOR_F32, {LOSSES, END}, LOSS},
    {"next_router_bias", IO(next_router_bias), MOE_TENSOR_F32, {EXPERTS, END}, KEY_BIAS},
};
#undef IO

static bool is_wanted(wanted when, const moe_layer *layer, bool statistics) {
    switch (when) {
    case ROWS: return !moe_layer_neurons(layer);
    case STATISTIC: return statistics;
    case PROBS: return statistics && !moe_layer_neurons(layer);
    case LOSS: return statistics && moe_layer_rule(layer)->losses;
    case KEY_BIAS: return statistics && layer->router.key_bias;
    default: return true;
    }
}

/* Output i as a tensor around `data`. */
static moe_tensor describe(int i, const moe_layer *layer, int64_t tokens, const void *data) {
    const int64_t extents[] = {[TOKENS] = tokens,    [WIDTH] = layer->d, [CHOICES] = layer->k,
                               [EXPERTS] = layer->e, [LOSSES] = MOE_LOSS_COUNT};
    moe_tensor tensor = {.name = table[i].name, .type = table[i].type, .data = data};
    if (tensor.type == MOE_TENSOR_TYPE_COUNT) tensor.type = moe_tensor_type_of(layer->x);
    tensor.bytes = moe_tensor_type_size(tensor.type);
    while (tensor.rank < 2 && table[i].shape[tensor.rank] != END) {
        tensor.shape[tensor.rank] = extents[table[i].shape[tensor.rank]];
        tensor.bytes *= (size_t)tensor.shape[tensor.rank++];
    }
    return tensor;
}

moe_status moe_run_outputs_make(const moe_layer *layer, int64_t tokens, bool statistics,
                                moe_run_buffers *buffers, moe_io *io, moe_run_outputs *out) {
    for (int i = 0; i < MOE_RUN_OUTPUTS; i++) {
        void *memory;
        size_t bytes = describe(i, layer, tokens, NULL).bytes;
        if (!is_wanted(table[i].when, layer, statistics)) continue;
        out->data[i] = malloc(bytes + 1);
        if (!out->data[i])
            return moe_fail(MOE_E_MEMORY, "no memory for the outputs of %lld tokens",
                            (long long)tokens);
        memcpy(&memory, (char *)io + table[i].slot, sizeof memory);
        if (memory) continue; /* given */
        MOE_TRY(moe_run_buffer(buffers, bytes, &memory));
        memcpy((char *)io + table[i].slot, &memory, sizeof memory);
    }
    return MOE_OK;
}

/* The weights with which rows were added. */
static void apply_drops(const moe_layer *layer, int64_t tokens, const moe_run_outputs *out) {
    const int *rows = out->data[SLOT_ROWS];
    float *given = out->data[WEIGHTS];
    double weights[MOE_MAX_SLOTS];
    for (int64_t t = 0; t < tokens; t++, rows += layer->k, given += layer->k) {
        for (int64_t j = 0; j < layer->k; j++) weights[j] = rows[j] < 0 ? 0 : (double)given[j];
        moe_ref_drop(layer, layer->k, weights);
        for (int64_t j = 0; j < layer->k; j++) given[j] = (float)weights[j];
    }
}

moe_status moe_run_outputs_fetch(const moe_layer *layer, int64_t tokens, moe_device *device,
                                 const moe_io *io, moe_run_outputs *out) {
    for (int i = 0; i < MOE_RUN_OUTPUTS; i++) {
        const void *from;
        memcpy(&from, (const char *)io + table[i].slot, sizeof from);
        if (out->data[i])
            MOE_TRY(moe_device_copy_out(device, out->data[i], from,
                                        describe(i, layer, tokens, NULL).bytes));
    }
    if (out->data[SLOT_ROWS]) apply_drops(layer, tokens, out);
    return MOE_OK;
}

moe_status moe_run_outputs_write(const char *path, const moe_layer *layer, int64_t tokens,
                                 const moe_run_outputs *out) {
    moe_tensor tensors[MOE_RUN_OUTPUTS];
    int64_t count = 0;
    for (int i = 0; i < MOE_RUN_OUTPUTS; i++)
        if (out->data[i] && table[i].name)
            tensors[count++] = describe(i, layer, tokens, out->data[i]);
    return moe_tensor_file_write(path, tensors, count);
}

void moe_run_outputs_free(moe_run_outputs *out) {
    for (int i = 0; i < MOE_RUN_OUTPUTS; i++) free(out->data[i]);
}
