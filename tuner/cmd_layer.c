/* cmd_layer.c - moetune layer: what a layer is, in numbers. */
#include "command.h"
#include "command_goal.h"
#include "layer_predict.h"
#include "presets.h"
#include "router_words.h"
#include "workload.h"

#include <argp.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <jansson.h>

enum { KEY_LIST = 256, KEY_JSON, KEY_PREDICT, KEY_TOKENS, KEY_TEMPLATES, KEY_ORDER };
enum { MAX_TENSORS = 12, RULE_SIZE = 256 };

typedef struct options {
    char what[1024];
    bool list, json, predict;
    command_goal goal; /* of a prediction: device, tokens, templates, any_order */
} options;

static const struct argp_option option_table[] = {
    {"list", KEY_LIST, NULL, 0, "list the presets", 0},
    {"json", KEY_JSON, NULL, 0, "write JSON", 0},
    {"predict", KEY_PREDICT, NULL, 0,
     "say what the templates' default configs should take, by their own cost functions", 0},
    {"device", 'd', "D", 0, "where: cuda:N, sim:CHIP or auto", 0},
    {"tokens", KEY_TOKENS, "LIST", 0, "for these token counts; default 1,16,64", 0},
    {"templates", KEY_TEMPLATES, "DIR", 0, "templates of your own", 0},
    {"any-order", KEY_ORDER, NULL, 0, "also with kernels whose sums depend on the order of arrival",
     0},
    {NULL, 0, NULL, 0, NULL, 0},
};

/* Text in several arguments is as good as quoted text. */
static error_t parse_option(int key, char *value, struct argp_state *state) {
    options *o = state->input;
    size_t used = strlen(o->what);
    switch (key) {
    case KEY_LIST: o->list = true; break;
    case KEY_JSON: o->json = true; break;
    case KEY_PREDICT: o->predict = true; break;
    case 'd': o->goal.device = value; break;
    case KEY_TOKENS: o->goal.tokens = value; break;
    case KEY_TEMPLATES: o->goal.templates = value; break;
    case KEY_ORDER: o->goal.any_order = true; break;
    case ARGP_KEY_ARG:
        if (strlen(value) + used + 2 > sizeof o->what) argp_error(state, "the layer is too long");
        snprintf(o->what + used, sizeof o->what - used, "%s%s", used ? " " : "", value);
        break;
    case ARGP_KEY_END:
        if (!used && !o->list) argp_error(state, "a layer is needed; --list names the presets");
        break;
    default: return ARGP_ERR_UNKNOWN;
    }
    return 0;
}

static const struct argp argp = {
    option_table,
    parse_option,
    "LAYER",
    "Says what a layer is: its tensors, parameters, bytes, FLOPs a token and router rule.\n\n"
    "LAYER is a preset, the path of a Hugging Face config.json, or text such as\n"
    "  d=1024 f=512 e=32 k=8 act=swiglu x=bf16 w=bf16 router=softmax>topk>renorm capacity=1.25",
    NULL,
    NULL,
    NULL,
};

/* One tensor as `moetune run` names it. A shape of 0 ends early. */
typedef struct tensor_row {
    const char *name, *dtype;
    const char *t; /* "T" where the first dimension is the tokens, else NULL */
    int64_t shape[3];
    bool there;
} tensor_row;

static int list_tensors(const moe_layer *l, tensor_row *rows) {
    const char *x = moe_dtype_names[l->x], *w = moe_dtype_names[l->w];
    bool gated = moe_layer_gated(l);
    int64_t width = moe_layer_up_rows(l);
    const tensor_row all[] = {
        {"x", x, "T", {l->d}, true},
        {"router.weight", w, NULL, {l->e, l->d}, true},
        {"router.bias", "f32", NULL, {l->e}, moe_layer_router_bias(l)},
        {"experts.gate_up", w, NULL, {l->e, width, l->d}, gated},
        {"experts.up", w, NULL, {l->e, width, l->d}, !gated},
        {gated ? "experts.gate_up.bias" : "experts.up.bias",
         w,
         NULL,
         {l->e, width},
         l->bias & MOE_BIAS_UP},
        {"experts.down", w, NULL, {l->e, l->d, l->f}, true},
        {"experts.down.bias", w, NULL, {l->e, l->d}, l->bias & MOE_BIAS_DOWN},
        {"y", x, "T", {l->d}, true},
        {"ids", "i32", "T", {l->k}, true},
        {"weights", "f32", "T", {l->k}, true},
    };
    int count = 0;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (all[i].there) rows[count++] = all[i];
    return count;
}

/* What a layer holds and does. Biases count as parameters, not as FLOPs. */
typedef struct figures {
    int64_t router, expert;      /* parameters of the router, and of one expert */
    int64_t all, active;         /* parameters in all, and of the experts a token uses */
    int64_t bytes;               /* of all parameters */
    int64_t flops, router_flops; /* a token: experts, and router apart */
} figures;

static figures count_figures(const moe_layer *l) {
    const moe_layer_sizes n = moe_layer_elements(l, 1);
    int64_t experts = n.up + n.up_bias + n.down + n.down_bias;
    figures f = {.router = n.router_weight + n.router_bias, .expert = experts / l->e};
    f.all = f.router + experts;
    f.active = f.router + l->k * f.expert;
    f.bytes = (n.router_weight + experts) * (int64_t)moe_dtype_size(l->w) +
              n.router_bias * (int64_t)sizeof(float);
    f.flops = 2 * l->k * (n.up + n.down) / l->e;
    f.router_flops = 2 * n.router_weight;
    return f;
}

