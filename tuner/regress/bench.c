/* bench.c - what a layer takes: each op, the experts, the whole layer. */
#include "regress/bench.h"

#include "core/capacity.h"
#include "core/list.h"
#include "judge/layer_case.h"
#include "judge/layer_replay.h"
#include "judge/op_case.h"
#include "judge/op_work.h"
#include "measure/outcome.h"
#include "regress/bench_rival.h"
#include "run/assemble.h"
#include "tune/plan_image.h"
#include "tune/spot.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LEAST_SAMPLES = 50, MOST_SAMPLES = 100 };

/* Adds a copy. */
static moe_status add_row(moe_bench *bench, const moe_bench_row *row) {
    MOE_TRY(moe_list_grow(&bench->row, bench->rows, &bench->room, sizeof *bench->row));
    bench->row[bench->rows++] = *row;
    return MOE_OK;
}

void moe_bench_free(moe_bench *bench) {
    free(bench->row);
    free(bench->tradeoff);
    bench->row = NULL;
    bench->tradeoff = NULL;
    bench->rows = bench->room = bench->tradeoffs = 0;
}

/* One workload of a goal, and the plan that serves it. */
typedef struct workload {
    const moe_layer *layer;
    int64_t tokens;
    const moe_traffic *traffic;
    moe_cache cache;
    moe_plan *plan;
    bool tuned;     /* the plan came from the database */
    char match[64]; /* how well it fits */
} workload;

static moe_status start_row(const workload *w, const char *region, moe_bench_row *row) {
    *row = (moe_bench_row){.tokens = w->tokens, .cache = w->cache};
    moe_text traffic = moe_text_start(row->traffic, sizeof row->traffic);
    moe_traffic_print(w->traffic, &traffic);
    snprintf(row->region, sizeof row->region, "%s", region);
    snprintf(row->system, sizeof row->system, "moetune");
    return moe_layer_print(w->layer, row->layer, sizeof row->layer);
}

static void take_time(const moe_bench *bench, const moe_samples *samples, moe_work_size work,
                      moe_dtype dtype, moe_bench_row *row) {
    row->n = samples->n;
    row->median = moe_samples_median(samples);
    row->mad = moe_samples_mad(samples);
    row->timer = bench->meter.timer;
    if (row->median <= 0) return;
    row->tflops = work.flops / row->median * 1e-3;
    row->gbps = work.bytes / row->median;
    row->roofline = moe_roofline_ns(work, moe_device_facts(bench->device), dtype) / row->median;
}

/* A kernel that misbehaves has a row without a time. */
static moe_status finish_row(moe_bench *bench, moe_bench_row *row, moe_status status) {
    moe_outcome outcome;
    if (moe_outcome_of(status, &outcome)) {
        row->good = false;
        snprintf(row->text, sizeof row->text, "%.500s", moe_error_text());
    } else {
        MOE_TRY(status);
    }
    return add_row(bench, row);
}

/* --------------------------------------------------------------------------------------- ops */

static moe_status time_trial(moe_bench *bench, moe_op_case *c, const moe_image *image,
                             const moe_op *op, moe_bench_row *row) {
    const moe_timing timing = {.cache = op->cache};
    moe_trial *trial;
    moe_verdict verdict = {0};
    double ns;
    MOE_TRY(moe_trial_open(c, image, &trial));
    moe_rival rival = {.run = moe_trial_run, .context = trial};
    moe_status status = moe_trial_verify(trial, &verdict, &ns);
    row->good = verdict.ok;
    row->max_over_rms = verdict.error;
    snprintf(row->text, sizeof row->text, "%s", verdict.text);
    if (!status && verdict.ok)
        status = moe_meter_race(&bench->meter, &timing, &rival, 1, LEAST_SAMPLES, MOST_SAMPLES);
    if (!status && verdict.ok)
        take_time(bench, &rival.samples, moe_op_work(op), op->layer.x, row);
    moe_trial_close(trial);
    return status;
}

static moe_status bench_op(moe_bench *bench, const workload *w, moe_op_kind kind) {
    const moe_op op = moe_op_make(kind, w->layer, w->tokens, w->traffic->routing, w->cache);
    moe_op_case *c = NULL;
    moe_bench_row row;
    moe_image image;
    /* "experts" is the region of all behind the router, whatever kernels it takes. */
    MOE_TRY(start_row(w, kind == MOE_OP_experts ? "experts_kernel" : moe_op_names[kind], &row));
    moe_status status = moe_plan_image(bench->db, bench->device, bench->gen, bench->builder,
                                       w->plan, &op, w->tuned, &image, row.what, sizeof row.what);
    if (!status) status = moe_op_case_open(bench->device, &op, bench->seed, &c);
    if (!status) status = time_trial(bench, c, &image, &op, &row);
    moe_op_case_close(c);
    return finish_row(bench, &row, status);
}

