/* cmd_tune.c - moetune tune: the fastest kernels of a layer on a device, into the database. */
#include "command/command_tools.h"
#include "compile/nvrtc.h"
#include "report/tune_report.h"

#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

enum { KEY_BUDGET = 256, KEY_OP, KEY_TEMPLATE, KEY_STRATEGY, KEY_LIMIT, KEY_DRY_RUN, KEY_JSON,
      KEY_QUIET };
enum { DEFAULT_LIMIT = 400 };
static const double FLOP_RATE = 2e9; /* of a simulated device, until it is learned */

typedef struct options {
    command_goal goal;
    const char *strategy, *template;
    unsigned ops;  /* bits by kind */
    double budget; /* seconds */
    int64_t limit;
    bool dry_run, json, quiet;
} options;

static const struct argp_option option_table[] = {
    {"budget", KEY_BUDGET, "MM:SS", 0, "time for all of it (default 5:00)", 0},
    {"op", KEY_OP, "LIST", 0, "only these ops, for example gemm_up,gemm_down; no whole layers", 0},
    {"template", KEY_TEMPLATE, "NAME", 0, "only candidates of this template", 0},
    {"strategy", KEY_STRATEGY, "S", 0,
     "exhaustive, random, halving or survey; default: by the space", 0},
    {"limit", KEY_LIMIT, "N", 0, "most candidates of one op (default 400)", 0},
    {"dry-run", KEY_DRY_RUN, NULL, 0, "say what would be tried, and how long that should take", 0},
    {"json", KEY_JSON, NULL, 0, "write the results as JSON", 0},
    {"quiet", KEY_QUIET, NULL, 0, "show no progress", 0},
    {NULL, 0, NULL, 0, NULL, 0},
};

/* "MM:SS", or minutes alone. */
static bool parse_budget(const char *text, double *seconds) {
    int minutes, rest = 0;
    char end;
    int read = sscanf(text, "%d:%d%c", &minutes, &rest, &end);
    if (read != 2 && sscanf(text, "%d%c", &minutes, &end) != 1) return false;
    *seconds = 60.0 * minutes + rest;
    return minutes >= 0 && rest >= 0 && rest < 60 && *seconds > 0;
}

static void parse_ops(const char *list, unsigned *ops, const struct argp_state *state) {
    char item[32];
    moe_op_kind kind;
    for (const char *at = list; *at; at += *at == ',') {
        size_t length = strcspn(at, ",");
        snprintf(item, sizeof item, "%.*s", (int)length, at);
        if (moe_op_kind_parse(item, &kind)) argp_error(state, "--op: %s", moe_error_text());
        *ops |= 1u << kind;
        at += length;
    }
}

static error_t parse_option(int key, char *value, struct argp_state *state) {
    options *o = state->input;
    switch (key) {
    case ARGP_KEY_INIT: state->child_inputs[0] = &o->goal; break;
    case KEY_BUDGET:
        if (!parse_budget(value, &o->budget))
            argp_error(state, "--budget '%s' should read like 5:00 (minutes:seconds)", value);
        break;
    case KEY_OP: parse_ops(value, &o->ops, state); break;
    case KEY_TEMPLATE: o->template = value; break;
    case KEY_STRATEGY:
        if (!moe_strategy_find(value))
            argp_error(state, "--strategy '%s' is none of exhaustive, random, halving, survey",
                       value);
        o->strategy = value;
        break;
    case KEY_LIMIT:
        if (moe_integer_parse(value, &o->limit) || o->limit < 1)
            argp_error(state, "--limit '%s' should be a number above 0", value);
        break;
    case KEY_DRY_RUN: o->dry_run = true; break;
    case KEY_JSON: o->json = true; break;
    case KEY_QUIET: o->quiet = true; break;
    default: return ARGP_ERR_UNKNOWN;
    }
    return 0;
}

static const struct argp argp = {
    option_table, parse_option, NULL,
    "Finds the fastest kernels of a layer and stores them, with their code, in a database.\n\n"
    "  moetune tune --device sim:a100 --layer granite-3.0-1b-a400m --tokens 1,16,64\n\n"
    "Every candidate is verified before it is timed, and stored as it lands: a tune that was "
    "interrupted goes on where it was.",
    command_goal_children, NULL, NULL,
};

static volatile sig_atomic_t stop;

static void ask_to_stop(int signal) {
    (void)signal;
    stop = 1;
}

/* The first interrupt ends the work in order, the second ends the process. */
static void catch_interrupts(void) {
    struct sigaction action = {.sa_handler = ask_to_stop, .sa_flags = (int)SA_RESETHAND};
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    signal(SIGXFSZ, SIG_IGN); /* a write beyond a limit is an error like a full disk */
}

/* ---------------------------------------------------------------------------------- the tools */

typedef struct tools {
    moe_tuner tuner;
    command_tools open;
} tools;