static void print_shape(const tensor_row *row, moe_text *out) {
    moe_text_add(out, "[%s", row->t ? row->t : "");
    for (int i = 0; i < 3 && row->shape[i]; i++)
        moe_text_add(out, "%s%" PRId64, i || row->t ? "," : "", row->shape[i]);
    moe_text_add(out, "]");
}

static void print_plain(const moe_layer *layer, const char *text) {
    tensor_row rows[MAX_TENSORS];
    char shape[80], rule[RULE_SIZE];
    moe_text words = moe_text_start(rule, sizeof rule);
    moe_router_words(&layer->router, &words);
    const figures f = count_figures(layer);
    printf("%s\n\n", text);
    for (int i = 0, count = list_tensors(layer, rows); i < count; i++) {
        moe_text out = moe_text_start(shape, sizeof shape);
        print_shape(&rows[i], &out);
        printf("    %-22s %-24s %s\n", rows[i].name, shape, rows[i].dtype);
    }
    printf("\nparameters  %.6g M in all, %.6g M active for a token, %.6g M an expert\n",
           (double)f.all / 1e6, (double)f.active / 1e6, (double)f.expert / 1e6);
    printf("bytes       %.6g MB of weights\n", (double)f.bytes / 1e6);
    printf("FLOPs       %.6g M a token in the experts, %.6g M in the router\n",
           (double)f.flops / 1e6, (double)f.router_flops / 1e6);
    printf("router      %s\n", rule);
    if (layer->capacity > 0)
        printf("capacity    an expert keeps ceil(T*%" PRId64 "*%g/%" PRId64
               ") rows, first choices first; the rest are dropped\n",
               layer->k, layer->capacity, layer->e);
    else
        printf("capacity    none: no row is ever dropped\n");
}

static json_t *tensors_json(const moe_layer *layer) {
    tensor_row rows[MAX_TENSORS];
    json_t *list = json_array();
    for (int i = 0, count = list_tensors(layer, rows); i < count; i++) {
        json_t *shape = json_array();
        if (rows[i].t) json_array_append_new(shape, json_string(rows[i].t));
        for (int n = 0; n < 3 && rows[i].shape[n]; n++)
            json_array_append_new(shape, json_integer(rows[i].shape[n]));
        json_array_append_new(list, json_pack("{s:s,s:s,s:o}", "name", rows[i].name, "dtype",
                                              rows[i].dtype, "shape", shape));
    }
    return list;
}

static moe_status print_json(const moe_layer *layer, const char *text) {
    char rule[RULE_SIZE];
    moe_text words = moe_text_start(rule, sizeof rule);
    moe_router_words(&layer->router, &words);
    const figures f = count_figures(layer);
    json_t *root = json_pack(
        "{s:s, s:o, s:{s:I,s:I,s:I,s:I}, s:I, s:{s:I,s:I}, s:s}", "layer", text, "tensors",
        tensors_json(layer), "parameters", "all", (json_int_t)f.all, "active", (json_int_t)f.active,
        "expert", (json_int_t)f.expert, "router", (json_int_t)f.router, "bytes",
        (json_int_t)f.bytes, "flops_per_token", "experts", (json_int_t)f.flops, "router",
        (json_int_t)f.router_flops, "router_rule", rule);
    if (!root) return moe_fail(MOE_E_MEMORY, "no memory to write JSON");
    int failed = json_dumpf(root, stdout, JSON_INDENT(2));
    json_decref(root);
    if (!failed) printf("\n");
    return failed ? moe_fail(MOE_E_IO, "cannot write to standard output") : MOE_OK;
}

static moe_status list_presets(bool json) {
    json_t *root = json_object();
    for (const moe_preset_entry *entry = moe_preset_list; entry->name; entry++) {
        json_object_set_new(root, entry->name, json_string(entry->layer));
        if (json) continue;
        printf("%-22s %s\n", entry->name, entry->layer);
        if (*entry->note) printf("%-22s (%s)\n", "", entry->note);
    }
    int failed = json ? json_dumpf(root, stdout, JSON_INDENT(2)) : 0;
    json_decref(root);
    if (json && !failed) printf("\n");
    return failed ? moe_fail(MOE_E_IO, "cannot write to standard output") : MOE_OK;
}

static moe_status predict(const options *o) {
    moe_gen *gen = NULL;
    moe_goal goal;
    moe_facts facts;
    MOE_TRY(command_goal_read(&o->goal, "1,16,64", &goal));
    MOE_TRY(command_facts(o->goal.device, &facts));
    MOE_TRY(command_goal_templates(&o->goal, &gen));
    moe_status status = moe_layer_predict_print(gen, &facts, goal.layer, goal.tokens,
                                                goal.token_count, o->json, stdout);
    moe_gen_close(gen);
    return status;
}

static moe_status show(const options *o) {
    moe_layer layer;
    char text[MOE_LAYER_TEXT_SIZE];
    MOE_TRY(moe_preset(o->what, &layer));
    MOE_TRY(moe_layer_print(&layer, text, sizeof text));
    if (o->json) return print_json(&layer, text);
    print_plain(&layer, text);
    return MOE_OK;
}

int cmd_layer(int argc, char **argv) {
    options o = {.goal = {.device = "auto"}};
    if (argp_parse(&argp, argc, argv, 0, NULL, &o)) return COMMAND_MISUSE;
    o.goal.layer = o.what;
    moe_status status = o.list ? list_presets(o.json) : o.predict ? predict(&o) : show(&o);
    if (!status && fflush(stdout)) status = moe_fail(MOE_E_IO, "cannot write to standard output");
    return status ? command_fail(status) : COMMAND_GOOD;
}