/* -------------------------------------------------------------------------------- whole layers */

/* The plan, replayed, and on a GPU a pipeline of library GEMMs, in turns on the same buffers. */
static moe_status race(moe_bench *bench, const workload *w, moe_layer_case *c,
                       moe_bench_rival *other, moe_work_size work, moe_bench_row *row,
                       moe_bench_row *other_row) {
    const moe_timing timing = {.cache = w->cache, .span = true};
    const moe_plan *plan = w->plan;
    moe_layer_replay replay;
    moe_layer_verdict verdict;
    moe_rival rivals[2] = {{.run = moe_layer_replay_run, .context = &replay},
                           {.run = moe_bench_rival_run, .context = other}};
    char note[512];
    MOE_TRY(moe_layer_replays_open(bench->device, c, &plan, 1, &replay, note, sizeof note));
    if (*note) moe_progress_note(&bench->progress, "moetune: %s", note);
    moe_status status = moe_meter_race(&bench->meter, &timing, rivals, other ? 2 : 1,
                                       LEAST_SAMPLES, MOST_SAMPLES);
    if (!status) status = moe_layer_replay_judge(&replay, &verdict);
    moe_layer_replays_close(&replay, 1);
    if (status) return status;
    row->good = verdict.ok;
    snprintf(row->text, sizeof row->text, "%s", verdict.text);
    take_time(bench, &rivals[0].samples, work, w->layer->x, row);
    if (other) take_time(bench, &rivals[1].samples, work, w->layer->x, other_row);
    return MOE_OK;
}

static moe_status time_plan(moe_bench *bench, const workload *w, moe_layer_case *c,
                            moe_work_size work, moe_bench_row *row) {
    moe_layer_verdict verdict = {0};
    moe_bench_rival *other = NULL;
    moe_bench_row other_row = *row;
    double ns;
    MOE_TRY(moe_layer_case_verify(c, w->plan, &verdict, &ns));
    row->good = verdict.ok;
    row->rel_l2 = verdict.rel_l2;
    row->max_over_rms = verdict.error;
    snprintf(row->text, sizeof row->text, "%s", verdict.text);
    if (!verdict.ok) return MOE_OK;
    bool routes = strcmp(row->region, "layer") == 0;
    moe_status status =
        moe_bench_rival_open(bench->device, w->layer, w->tokens, c, routes, &other, &other_row);
    if (!status) status = race(bench, w, c, other, work, row, &other_row);
    if (!status && other) status = add_row(bench, &other_row);
    moe_bench_rival_close(other);
    return status;
}

/* Given the ids and weights of the traffic, whatever it is. */
static moe_status open_routed(moe_bench *bench, const workload *w, moe_layer_case **out) {
    size_t slots = (size_t)(w->tokens * w->layer->k);
    int *ids = malloc((slots + 1) * sizeof *ids);
    float *weights = malloc((slots + 1) * sizeof *weights);
    moe_status status = MOE_OK;
    if (!ids || !weights) status = moe_fail(MOE_E_MEMORY, "no memory for %zu slots", slots);
    if (!status)
        status = moe_traffic_route(w->traffic, w->layer, w->tokens, bench->seed, ids, weights);
    if (!status)
        status = moe_layer_case_open_routed(bench->device, w->layer, w->tokens, ids, weights,
                                            bench->seed, out);
    free(ids);
    free(weights);
    return status;
}

static moe_status bench_whole(moe_bench *bench, const workload *w, const char *region,
                              moe_entry entry, moe_work_size work) {
    moe_layer_case *c = NULL;
    moe_bench_row row;
    MOE_TRY(start_row(w, region, &row));
    snprintf(row.what, sizeof row.what, "%s", w->match);
    moe_status status =
        entry == MOE_ENTRY_GIVEN
            ? open_routed(bench, w, &c)
            : moe_layer_case_open(bench->device, w->layer, w->tokens, w->traffic->routing, entry,
                                  bench->seed, &c);
    if (!status) status = time_plan(bench, w, c, work, &row);
    moe_layer_case_close(c);
    return finish_row(bench, &row, status);
}

