/* cmd_run.c - moetune run: one layer on given tensors. */
#include "command.h"
#include "presets.h"
#include "reference.h"
#include "safetensors.h"
#include "spot.h"

#include <argp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct options {
    const char *device, *layer, *input, *output, *db, *templates;
    bool any_order;
} options;

enum { KEY_DEVICE = 256, KEY_LAYER, KEY_INPUT, KEY_OUTPUT, KEY_DB, KEY_TEMPLATES, KEY_ORDER };

static const struct argp_option option_table[] = {
    {"device", KEY_DEVICE, "DEVICE", 0, "auto, cuda:N or sim:CHIP (default: auto)", 0},
    {"layer", KEY_LAYER, "LAYER", 0, "preset, config.json, or the layer's text", 0},
    {"input", KEY_INPUT, "FILE", 0, "safetensors file with x and the weights", 0},
    {"output", KEY_OUTPUT, "FILE", 0, "safetensors file to write y, ids and weights to", 0},
    {"db", KEY_DB, "FILE", 0, "tuning database", 0},
    {"templates", KEY_TEMPLATES, "DIR", 0, "folder of templates, for what the database lacks", 0},
    {"any-order", KEY_ORDER, NULL, 0, "also kernels whose sums depend on the order of arrival", 0},
    {NULL, 0, NULL, 0, NULL, 0},
};

static error_t parse_option(int key, char *value, struct argp_state *state) {
    options *o = state->input;
    switch (key) {
    case KEY_DEVICE: o->device = value; break;
    case KEY_LAYER: o->layer = value; break;
    case KEY_INPUT: o->input = value; break;
    case KEY_OUTPUT: o->output = value; break;
    case KEY_DB: o->db = value; break;
    case KEY_TEMPLATES: o->templates = value; break;
    case KEY_ORDER: o->any_order = true; break;
    case ARGP_KEY_ARG: argp_error(state, "'%s' is one argument too many", value); break;
    case ARGP_KEY_END:
        if (!o->layer || !o->input || !o->output)
            argp_error(state, "--layer, --input and --output are needed");
        break;
    default: return ARGP_ERR_UNKNOWN;
    }
    return 0;
}

static const struct argp argp = {
    option_table, parse_option, "",
    "Runs a layer on tensors from a safetensors file.\n\n"
    "Input: x [T,d], router.weight [e,d], experts.gate_up [e,2f,d] (gate rows, then up rows) or, "
    "without a gate, experts.up [e,f,d], experts.down [e,d,f]; where the layer has biases, "
    "router.bias [e] (F32), experts.gate_up.bias [e,2f] or experts.up.bias [e,f], and "
    "experts.down.bias [e,d]. Output: y [T,d], ids [T,k] best first, weights [T,k], 0 where "
    "capacity dropped the slot.",
    NULL, NULL, NULL,
};

/* The tensors of a layer: what they are called, what shape they have, and where they go. */
enum { MAX_INPUTS = 7 };

typedef struct input {
    const char *name;
    bool wanted;
    moe_tensor_type type;
    int64_t rank, shape[3];
    size_t slot; /* of the pointer in moe_io */
} input;

static int list_inputs(const moe_layer *l, int64_t tokens, input *out) {
    const moe_tensor_type x = moe_tensor_type_of(l->x), w = moe_tensor_type_of(l->w);
    const bool gated = moe_layer_gated(l);
    const int64_t up = gated ? 2 * l->f : l->f;
#define TO(member) offsetof(moe_io, member)
    const input all[MAX_INPUTS] = {
        {"x", true, x, 2, {tokens, l->d}, TO(x)},
        {"router.weight", true, w, 2, {l->e, l->d}, TO(router_weight)},
        {"router.bias", moe_layer_router_bias(l), MOE_TENSOR_F32, 1, {l->e}, TO(router_bias)},
        {gated ? "experts.gate_up" : "experts.up", true, w, 3, {l->e, up, l->d}, TO(up)},
        {gated ? "experts.gate_up.bias" : "experts.up.bias", l->bias & MOE_BIAS_UP, w, 2,
         {l->e, up}, TO(up_bias)},
        {"experts.down", true, w, 3, {l->e, l->d, l->f}, TO(down)},
        {"experts.down.bias", l->bias & MOE_BIAS_DOWN, w, 2, {l->e, l->d}, TO(down_bias)},
    };
#undef TO
    memcpy(out, all, sizeof all);
    return MAX_INPUTS;
}

