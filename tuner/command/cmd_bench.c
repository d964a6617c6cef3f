/* cmd_bench.c - moetune bench: what a layer takes on a device. */
#include "command/command_tools.h"
#include "compile/nvrtc.h"
#include "regress/bench.h"
#include "text/columns.h"

#include <errno.h>
#include <jansson.h>
#include <string.h>

enum { KEY_JSON = 256, KEY_CHART, KEY_QUIET };

typedef struct options {
    command_goal goal;
    const char *json, *chart;
    bool quiet;
} options;

static const struct argp_option option_table[] = {
    {"json", KEY_JSON, "FILE", 0, "write the results as JSON (-: to standard output, no table)", 0},
    {"chart", KEY_CHART, "FILE", 0, "draw time and drops by capacity into an SVG file", 0},
    {"quiet", KEY_QUIET, NULL, 0, "show no progress", 0},
    {NULL, 0, NULL, 0, NULL, 0},
};

static error_t parse_option(int key, char *value, struct argp_state *state) {
    options *o = state->input;
    switch (key) {
    case ARGP_KEY_INIT: state->child_inputs[0] = &o->goal; break;
    case KEY_JSON: o->json = value; break;
    case KEY_CHART: o->chart = value; break;
    case KEY_QUIET: o->quiet = true; break;
    default: return ARGP_ERR_UNKNOWN;
    }
    return 0;
}

static const struct argp argp = {
    option_table, parse_option, NULL,
    "Times the ops of a layer, its experts (ids and weights given) and the whole of it.\n\n"
    "  moetune bench --device cuda:0 --layer qwen3-30b-a3b --tokens 1,4096 --json bench.json\n\n"
    "TFLOP/s and GB/s are those of the least work there is; the roofline's share says how near "
    "that is to the device's peaks. On a GPU a pipeline of one cuBLAS GEMM an expert runs in "
    "turns with the plan. Times of a simulated device are a model's.",
    command_goal_children, NULL, NULL,
};

typedef struct tools {
    command_tools open;
    moe_bench bench;
    moe_provenance provenance;
} tools;

static moe_status open_tools(const options *o, tools *t) {
    const moe_nvrtc *nvrtc;
    const unsigned which = TOOLS_DB | TOOLS_DEVICE | TOOLS_BUILDER;
    moe_bench *b = &t->bench;
    MOE_TRY(moe_nvrtc_open(&nvrtc));
    MOE_TRY(command_tools_open(&o->goal, which, &t->open));
    *b = (moe_bench){.device = t->open.device, .gen = t->open.gen, .builder = t->open.builder,
                     .db = t->open.db, .seed = o->goal.seed,
                     .progress = moe_progress_start(o->quiet)};
    moe_meter_init(&b->meter, b->device);
    moe_tuner_provenance(b->device, nvrtc->version, &t->provenance);
    return MOE_OK;
}

/* ------------------------------------------------------------------------------------ results */

static const char *time_head(const tools *t) {
    return moe_device_facts(t->bench.device)->simulated ? "us (model)" : "us";
}

static void print_table(const tools *t) {
    char head[256];
    snprintf(head, sizeof head, "region\t>t\tcapacity\trouting\tsystem\t>%s\t>mad\t>n\t>TFLOP/s"
             "\t>GB/s\t>roofline\t>error\tkernel or plan", time_head(t));
    moe_columns *table = moe_columns_new(head);
    for (int64_t i = 0; i < t->bench.rows; i++) {
        const moe_bench_row *row = &t->bench.row[i];
        char capacity[64];
        moe_text_value(row->layer, "capacity", capacity, sizeof capacity);
        if (!row->good) {
            moe_columns_add(table, "%s\t%lld\t%s\t%s\t%s\twrong\t\t\t\t\t\t%.1e\t%s",
                          row->region, (long long)row->tokens, capacity,
                          row->traffic, row->system, row->max_over_rms,
                          row->text);
            continue;
        }
        moe_columns_add(table,
                      "%s\t%lld\t%s\t%s\t%s\t%.2f\t%.2f\t%lld\t%.2f\t%.0f\t%.1f%%\t%.1e\t%s",
                      row->region, (long long)row->tokens, capacity,
                      row->traffic, row->system, row->median * 1e-3,
                      row->mad * 1e-3, (long long)row->n, row->tflops, row->gbps,
                      100 * row->roofline, row->max_over_rms, row->what);
    }
    moe_columns_print(table, stdout);
}

