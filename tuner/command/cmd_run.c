/* cmd_run.c - moetune run: one layer on given tensors. */
#include "command/command_tools.h"
#include "command/run_help.h"
#include "command/run_outputs.h"
#include "models/presets.h"
#include "tune/spot.h"

#include <argp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

typedef struct options {
    const char *device, *layer, *input, *output, *weights, *as, *db, *templates;
    int64_t moe_layer; /* of the model that the weights are of; -1: not given */
    double bias_rate;
    int64_t seed;
    bool any_order, statistics, draws;
} options;

enum {
    KEY_DEVICE = 256, KEY_LAYER, KEY_INPUT, KEY_OUTPUT, KEY_WEIGHTS, KEY_MOE_LAYER, KEY_AS, KEY_DB,
    KEY_TEMPLATES, KEY_ORDER, KEY_STATISTICS, KEY_BIAS_RATE, KEY_SEED
};

static const struct argp_option option_table[] = {
    {"device", KEY_DEVICE, "DEVICE", 0, "auto, cuda:N or sim:CHIP (default: auto)", 0},
    {"layer", KEY_LAYER, "LAYER", 0, "preset, config.json, or the layer's text", 0},
    {"input", KEY_INPUT, "FILE", 0, "safetensors file with x and the weights", 0},
    {"output", KEY_OUTPUT, "FILE", 0, "safetensors file to write y, ids and weights to", 0},
    {"weights", KEY_WEIGHTS, "MODEL", 0,
     "take the weights from a published model: its folder, index or safetensors file", 0},
    {"moe-layer", KEY_MOE_LAYER, "N", 0, "the model's layer to run, counted from 0", 0},
    {"as", KEY_AS, "FAMILY", 0, "read the model as one of this model_type, whatever it says", 0},
    {"db", KEY_DB, "FILE", 0, "tuning database", 0},
    {"templates", KEY_TEMPLATES, "DIR", 0, "folder of templates, for what the database lacks", 0},
    {"any-order", KEY_ORDER, NULL, 0, "also kernels whose sums depend on the order of arrival", 0},
    {"statistics", KEY_STATISTICS, NULL, 0,
     "also write counts, mean_probs, losses and, where keys have a bias, next_router_bias", 0},
    {"seed", KEY_SEED, "N", 0,
     "what a router that draws at random draws from (default: none, as in evaluation)", 0},
    {"bias-rate", KEY_BIAS_RATE, "RATE", 0, "step of next_router_bias (default: 0.001)", 0},
    {NULL, 0, NULL, 0, NULL, 0},
};

static error_t parse_option(int key, char *value, struct argp_state *state) {
    options *o = state->input;
    switch (key) {
    case KEY_WEIGHTS: o->weights = value; break;
    case KEY_MOE_LAYER:
        if (moe_integer_parse(value, &o->moe_layer) || o->moe_layer < 0)
            argp_error(state, "--moe-layer %s is no number from 0 on", value);
        break;
    case KEY_AS: o->as = value; break;
    case KEY_DEVICE: o->device = value; break;
    case KEY_LAYER: o->layer = value; break;
    case KEY_INPUT: o->input = value; break;
    case KEY_OUTPUT: o->output = value; break;
    case KEY_DB: o->db = value; break;
    case KEY_TEMPLATES: o->templates = value; break;
    case KEY_ORDER: o->any_order = true; break;
    case KEY_STATISTICS: o->statistics = true; break;
    case KEY_SEED:
        if (moe_integer_parse(value, &o->seed)) argp_error(state, "--seed: %s", moe_error_text());
        o->draws = true;
        break;
    case KEY_BIAS_RATE:
        if (moe_real_parse(value, &o->bias_rate))
            argp_error(state, "--bias-rate: %s", moe_error_text());
        break;
    case ARGP_KEY_ARG: argp_error(state, "'%s' is one argument too many", value); break;
    case ARGP_KEY_END:
        if ((!o->layer && !o->weights) || !o->input || !o->output)
            argp_error(state, "--layer or --weights, --input and --output are needed");
        if (!o->weights != (o->moe_layer < 0))
            argp_error(state, "--weights and --moe-layer need each other");
        if (o->as && !o->weights) argp_error(state, "--as says how to read --weights");
        break;
    default: return ARGP_ERR_UNKNOWN;
    }
    return 0;
}

static const char help_start[] = "Runs a layer on tensors from a safetensors file.\n\v";
static const char help_end[] =
    "\nWith --weights MODEL --moe-layer N the input holds x, and of the router what is no weight. "
    "The weights have the names and the order of the model's family; --layer is then the "
    "config.json beside them unless given.";

static void parse(int argc, char **argv, options *out) {
    static char help[8192];
    moe_text text = moe_text_start(help, sizeof help);
    moe_text_add(&text, "%s", help_start);
    moe_run_help(&text);
    moe_text_add(&text, "%s", help_end);
    const struct argp argp = {option_table, parse_option, "", help, NULL, NULL, NULL};
    argp_parse(&argp, argc, argv, 0, NULL, out);
}