/* A tensor as the layer takes it. The router's bias may be in the weights' dtype, as some models
 * ship it; every such value is exact in f32. */
static moe_status get_input(const moe_tensor_file *file, const input *in, const moe_layer *layer,
                            const void **data, size_t *bytes, void **owned) {
    const moe_tensor *tensor = moe_tensor_find(file, in->name);
    moe_tensor_type own = moe_tensor_type_of(layer->w);
    bool widen = tensor && in->type == MOE_TENSOR_F32 && tensor->type == own && own != in->type;
    MOE_TRY(moe_tensor_get(file, in->name, widen ? own : in->type, in->rank, in->shape, &tensor));
    *data = tensor->data;
    *bytes = tensor->bytes;
    if (!widen) return MOE_OK;
    float *wide = malloc((size_t)in->shape[0] * sizeof *wide);
    if (!wide) return moe_fail(MOE_E_MEMORY, "no memory for %s", in->name);
    *data = *owned = wide;
    *bytes = (size_t)in->shape[0] * sizeof *wide;
    return moe_tensor_floats(tensor, 0, in->shape[0], wide);
}

/* Device memory of one run, freed together. */
enum { MAX_BUFFERS = MAX_INPUTS + 8 };

typedef struct buffers {
    moe_device *device;
    void *memory[MAX_BUFFERS];
    int count;
} buffers;

static moe_status add_buffer(buffers *b, size_t bytes, void **out) {
    MOE_TRY(moe_device_alloc(b->device, bytes, out));
    b->memory[b->count++] = *out;
    return MOE_OK;
}

static moe_status upload(buffers *b, const moe_tensor_file *file, const input *in,
                         const moe_layer *layer, moe_io *io) {
    const void *data;
    void *owned = NULL, *memory;
    size_t bytes;
    MOE_TRY(get_input(file, in, layer, &data, &bytes, &owned));
    moe_status status = add_buffer(b, bytes, &memory);
    if (!status) status = moe_device_copy_in(b->device, memory, data, bytes);
    if (!status) memcpy((char *)io + in->slot, &memory, sizeof memory);
    free(owned);
    return status;
}

/* Host copies of what a run gives. */
typedef struct outputs {
    void *y;
    int *ids, *slot_rows;
    float *weights;
    size_t y_bytes, slots;
} outputs;

static void free_outputs(outputs *out) {
    free(out->y);
    free(out->ids);
    free(out->slot_rows);
    free(out->weights);
}

static moe_status alloc_outputs(buffers *b, const moe_layer *layer, int64_t tokens, moe_io *io,
                                outputs *out) {
    out->slots = (size_t)(tokens * layer->k);
    out->y_bytes = (size_t)(tokens * layer->d) * moe_dtype_size(layer->x);
    out->y = malloc(out->y_bytes + 1);
    out->ids = malloc(out->slots * 4 + 1);
    out->slot_rows = malloc(out->slots * 4 + 1);
    out->weights = malloc(out->slots * 4 + 1);
    if (!out->y || !out->ids || !out->slot_rows || !out->weights)
        return moe_fail(MOE_E_MEMORY, "no memory for the outputs of %lld tokens",
                        (long long)tokens);
    MOE_TRY(add_buffer(b, out->y_bytes, &io->y));
    MOE_TRY(add_buffer(b, out->slots * 4, (void **)&io->ids));
    MOE_TRY(add_buffer(b, out->slots * 4, (void **)&io->slot_rows));
    return add_buffer(b, out->slots * 4, (void **)&io->weights);
}

static moe_status download(moe_device *device, const moe_io *io, outputs *out) {
    MOE_TRY(moe_device_copy_out(device, out->y, io->y, out->y_bytes));
    MOE_TRY(moe_device_copy_out(device, out->ids, io->ids, out->slots * 4));
    MOE_TRY(moe_device_copy_out(device, out->weights, io->weights, out->slots * 4));
    MOE_TRY(moe_device_copy_out(device, out->slot_rows, io->slot_rows, out->slots * 4));
    for (size_t i = 0; i < out->slots; i++)
        if (out->slot_rows[i] < 0) out->weights[i] = 0;
    return MOE_OK;
}