/* Capacities beside each other, where there are any. */
static void print_results(const tools *t) {
    bool limited = false;
    for (int64_t i = 0; i < t->bench.tradeoffs; i++)
        limited |= strcmp(t->bench.tradeoff[i].capacity, "none") != 0;
    print_table(t);
    if (!limited) return;
    printf("\n");
    moe_tradeoff_print(t->bench.tradeoff, t->bench.tradeoffs, time_head(t), stdout);
}

static json_t *json_row(const moe_bench_row *row, const char *config) {
    json_t *out = json_pack(
        "{s:s, s:s, s:s, s:I, s:s, s:s, s:s, s:s, s:I, s:b, s:s}", "config", config, "layer",
        row->layer, "region", row->region, "tokens", (json_int_t)row->tokens, "distribution",
        row->traffic, "cache", moe_cache_names[row->cache], "system",
        row->system, "kernel", row->what, "n", (json_int_t)row->n, "good", row->good, "timer",
        moe_timer_names[row->timer]);
    const struct {
        const char *name;
        double value;
    } reals[] = {
        {"median_us", row->median * 1e-3}, {"mad_us", row->mad * 1e-3}, {"tflops", row->tflops},
        {"gbps", row->gbps},               {"roofline", row->roofline}, {"rel_l2", row->rel_l2},
        {"max_over_rms", row->max_over_rms},
    };
    for (size_t i = 0; i < sizeof reals / sizeof *reals; i++)
        json_object_set_new(out, reals[i].name, json_real(reals[i].value)); /* NULL if infinite */
    if (*row->text) json_object_set_new(out, "text", json_string(row->text));
    return out;
}

static moe_status write_json(const tools *t, const options *o) {
    bool console = !strcmp(o->json, "-");
    FILE *file = console ? stdout : fopen(o->json, "w");
    if (!file)
        return moe_fail(MOE_E_IO, "%s: %s; give another --json FILE", o->json, strerror(errno));
    json_t *rows = json_array();
    for (int64_t i = 0; i < t->bench.rows; i++)
        json_array_append_new(rows, json_row(&t->bench.row[i], o->goal.layer));
    json_t *all = json_pack(
        "{s:{s:s, s:s, s:s, s:I, s:s, s:s}, s:o}", "head", "device", t->bench.device->text,
        "driver", t->provenance.driver, "toolkit", t->provenance.toolkit, "clock_mhz",
        (json_int_t)t->provenance.clock, "commit", t->provenance.commit, "date",
        t->provenance.date, "rows", rows);
    bool bad = json_dumpf(all, file, JSON_INDENT(1) | JSON_REAL_PRECISION(6)) != 0;
    bad |= fputc('\n', file) == EOF;
    json_decref(all);
    if (console) bad |= fflush(file) != 0;
    else bad |= fclose(file) != 0;
    return bad ? moe_fail(MOE_E_IO, "%s: could not be written whole; is the disk full?", o->json)
               : MOE_OK;
}

static moe_status bench(const options *o, tools *t) {
    moe_goal goal;
    command_goal given = o->goal;
    given.any_traffic = true;
    MOE_TRY(command_goal_read(&given, "1,16,64", &goal));
    for (int i = 0; i < goal.token_count; i++)
        if (!goal.tokens[i])
            return moe_fail(MOE_E_INVALID, "--tokens: 0 tokens take no time; leave the 0 out");
    MOE_TRY(open_tools(o, t));
    if (*t->bench.meter.note && !o->quiet) fprintf(stderr, "note: %s\n", t->bench.meter.note);
    return moe_bench_goal(&t->bench, &goal);
}

int cmd_bench(int argc, char **argv) {
    options o = {0};
    tools t = {0};
    argp_parse(&argp, argc, argv, 0, NULL, &o);
    moe_status status = bench(&o, &t);
    bool wrong = false;
    for (int64_t i = 0; i < t.bench.rows; i++) wrong |= !t.bench.row[i].good;
    if (t.bench.rows && !(o.json && !strcmp(o.json, "-")))
        print_results(&t);
    if (!status && o.json) status = write_json(&t, &o);
    if (!status && o.chart)
        status = moe_tradeoff_chart(t.bench.tradeoff, t.bench.tradeoffs, o.goal.layer,
                                    time_head(&t), o.chart);
    int result = status ? command_fail(status) : wrong ? COMMAND_FAILED : COMMAND_GOOD;
    moe_bench_free(&t.bench);
    command_tools_close(&t.open);
    return result;
}