static moe_tuner start_tuner(const options *o, const command_tools *t) {
    return (moe_tuner){.device = t->device, .facts = moe_device_facts(t->device), .gen = t->gen,
                       .store = t->storage, .pool = t->pool, .builder = t->builder,
                       .strategy = o->strategy ? moe_strategy_find(o->strategy) : NULL,
                       .limit = o->limit, .workers = moe_compile_pool_size(), .seed = o->goal.seed,
                       .stop = &stop, .flop_rate = FLOP_RATE};
}

static moe_status open_tools(const options *o, tools *t) {
    const moe_nvrtc *nvrtc;
    const unsigned which = TOOLS_POOL | TOOLS_STORAGE | TOOLS_DEVICE | TOOLS_BUILDER;
    MOE_TRY(moe_nvrtc_open(&nvrtc));
    MOE_TRY(command_tools_open(&o->goal, which, &t->open));
    moe_tuner *tuner = &t->tuner;
    *tuner = start_tuner(o, &t->open);
    MOE_TRY(moe_storage_device(tuner->store, tuner->facts, &tuner->device_row));
    if (o->template) MOE_TRY(moe_gen_need(tuner->gen, o->template, &tuner->only));
    moe_tuner_provenance(tuner->device, nvrtc->version, &tuner->provenance);
    moe_meter_init(&tuner->meter, tuner->device);
    return MOE_OK;
}

/* ------------------------------------------------------------------------------------ the work */

typedef struct work {
    const options *o;
    moe_goal goal;
    double end; /* moe_seconds */
} work;

static void show_start(const moe_tuner *tuner, const work *w) {
    if (w->o->quiet) return;
    fprintf(stderr, "tuning on %s (%s), timer %s, NVRTC %s, budget %d:%02d\n", tuner->device->name,
            tuner->facts->name, moe_timer_names[tuner->meter.timer], tuner->provenance.toolkit,
            (int)w->goal.budget / 60, (int)w->goal.budget % 60);
    if (*tuner->meter.note) fprintf(stderr, "note: %s\n", tuner->meter.note);
}

static moe_status tune(const work *w, tools *t, moe_heart *heart, moe_session *session) {
    MOE_TRY(open_tools(w->o, t));
    moe_goal goal = w->goal;
    goal.left = fmax(1, w->end - moe_seconds());
    t->tuner.heart = heart;
    t->tuner.progress = moe_progress_start(w->o->quiet);
    if (heart && t->tuner.facts->simulated) heart->patience = 300 + 3 * (int64_t)goal.left;
    if (!heart || !heart->restarts) show_start(&t->tuner, w);
    return moe_session_run(&t->tuner, &goal, session);
}

/* Needs neither a compiler nor a database. */
static int dry_run(const work *w) {
    command_tools t;
    moe_tuner tuner = {0};
    moe_session session = {0};
    moe_op_plan *plan = NULL;
    moe_status status = command_tools_open(&w->o->goal, TOOLS_DEVICE, &t);
    if (!status) {
        tuner = start_tuner(w->o, &t);
        status = moe_session_plan(&tuner, &w->goal, &session, &plan);
    }
    if (!status) status = moe_tune_plan_report(&tuner, &w->goal, &session, plan);
    free(plan);
    moe_session_free(&session);
    command_tools_close(&t);
    return status ? command_fail(status) : COMMAND_GOOD;
}

static const int exit_of[] = {
    [MOE_TUNE_GOOD] = COMMAND_GOOD,
    [MOE_TUNE_WRONG] = COMMAND_FAILED,
    [MOE_TUNE_MISSING] = COMMAND_BROKEN,
};

static int run(void *context, moe_heart *heart) {
    const work *w = context;
    tools t = {0};
    moe_session session = {0};
    catch_interrupts();
    moe_status status = tune(w, &t, heart, &session);
    int result;
    if (status)
        result = command_fail(status);
    else if (t.tuner.lost)
        result = MOE_START_AGAIN;
    else
        result = exit_of[moe_tune_report(&t.tuner, &session, w->o->goal.device, w->o->json)];
    moe_session_free(&session);
    command_tools_close(&t.open);
    return result;
}

/* A simulated GPU takes no process with it. */
static bool needs_supervisor(const char *device) {
    return strncmp(device, "sim:", 4) != 0 && strncmp(device, "null", 4) != 0;
}

int cmd_tune(int argc, char **argv) {
    options o = {.budget = 300, .limit = DEFAULT_LIMIT};
    work w = {.o = &o};
    int result = COMMAND_BROKEN;
    argp_parse(&argp, argc, argv, 0, NULL, &o);
    moe_status status = command_goal_read(&o.goal, "1,16,64", &w.goal);
    for (int i = 0; i < w.goal.token_count && !status; i++)
        if (!w.goal.tokens[i])
            status = moe_fail(MOE_E_INVALID, "--tokens: 0 tokens take no time; leave the 0 out");
    if (status) return command_fail(status);
    w.goal.ops = o.ops;
    w.goal.budget = o.budget;
    w.end = moe_seconds() + o.budget;
    if (o.dry_run) return dry_run(&w);
    if (!needs_supervisor(o.goal.device)) return run(&w, NULL);
    status = moe_supervise(run, &w, &result);
    return status ? command_fail(status) : result;
}
