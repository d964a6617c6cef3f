/* cmd_check.c - moetune check: tuned kernels and plans against the reference. */
#include "command/command_tools.h"
#include "regress/check_layer.h"

enum { KEY_JUNIT = 256, KEY_MATRIX, KEY_FULL, KEY_JSON, KEY_QUIET };

typedef struct options {
    command_goal goal;
    const char *junit;
    bool matrix, full, json, quiet;
} options;

static const struct argp_option option_table[] = {
    {"junit", KEY_JUNIT, "FILE", 0, "write the results as JUnit XML as well", 0},
    {"matrix", KEY_MATRIX, NULL, 0,
     "check default configs over every activation, dtype, router rule, capacity and its order, "
     "bias, shared and local experts, layout, routing, E, k and T: a set that holds every pair of "
     "them", 0},
    {"full", KEY_FULL, NULL, 0,
     "with --matrix: every activation x dtype x router, the rest in turn (minutes)", 0},
    {"json", KEY_JSON, NULL, 0, "write JSON", 0},
    {"quiet", KEY_QUIET, NULL, 0, "show no progress", 0},
    {NULL, 0, NULL, 0, NULL, 0},
};

static error_t parse_option(int key, char *value, struct argp_state *state) {
    options *o = state->input;
    switch (key) {
    case ARGP_KEY_INIT: state->child_inputs[0] = &o->goal; break;
    case KEY_JUNIT: o->junit = value; break;
    case KEY_MATRIX: o->matrix = true; break;
    case KEY_FULL: o->full = o->matrix = true; break;
    case KEY_JSON: o->json = true; break;
    case KEY_QUIET: o->quiet = true; break;
    default: return ARGP_ERR_UNKNOWN;
    }
    return 0;
}

static const struct argp argp = {
    option_table, parse_option, NULL,
    "Runs every tuned kernel of a layer, and the whole layer, and compares them with a reference "
    "in double precision.\n\n"
    "  moetune check --device cuda:0 --layer qwen3-30b-a3b --junit check.xml\n"
    "  moetune check --device sim:a100 --matrix\n\n"
    "What the database has no plan of is checked with the templates' default configs, in every "
    "form of the layer. The exit status is 1 if a check failed.",
    command_goal_children, NULL, NULL,
};

typedef struct tools {
    command_tools open;
    moe_checker checker;
    moe_verdicts verdicts;
} tools;

static moe_status open_tools(const options *o, tools *t) {
    const unsigned which = TOOLS_POOL | TOOLS_DEVICE | TOOLS_BUILDER | (o->matrix ? 0 : TOOLS_DB);
    MOE_TRY(command_tools_open(&o->goal, which, &t->open));
    t->checker = (moe_checker){.device = t->open.device, .gen = t->open.gen,
                               .builder = t->open.builder, .db = t->open.db, .seed = o->goal.seed,
                               .progress = moe_progress_start(o->quiet),
                               .verdicts = &t->verdicts};
    return MOE_OK;
}

static moe_status check(const options *o, tools *t) {
    moe_goal goal;
    if (!o->matrix) MOE_TRY(command_goal_read(&o->goal, "0,1,7,64,129", &goal));
    MOE_TRY(open_tools(o, t));
    MOE_TRY(o->matrix ? moe_check_matrix(&t->checker, o->full)
                      : moe_check_goal(&t->checker, &goal));
    return o->junit ? moe_verdicts_junit(&t->verdicts, t->open.device->name, o->junit) : MOE_OK;
}

int cmd_check(int argc, char **argv) {
    options o = {0};
    tools t = {0};
    argp_parse(&argp, argc, argv, 0, NULL, &o);
    moe_status status = check(&o, &t);
    int result = status ? command_fail(status) : t.verdicts.failed ? COMMAND_FAILED : COMMAND_GOOD;
    if (t.verdicts.count && o.json)
        moe_verdicts_json(&t.verdicts, t.open.device->name, stdout);
    else if (t.verdicts.count)
        moe_verdicts_table(&t.verdicts, stdout);
    moe_verdicts_free(&t.verdicts);
    command_tools_close(&t.open);
    return result;
}