static moe_status run_plan(const options *o, const moe_plan *plan, moe_run_buffers *b,
                           const moe_layer *layer, const moe_run_source *source, int64_t tokens) {
    moe_io io = {.size = sizeof io, .bias_rate = (float)o->bias_rate};
    moe_run_outputs out = {0};
    moe_status status = moe_run_upload(source, layer, tokens, b, &io);
    if (!status) status = moe_run_outputs_make(layer, tokens, o->statistics, b, &io, &out);
    if (!status) status = moe_plan_workspace(plan, tokens, &io.workspace_size);
    if (!status) status = moe_run_buffer(b, io.workspace_size, &io.workspace);
    if (!status) status = moe_plan_run(plan, &io, tokens, NULL);
    if (!status) status = moe_device_sync(b->device, NULL);
    if (!status) status = moe_run_outputs_fetch(layer, tokens, b->device, &io, &out);
    if (!status) status = moe_run_outputs_write(o->output, layer, tokens, &out);
    moe_run_outputs_free(&out);
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

static moe_status run(const options *o, const moe_layer *layer, const moe_run_source *source,
                      int64_t tokens) {
    char note[1024];
    command_tools t;
    moe_plan *plan = NULL;
    moe_run_buffers b = {0};
    const command_goal goal = {.device = o->device, .db = o->db, .templates = o->templates,
                               .any_order = o->any_order};
    const moe_plan_options plan_options = {.size = sizeof plan_options, .any_order = o->any_order};
    moe_status status = command_tools_open(&goal, TOOLS_DB | TOOLS_DEVICE | TOOLS_BUILDER, &t);
    b.device = t.device;
    if (!status)
        status = moe_spot_plan(t.db, b.device, t.gen, t.builder, layer, tokens, &plan_options,
                               &plan, note, sizeof note);
    if (!status && *note) fprintf(stderr, "moetune run: %s\n", note);
    if (!status) status = run_plan(o, plan, &b, layer, source, tokens);
    moe_plan_destroy(plan);
    moe_run_buffers_free(&b);
    command_tools_close(&t);
    return status;
}

/* The layer as given, else by the config.json in the folder of the weights. */
static moe_status choose_layer(const options *o, moe_model *model) {
    char folder[4096];
    struct stat facts;
    if (o->layer) return moe_preset_model(o->layer, o->as, model);
    bool is_folder = !stat(o->weights, &facts) && S_ISDIR(facts.st_mode);
    const char *slash = strrchr(o->weights, '/');
    int length = is_folder ? (int)strlen(o->weights) : slash ? (int)(slash - o->weights) + 1 : 0;
    if ((size_t)snprintf(folder, sizeof folder, "%.*s%s", length, o->weights,
                         length ? "" : ".") >= sizeof folder)
        return moe_fail(MOE_E_NOT_FOUND, "%.64s...: the path is too long", o->weights);
    moe_status status = moe_config_model_as(folder, o->as, model);
    return status == MOE_E_NOT_FOUND
               ? moe_fail_context(status, "--layer is not given, and beside the weights")
               : status;
}

/* The layer becomes what the files make of it: theirs are the dtypes. */
static moe_status open_weights(const options *o, moe_model *model, moe_model_weights *out) {
    const char *type = *model->family ? model->family : NULL;
    MOE_TRY(moe_model_check_layer(model, o->moe_layer));
    MOE_TRY(moe_model_check_quantised(model));
    MOE_TRY(moe_model_weights_open(o->weights, type, &model->layer, o->moe_layer, out));
    if (model->layer.router_dtype != out->layer.router_dtype)
        fprintf(stderr, "moetune run: the router's weight is in %s: router_dtype=%s\n",
                moe_dtype_table[moe_layer_router_dtype(&out->layer)].name,
                moe_router_dtype_names[out->layer.router_dtype]);
    if (out->rounded)
        fprintf(stderr, "moetune run: experts' weights are %s in the file, rounded to w=%s\n",
                out->rounded, moe_dtype_table[out->layer.w].name);
    model->layer = out->layer;
    return MOE_OK;
}

int cmd_run(int argc, char **argv) {
    options o = {.device = "auto", .moe_layer = -1, .bias_rate = 0.001};
    static moe_model model;
    moe_tensor_file *file = NULL;
    moe_model_weights weights = {0};
    int64_t tokens = 0;
    parse(argc, argv, &o);
    moe_status status = choose_layer(&o, &model);
    if (!status) status = moe_tensor_file_open(o.input, &file);
    if (!status) status = count_tokens(file, &tokens);
    if (!status && o.weights) status = open_weights(&o, &model, &weights);
    const uint64_t seed = (uint64_t)o.seed;
    const moe_run_source source = {file, o.weights ? &weights : NULL, o.draws ? &seed : NULL};
    if (!status) status = run(&o, &model.layer, &source, tokens);
    moe_model_weights_close(&weights);
    moe_tensor_file_close(file);
    return status ? command_fail(status) : COMMAND_GOOD;
}
