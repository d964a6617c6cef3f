/* cmd_merge.c - moetune merge: experts of a layer averaged into one. */
#include "command/command.h"
#include "command/merge.h"

#include <argp.h>
#include <stddef.h>

typedef struct options {
    const char *weights, *mix, *output;
} options;

enum { KEY_WEIGHTS = 256, KEY_MIX };

static const struct argp_option option_table[] = {
    {"weights", KEY_WEIGHTS, "FILE", 0, "safetensors file with experts.* [n,...]", 0},
    {"mix", KEY_MIX, "LIST", 0, "a weight for each expert, with commas between", 0},
    {"output", 'o', "FILE", 0, "safetensors file to write experts.* [1,...] to", 0},
    {NULL, 0, NULL, 0, NULL, 0},
};

static error_t parse_option(int key, char *value, struct argp_state *state) {
    options *o = state->input;
    switch (key) {
    case KEY_WEIGHTS: o->weights = value; break;
    case KEY_MIX: o->mix = value; break;
    case 'o': o->output = value; break;
    case ARGP_KEY_ARG: argp_error(state, "'%s' is one argument too many", value); break;
    case ARGP_KEY_END:
        if (!o->weights || !o->mix || !o->output)
            argp_error(state, "--weights, --mix and --output are needed");
        break;
    default: return ARGP_ERR_UNKNOWN;
    }
    return 0;
}

static const struct argp argp = {
    option_table, parse_option, "",
    "Averages the experts of a layer into one, as branch-train-merge does with experts that were "
    "trained apart.\n\n"
    "Every tensor experts.* is averaged over its first dimension by the mix, whose weights are "
    "divided by their sum; all others are left out. The result is a layer of one expert: d=... "
    "f=... e=1 k=1.",
    NULL, NULL, NULL,
};

int cmd_merge(int argc, char **argv) {
    static double mix[MOE_MAX_MIX];
    options o = {0};
    int64_t n;
    argp_parse(&argp, argc, argv, 0, NULL, &o);
    moe_status status = moe_mix_parse(o.mix, mix, &n);
    if (status) status = moe_fail_context(status, "--mix");
    if (!status) status = moe_merge_file(o.weights, mix, n, o.output);
    return status ? command_fail(status) : COMMAND_GOOD;
}