static moe_status open_plan(moe_bench *bench, workload *w) {
    const moe_plan_options options = {.size = sizeof options,
                                      .routing = moe_routing_names[w->traffic->routing],
                                      .cache = moe_cache_names[w->cache],
                                      .any_order = moe_gen_any_order(bench->gen)};
    char note[1024];
    moe_match match = MOE_MATCH_DEFAULT;
    MOE_TRY(moe_spot_plan(bench->db, bench->device, bench->gen, bench->builder, w->layer,
                          w->tokens, &options, &w->plan, note, sizeof note));
    w->tuned = !*note;
    if (!w->tuned)
        moe_progress_note(&bench->progress, "moetune: t=%lld: %s", (long long)w->tokens, note);
    if (w->tuned) MOE_TRY(moe_plan_match(w->plan, w->tokens, &match));
    snprintf(w->match, sizeof w->match, "plan %s, %lld launches, %s",
             moe_plan_form(w->plan, w->tokens)->name,
             (long long)moe_plan_launches(w->plan, w->tokens),
             w->tuned ? moe_match_text(match) : "default configs");
    return MOE_OK;
}

/* What the capacity does to the traffic, and what the experts took: the last row. */
static moe_status add_tradeoff(moe_bench *bench, const workload *w) {
    const moe_bench_row *experts = &bench->row[bench->rows - 1];
    const moe_op up =
        moe_op_make(MOE_OP_gemm_up, w->layer, w->tokens, w->traffic->routing, w->cache);
    moe_tradeoff *t = &bench->tradeoff[bench->tradeoffs++];
    *t = (moe_tradeoff){.tokens = w->tokens, .rows = moe_layer_capacity(w->layer, w->tokens),
                        .ns = experts->good ? experts->median : 0};
    moe_text capacity = moe_text_start(t->capacity, sizeof t->capacity);
    moe_field_capacity.print(NULL, &w->layer->capacity, &capacity);
    snprintf(t->traffic, sizeof t->traffic, "%s", experts->traffic);
    int64_t tile = moe_plan_tile(bench->device, bench->gen, w->plan, &up, w->tuned);
    return moe_waste_of(w->layer, w->tokens, w->traffic, tile, bench->seed, &t->waste);
}

static moe_status bench_ops(moe_bench *bench, const workload *w) {
    const moe_pipeline_info *form = moe_plan_form(w->plan, w->tokens);
    for (int i = 0; i < form->steps; i++) {
        moe_progress_show(&bench->progress, bench->progress.share, "%s t=%lld",
                          moe_op_names[form->step[i].op], (long long)w->tokens);
        MOE_TRY(bench_op(bench, w, form->step[i].op));
    }
    return MOE_OK;
}

/* Ops and routers are timed by routing class; other traffic starts behind the router. */
static moe_status bench_parts(moe_bench *bench, const workload *w) {
    const moe_routing routing = w->traffic->routing;
    const bool plain = moe_traffic_plain(w->traffic);
    moe_entry entry = moe_layer_entry(w->layer, routing);
    if (plain) MOE_TRY(bench_ops(bench, w));
    if (plain && entry != MOE_ENTRY_GIVEN)
        MOE_TRY(bench_whole(bench, w, "layer", entry,
                            moe_layer_work(w->layer, w->tokens, routing)));
    MOE_TRY(bench_whole(bench, w, "experts", MOE_ENTRY_GIVEN,
                        moe_experts_work(w->layer, w->tokens, routing)));
    return add_tradeoff(bench, w);
}

static moe_status bench_workload(moe_bench *bench, workload *w) {
    moe_status status = open_plan(bench, w);
    if (!status) status = bench_parts(bench, w);
    moe_plan_destroy(w->plan);
    return status;
}

moe_status moe_bench_goal(moe_bench *bench, const moe_goal *goal) {
    int all = goal->layers * goal->token_count * goal->routings, done = 0;
    bench->tradeoff = calloc((size_t)all, sizeof *bench->tradeoff);
    if (!bench->tradeoff) return moe_fail(MOE_E_MEMORY, "no memory for %d results", all);
    for (int r = 0; r < goal->routings; r++)
        for (int t = 0; t < goal->token_count; t++)
            for (int l = 0; l < goal->layers; l++) {
                workload w = {.layer = &goal->layer[l], .tokens = goal->tokens[t],
                              .traffic = &goal->traffic[r], .cache = goal->cache};
                bench->progress.share = (double)done++ / all;
                MOE_TRY(bench_workload(bench, &w));
            }
    moe_progress_end(&bench->progress);
    return MOE_OK;
}