static moe_status write_outputs(const char *path, const moe_layer *layer, int64_t tokens,
                                const outputs *out) {
    const moe_tensor tensors[] = {
        {"y", moe_tensor_type_of(layer->x), 2, {tokens, layer->d}, out->y, out->y_bytes},
        {"ids", MOE_TENSOR_I32, 2, {tokens, layer->k}, out->ids, out->slots * 4},
        {"weights", MOE_TENSOR_F32, 2, {tokens, layer->k}, out->weights, out->slots * 4},
    };
    return moe_tensor_file_write(path, tensors, sizeof tensors / sizeof tensors[0]);
}

static moe_status run_plan(const moe_plan *plan, buffers *b, const moe_layer *layer,
                           const moe_tensor_file *file, int64_t tokens, const char *path) {
    input inputs[MAX_INPUTS];
    moe_io io = {0};
    outputs out = {0};
    moe_status status = MOE_OK;
    int count = list_inputs(layer, tokens, inputs);
    for (int i = 0; i < count && !status; i++)
        if (inputs[i].wanted) status = upload(b, file, &inputs[i], layer, &io);
    if (!status) status = alloc_outputs(b, layer, tokens, &io, &out);
    if (!status) status = moe_plan_workspace(plan, tokens, &io.workspace_size);
    if (!status) status = add_buffer(b, io.workspace_size, &io.workspace);
    if (!status) status = moe_plan_run(plan, &io, tokens, NULL);
    if (!status) status = moe_device_sync(b->device, NULL);
    if (!status) status = download(b->device, &io, &out);
    if (!status) status = write_outputs(path, layer, tokens, &out);
    free_outputs(&out);
    return status;
}

/* T, from the shape of x. */
static moe_status count_tokens(const moe_tensor_file *file, int64_t *tokens) {
    const moe_tensor *x = moe_tensor_find(file, "x");
    if (!x || x->rank != 2)
        return moe_fail(MOE_E_INVALID, "%s: there must be a tensor x of shape [T,d]", file->path);
    *tokens = x->shape[0];
    return MOE_OK;
}

static moe_status run(const options *o, const moe_layer *layer, const moe_tensor_file *file,
                      int64_t tokens) {
    char note[1024];
    moe_db *db = NULL;
    moe_gen *gen = NULL;
    moe_builder *builder = NULL;
    moe_plan *plan = NULL;
    buffers b = {0};
    const moe_plan_options plan_options = {.worst = MOE_MATCH_DEFAULT, .any_order = o->any_order};
    moe_status status = moe_device_open(o->device, &b.device);
    if (!status) status = command_database(o->db, &db);
    if (!status) status = command_templates(o->templates, &gen);
    if (!status) moe_gen_allow_any_order(gen, o->any_order);
    if (!status) status = moe_builder_open(moe_device_facts(b.device)->arch, NULL, NULL, &builder);
    if (!status)
        status = moe_spot_plan(db, b.device, gen, builder, layer, tokens, &plan_options, &plan, note,
                               sizeof note);
    if (!status && *note) fprintf(stderr, "moetune run: %s\n", note);
    if (!status) status = run_plan(plan, &b, layer, file, tokens, o->output);
    moe_plan_destroy(plan);
    for (int i = 0; i < b.count; i++) moe_device_free(b.device, b.memory[i]);
    moe_builder_close(builder);
    moe_gen_close(gen);
    moe_db_close(db);
    moe_device_close(b.device);
    return status;
}

int cmd_run(int argc, char **argv) {
    options o = {.device = "auto"};
    moe_layer layer;
    moe_tensor_file *file = NULL;
    int64_t tokens = 0;
    argp_parse(&argp, argc, argv, 0, NULL, &o);
    moe_status status = moe_preset(o.layer, &layer);
    if (!status) status = moe_tensor_file_open(o.input, &file);
    if (!status) status = count_tokens(file, &tokens);
    if (!status) status = run(&o, &layer, file, tokens);
    moe_tensor_file_close(file);
    return status ? command_fail(status) : COMMAND_GOOD;
}
