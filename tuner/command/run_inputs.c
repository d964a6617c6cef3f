/* run_inputs.c - the inputs of one run on a device, from a file's tensors or a model's weights. */
#include "command/run_inputs.h"

#include "core/router.h"

#include <stdlib.h>
#include <string.h>

/* The tensors of a layer: what they are called, what shape they have, and where they go. */
typedef struct input {
    const char *name;
    bool wanted;
    moe_tensor_type type;
    int64_t rank, shape[4];
    size_t slot; /* of the pointer in moe_io */
    int role;    /* moe_weight_role; X: no model has it */
} input;

enum { X = -1 };

static void list_inputs(const moe_layer *l, int64_t tokens, int64_t vocab, input *out) {
    const moe_tensor_type x = moe_tensor_type_of(l->x), w = moe_tensor_type_of(l->w);
    const moe_tensor_type router = moe_tensor_type_of(moe_layer_router_dtype(l));
    const bool gated = moe_layer_gated(l);
    const bool routes = moe_layer_routes(l), hash = moe_router_looks_up(&l->router);
    const int64_t queries = moe_layer_queries(l), up = moe_layer_up_rows(l);
    const int64_t held = moe_layer_held(l), wide = l->shared.f;
#define TO(member) offsetof(moe_io, member)
    const input all[MOE_RUN_INPUTS] = {
        {"x", true, x, 2, {tokens, l->d}, TO(x), X},
        {"ids", !routes, MOE_TENSOR_I32, 2, {tokens, l->k}, TO(ids), X},
        {"weights", !routes, MOE_TENSOR_F32, 2, {tokens, l->k}, TO(weights), X},
        {"token_ids", hash, MOE_TENSOR_I32, 1, {tokens}, TO(token_ids), X},
        {"router.table", hash, MOE_TENSOR_I32, 2, {vocab, l->k}, TO(expert_table), X},
        {"router.noise", l->router.noise > 0, router, 2, {l->e, l->d}, TO(router_noise), X},
        {"router.weight", routes, router, 2, {queries, l->d}, TO(router_weight), MOE_WEIGHT_ROUTER},
        {"router.keys", moe_layer_keys(l) > 0, w, 4,
         {l->router.heads, 2, l->router.keys, l->router.key_width / 2}, TO(router_keys), X},
        {"router.bias", moe_layer_router_bias(l), MOE_TENSOR_F32, 1, {queries}, TO(router_bias),
         MOE_WEIGHT_ROUTER_BIAS},
        {gated ? "experts.gate_up" : "experts.up", up > 0, w, 3, {held, up, l->d}, TO(up),
         MOE_WEIGHT_UP},
        {gated ? "experts.gate_up.bias" : "experts.up.bias", l->bias & MOE_BIAS_UP, w, 2,
         {held, up}, TO(up_bias), MOE_WEIGHT_UP_BIAS},
        {"experts.down", true, w, 3, {held, l->d, l->f}, TO(down), MOE_WEIGHT_DOWN},
        {"experts.down.bias", l->bias & MOE_BIAS_DOWN, w, 2, {held, l->d}, TO(down_bias),
         MOE_WEIGHT_DOWN_BIAS},
        {gated ? "shared.gate_up" : "shared.up", wide > 0, w, 2, {gated ? 2 * wide : wide, l->d},
         TO(shared_up), MOE_WEIGHT_SHARED_UP},
        {"shared.down", wide > 0, w, 2, {l->d, wide}, TO(shared_down), MOE_WEIGHT_SHARED_DOWN},
        {"shared_gate.weight", l->shared.gated, w, 2, {1, l->d}, TO(shared_gate),
         MOE_WEIGHT_SHARED_GATE},
    };
#undef TO
    memcpy(out, all, sizeof all);
}

moe_status moe_run_buffer(moe_run_buffers *b, size_t bytes, void **out) {
    MOE_TRY(moe_device_alloc(b->device, bytes, out));
    b->memory[b->count++] = *out;
    return MOE_OK;
}

void moe_run_buffers_free(moe_run_buffers *b) {
    for (int i = 0; i < b->count; i++) moe_device_free(b->device, b->memory[i]);
    b->count = 0;
}

/* What the router has in f32 may be in the weights' dtype, as some models ship it; every such value is
 * exact in f32. */
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

static moe_status upload_tensor(moe_run_buffers *b, const moe_tensor_file *file, const input *in,
                                const moe_layer *layer, void **out) {
    const moe_tensor *tensor = moe_tensor_find(file, in->name);
    const moe_tensor_type own = moe_tensor_type_of(layer->w);
    bool narrow = tensor && in->type == MOE_TENSOR_F32 && tensor->type == own && own != in->type;
    MOE_TRY(moe_tensor_get(file, in->name, narrow ? own : in->type, in->rank, in->shape, &tensor));
    if (narrow) return widen(b, tensor, in->shape[0] * (in->rank > 1 ? in->shape[1] : 1), out);
    MOE_TRY(moe_run_buffer(b, tensor->bytes, out));
    return moe_device_copy_in(b->device, *out, tensor->data, tensor->bytes);
}

/* Piece by piece, so that the host never holds more than one expert's. */
static moe_status upload_weight(moe_run_buffers *b, moe_model_weights *weights,
                                moe_weight_role role, void **out) {
    const int64_t pieces = moe_model_weights_pieces(weights, role);
    const size_t bytes = moe_model_weights_bytes(weights, role);
    void *piece = malloc(bytes);
    if (!piece) return moe_fail(MOE_E_MEMORY, "no memory for %zu bytes of an expert", bytes);
    moe_status status = moe_run_buffer(b, (size_t)pieces * bytes, out);
    for (int64_t i = 0; i < pieces && !status; i++) {
        status = moe_model_weights_read(weights, role, i, piece);
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

moe_status moe_run_upload(const moe_run_source *source, const moe_layer *layer, int64_t tokens,
                          moe_run_buffers *buffers, moe_io *io) {
    input inputs[MOE_RUN_INPUTS];
    const moe_tensor *table = moe_tensor_find(source->file, "router.table");
    io->vocab = table && table->rank == 2 ? table->shape[0] : 0;
    list_inputs(layer, tokens, io->vocab, inputs);
    io->routing_given = !moe_layer_routes(layer);
    if (source->seed) MOE_TRY(upload_seed(buffers, *source->seed, io));
    for (int i = 0; i < MOE_RUN_INPUTS; i++) {
        const input *in = &inputs[i];
        void *memory;
        if (!in->wanted) continue;
        if (source->weights && in->role != X)
            MOE_TRY(upload_weight(buffers, source->weights, (moe_weight_role)in->role, &memory));
        else
            MOE_TRY(upload_tensor(buffers, source->file, in, layer, &memory));
        memcpy((char *)io + in->slot, &memory, sizeof memory);
    }
    return MOE_OK;
}
