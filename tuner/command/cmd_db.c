/* cmd_db.c - moetune db: tuning databases as files. */
#include "command/command_tools.h"
#include "db/db_build.h"
#include "db/db_diff.h"
#include "db/db_lint.h"
#include "db/db_merge.h"
#include "db/db_show.h"
#include "report/db_explain.h"

#include <stdio.h>
#include <string.h>

enum { KEY_JSON = 256, KEY_QUIET };
enum { MAX_ARGS = 64 };

static const char default_folder[] = "tuning_db/records";

typedef struct options {
    const char *arg[MAX_ARGS];
    int args, most; /* given; that the action takes */
    const char *out;
    command_goal goal; /* templates and db of all actions; the rest is of explain */
    bool json, quiet;
} options;

static const struct argp_option option_table[] = {
    {"output", 'o', "PATH", 0, "build, merge: the database to write; export: the folder", 0},
    {"json", KEY_JSON, NULL, 0, "show, diff, explain: write JSON", 0},
    {"quiet", KEY_QUIET, NULL, 0, "show no progress", 0},
    {NULL, 0, NULL, 0, NULL, 0},
};

static error_t parse_option(int key, char *value, struct argp_state *state) {
    options *o = state->input;
    switch (key) {
    case ARGP_KEY_INIT: state->child_inputs[0] = &o->goal; break;
    case 'o': o->out = value; break;
    case KEY_JSON: o->json = true; break;
    case KEY_QUIET: o->quiet = true; break;
    case ARGP_KEY_ARG:
        if (o->args == o->most) argp_error(state, "'%s' is one argument too many", value);
        o->arg[o->args++] = value;
        break;
    default: return ARGP_ERR_UNKNOWN;
    }
    return 0;
}

/* ----------------------------------------------------------------------------------- actions */

static int misuse(const char *text) {
    fprintf(stderr, "moetune db %s\n", text);
    return COMMAND_MISUSE;
}

static moe_status build(const options *o, moe_db_built *built) {
    command_tools t;
    moe_status status = command_tools_open(&o->goal, TOOLS_POOL, &t);
    if (!status)
        status = moe_db_build(o->arg[0] ? o->arg[0] : default_folder, o->out, t.gen, t.pool, built);
    command_tools_close(&t);
    return status;
}

/* Rows without code are kept, but a database that lacks some of its winners is not good. */
static int run_build(const options *o) {
    moe_progress progress = moe_progress_start(o->quiet);
    moe_db_built built = {.progress = &progress};
    if (!o->out) return misuse("build [DIR] -o FILE: -o is needed");
    moe_status status = build(o, &built);
    if (status) return command_fail(status);
    printf("%s: %lld records, %lld layers, %lld kernels with code, of %lld devices\n", o->out,
           (long long)built.count.records, (long long)built.count.choices,
           (long long)built.images, (long long)built.count.devices);
    if (built.stale)
        fprintf(stderr, "moetune: %lld rows that should have code have none; they are kept as "
                "evidence, and nothing will run them\n", (long long)built.stale);
    if (built.count.orphans)
        fprintf(stderr, "moetune: %lld layers were left out: %s\n", (long long)built.count.orphans,
                built.count.note);
    return built.stale || built.count.orphans ? COMMAND_FAILED : COMMAND_GOOD;
}

/* The folder that is reviewed as measurements takes no model's times unless it is named. */
static int run_export(const options *o) {
    moe_storage *store;
    moe_records_count count;
    const char *file = o->goal.db ? o->goal.db : o->arg[0];
    const char *folder = o->goal.db ? o->arg[0] : o->arg[1];
    if (!file || (o->goal.db && o->arg[1]) || (o->out && folder))
        return misuse("export FILE [DIR | -o DIR]: one database and one folder at most");
    if (!folder) folder = o->out;
    moe_status status = moe_storage_open_existing(file, &store);
    if (status) return command_fail(status);
    status = moe_records_export(store, folder ? folder : default_folder, folder != NULL, &count);
    moe_storage_close(store);
    if (status) return command_fail(status);
    if (count.simulated)
        fprintf(stderr, "moetune: %lld simulated devices were left out, since their times are a "
                "model's; name a folder by -o to have them\n", (long long)count.simulated);
    printf("%s: %lld records and %lld layers of %lld devices in %lld files\n",
           folder ? folder : default_folder,
           (long long)count.records, (long long)count.choices, (long long)count.devices,
           (long long)count.files);
    return COMMAND_GOOD;
}

static int run_show(const options *o) {
    moe_storage *store;
    if (o->arg[0] && o->goal.db) return misuse("show [FILE]: one database at a time");
    moe_status status = moe_storage_open_existing(o->goal.db ? o->goal.db : o->arg[0], &store);
    if (!status) status = moe_db_show(store, o->json, stdout);
    else store = NULL;
    moe_storage_close(store);
    return status ? command_fail(status) : COMMAND_GOOD;
}

/* ------------------------------------------------------------------------ several databases */

