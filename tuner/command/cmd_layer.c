/* cmd_layer.c - moetune layer: what a layer is, in numbers. */
#include "command/command.h"
#include "command/command_goal.h"
#include "models/presets.h"
#include "report/layer_predict.h"
#include "report/layer_report.h"

#include <argp.h>
#include <stdio.h>
#include <string.h>

#include <jansson.h>

enum {
    KEY_LIST = 256, KEY_JSON, KEY_PREDICT, KEY_TOKENS, KEY_ROUTING, KEY_TEMPLATES, KEY_ORDER, KEY_AS
};

typedef struct options {
    char what[1024];
    const char *as; /* family of a config.json; NULL: as it says */
    bool list, json, predict;
    command_goal goal; /* device, tokens and, of a prediction, routing, templates and any_order */
} options;

static const struct argp_option option_table[] = {
    {"list", KEY_LIST, NULL, 0, "list the presets", 0},
    {"json", KEY_JSON, NULL, 0, "write JSON", 0},
    {"predict", KEY_PREDICT, NULL, 0,
     "say what the templates' default configs should take, by their own cost functions", 0},
    {"device", 'd', "D", 0, "where: cuda:N, sim:CHIP or auto", 0},
    {"tokens", KEY_TOKENS, "LIST", 0,
     "for these token counts; default 1,16,256,4096, of a prediction 1,16,64", 0},
    {"routing", KEY_ROUTING, "LIST", 0,
     "for tokens spread over experts like this: uniform, zipf, one, empty", 0},
    {"as", KEY_AS, "FAMILY", 0, "read a config.json as one of this model_type", 0},
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
    case KEY_ROUTING: o->goal.routing = value; break;
    case KEY_AS: o->as = value; break;
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
    "Says what a layer is: its tensors, parameters, bytes, FLOPs a token and router rule, the "
    "least time for it on a device, and of a config.json also what the whole model has.\n\n"
    "LAYER is a preset, the path of a Hugging Face config.json, or text such as\n"
    "  d=1024 f=512 e=32 k=8 act=swiglu x=bf16 w=bf16 router=softmax>topk>renorm capacity=1.25",
    NULL,
    NULL,
    NULL,
};

static moe_status list_presets(bool json) {
    json_t *root = json_object();
    for (const moe_preset_entry *entry = moe_preset_list; entry->name; entry++) {
        json_object_set_new(root, entry->name, json_string(entry->layer));
        if (json) continue;
        printf("%-25s %s\n", entry->name, entry->layer);
        if (*entry->note) printf("%-25s (%s)\n", "", entry->note);
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
    moe_status status = moe_layer_predict_print(gen, &facts, &goal, o->json, stdout);
    moe_gen_close(gen);
    return status;
}

/* Of a config.json, the layer's text does not say all. */
static moe_status show(const options *o) {
    static moe_model model;
    char text[MOE_LAYER_TEXT_SIZE];
    moe_goal goal;
    moe_facts facts;
    command_goal given = o->goal;
    MOE_TRY(moe_preset_model(o->what, o->as, &model));
    MOE_TRY(moe_layer_print(&model.layer, text, sizeof text));
    given.layer = text;
    MOE_TRY(command_goal_read(&given, "1,16,256,4096", &goal));
    MOE_TRY(command_facts(o->goal.device, &facts));
    const moe_layer_report report = {&model, &facts, goal.tokens, goal.token_count};
    return moe_layer_report_print(&report, o->json, stdout);
}

int cmd_layer(int argc, char **argv) {
    options o = {.goal = {.device = "auto"}};
    if (argp_parse(&argp, argc, argv, 0, NULL, &o)) return COMMAND_MISUSE;
    o.goal.layer = o.what;
    moe_status status = o.list ? list_presets(o.json) : o.predict ? predict(&o) : show(&o);
    if (!status && fflush(stdout)) status = moe_fail(MOE_E_IO, "cannot write to standard output");
    return status ? command_fail(status) : COMMAND_GOOD;
}