static int run_merge(const options *o) {
    moe_db_merged merged;
    if (!o->out || !o->args)
        return misuse("merge -o OUT A B ...: -o and at least one database are needed");
    moe_status status = moe_db_merge(o->arg, o->args, o->out, &merged);
    if (status) return command_fail(status);
    printf("%s: %lld records and %lld layers of %lld devices; overridden by better evidence: %lld "
           "records, %lld layers; there more than once: %lld; older, but kept for a layer: %lld\n",
           o->out, (long long)merged.records, (long long)merged.layers, (long long)merged.devices,
           (long long)merged.overridden, (long long)merged.overridden_layers,
           (long long)merged.alike, (long long)merged.kept);
    return COMMAND_GOOD;
}

static moe_status compare(const options *o, moe_db_diff *diff) {
    moe_storage *store[2] = {NULL, NULL};
    moe_status status = moe_storage_open_existing(o->arg[0], &store[0]);
    if (!status) status = moe_storage_open_existing(o->arg[1], &store[1]);
    if (!status) status = moe_db_compare(store[0], store[1], diff);
    moe_storage_close(store[1]);
    moe_storage_close(store[0]);
    return status;
}

static int run_diff(const options *o) {
    moe_db_diff diff = {0};
    if (o->args != 2) return misuse("diff A B: two databases are needed");
    moe_status status = compare(o, &diff);
    int result = status ? command_fail(status) : moe_db_diff_good(&diff) ? COMMAND_GOOD
                                                                        : COMMAND_FAILED;
    if (!status) (o->json ? moe_db_diff_json : moe_db_diff_table)(&diff, stdout);
    moe_db_diff_free(&diff);
    return result;
}

static moe_status lint_all(const options *o, moe_lint *lint) {
    moe_gen *gen = NULL;
    moe_status status = command_templates(o->goal.templates, &gen);
    lint->gen = gen;
    for (int i = 0; i < o->args && !status; i++) status = moe_db_lint(lint, o->arg[i]);
    moe_gen_close(gen);
    return status;
}

/* Findings are what goes to stdout; what stopped the search, or the sums, to stderr. */
static int run_lint(const options *o) {
    moe_lint lint = {.to = stdout};
    if (!o->args) return misuse("lint PATH ...: folders or files of records, or databases");
    moe_status status = lint_all(o, &lint);
    if (status) return command_fail(status);
    fprintf(stderr, "moetune: %lld findings and %lld warnings in %lld rows of %lld files\n",
            (long long)lint.findings, (long long)lint.warnings, (long long)lint.rows,
            (long long)lint.files);
    return lint.findings ? COMMAND_FAILED : COMMAND_GOOD;
}

static int run_explain(const options *o) {
    moe_goal goal;
    moe_facts facts;
    moe_status status = command_goal_read(&o->goal, "1,16,256,4096", &goal);
    if (!status) status = command_facts(o->goal.device, &facts);
    const moe_explain asked = {.path = o->goal.db, .device = o->goal.device, .facts = &facts,
                               .goal = &goal, .any_order = o->goal.any_order, .json = o->json};
    if (!status) status = moe_db_explain(&asked, stdout);
    return status ? command_fail(status) : COMMAND_GOOD;
}

/* ------------------------------------------------------------------------------------ command */

static const struct {
    const char *name;
    int most; /* arguments */
    int (*run)(const options *o);
} actions[] = {
    {"build", 1, run_build}, {"export", 2, run_export}, {"merge", MAX_ARGS, run_merge},
    {"lint", MAX_ARGS, run_lint}, {"diff", 2, run_diff}, {"show", 1, run_show},
    {"explain", 0, run_explain},
};

enum { ACTIONS = sizeof actions / sizeof actions[0] };

static const struct argp_child children[] = {{&command_goal_argp, 0, "Also:", 0},
                                             {NULL, 0, NULL, 0}};

static const struct argp argp = {
    option_table, parse_option,
    "build [DIR] -o FILE\nexport FILE [DIR | -o DIR]\nmerge -o FILE A B ...\n"
    "lint PATH ...\ndiff A B\nshow [FILE]\n"
    "explain --layer L --device D [--tokens LIST] [--db FILE]",
    "Tuning databases as files.\n\n"
    "build   reads text records (default: tuning_db/records) into a database, and compiles the "
    "kernels that can win\n"
    "export  writes a database as text records, sorted, for review and git; of simulated devices "
    "only into a folder that is named, not into tuning_db/records\n"
    "merge   puts several databases together; of rows with one key the one with the better "
    "evidence stays\n"
    "lint    says what is wrong with folders and files of records and with databases; the exit "
    "status is 1 if there is something\n"
    "diff    says what got faster, slower, new, lost or another config from A to B; the exit "
    "status is 1 if something got slower or works no more\n"
    "show    says what a database holds\n"
    "explain says which rows a plan takes for each op at each token count, and why not others",
    children, NULL, NULL,
};

int cmd_db(int argc, char **argv) {
    static char name[80]; /* argp shows it as the program's name */
    options o = {0};
    for (int i = 0; i < ACTIONS && argc > 1; i++) {
        if (strcmp(actions[i].name, argv[1])) continue;
        snprintf(name, sizeof name, "%s %s", argv[0], argv[1]);
        argv[1] = name;
        o.most = actions[i].most;
        argp_parse(&argp, argc - 1, argv + 1, 0, NULL, &o);
        return actions[i].run(&o);
    }
    if (argc > 1 && argv[1][0] == '-') argp_parse(&argp, argc, argv, 0, NULL, &o); /* --help */
    return misuse("build | export | merge | lint | diff | show | explain: one of these is needed; "
                  "moetune db --help says more");
}
