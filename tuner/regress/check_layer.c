/* check_layer.c - tuned kernels and plans of a layer against the reference. */
#include "regress/check_layer.h"

#include "judge/op_case.h"
#include "measure/outcome.h"
#include "run/assemble.h"
#include "tolerance.h"
#include "tune/plan_image.h"
#include "tune/spot.h"

#include <stdio.h>
#include <string.h>

/* Adds a row; a status that is the kernel's own fault becomes its outcome. */
static moe_status conclude(moe_checker *checker, moe_check_row *row, moe_status status) {
    if (moe_outcome_of(status, &row->outcome))
        snprintf(row->text, sizeof row->text, "%.1020s", moe_error_text());
    else
        MOE_TRY(status);
    moe_progress_show(&checker->progress, checker->progress.share, "%s t=%lld", row->what,
                      (long long)row->t);
    return moe_verdicts_add(checker->verdicts, row);
}

/* ------------------------------------------------------------------------------------- plans */

static moe_status judge_plan(moe_layer_case *c, const moe_plan *plan, moe_check_row *row) {
    moe_layer_verdict verdict = {0};
    double ns;
    MOE_TRY(moe_layer_case_verify(c, plan, &verdict, &ns));
    row->outcome = verdict.ok ? MOE_OUTCOME_OK : MOE_OUTCOME_WRONG;
    row->error = verdict.error;
    row->tolerance = verdict.tolerance;
    row->rel_l2 = verdict.rel_l2;
    row->yardstick = verdict.yardstick;
    snprintf(row->text, sizeof row->text, "%s", verdict.text);
    return MOE_OK;
}

moe_status moe_check_plans(moe_checker *checker, const moe_check_case *on, moe_plan *const *plans,
                           int count, const char *what) {
    moe_layer_case *c = NULL;
    moe_status opened = moe_layer_case_open(checker->device, on->layer, on->tokens, on->routing,
                                            on->entry, checker->seed, &c);
    moe_status status = MOE_OK;
    for (int i = 0; i < count && !status; i++) {
        const moe_pipeline_info *form = moe_plan_form(plans[i], on->tokens ? on->tokens : 1);
        moe_check_row row = {.t = on->tokens};
        double start = moe_seconds();
        status = moe_layer_print(on->layer, row.name, sizeof row.name);
        snprintf(row.what, sizeof row.what, "%s %s, %s, %s", what, form->name,
                 moe_entry_names[on->entry], moe_routing_names[on->routing]);
        moe_status judged = c ? judge_plan(c, plans[i], &row) : opened;
        row.seconds = moe_seconds() - start;
        if (!status) status = conclude(checker, &row, judged);
    }
    moe_layer_case_close(c);
    return status;
}

/* ----------------------------------------------------------------------------------- kernels */

static moe_status judge_kernel(moe_checker *checker, const moe_op *op, const moe_image *image,
                               moe_check_row *row) {
    moe_op_case *c = NULL;
    moe_trial *trial = NULL;
    moe_verdict verdict = {0};
    double ns;
    moe_status status = moe_op_case_open(checker->device, op, checker->seed, &c);
    if (!status) status = moe_trial_open(c, image, &trial);
    if (!status) status = moe_trial_verify(trial, &verdict, &ns);
    moe_trial_close(trial);
    moe_op_case_close(c);
    if (status) return status;
    row->outcome = verdict.ok ? MOE_OUTCOME_OK : MOE_OUTCOME_WRONG;
    row->error = verdict.error;
    snprintf(row->text, sizeof row->text, "%s", verdict.text);
    return MOE_OK;
}

static moe_status check_kernel(moe_checker *checker, const moe_plan *plan, const moe_op *op,
                               bool tuned) {
    moe_check_row row = {.t = op->t, .tolerance = moe_op_tolerance(op)};
    double start = moe_seconds();
    moe_image image;
    char shape[MOE_OP_TEXT_SIZE];
    moe_op_shape(op, shape, sizeof shape);
    snprintf(row.name, sizeof row.name, "%s %s", moe_op_names[op->kind], shape);
    moe_status status = moe_plan_image(checker->db, checker->device, checker->gen,
                                       checker->builder, plan, op, tuned, &image, row.what,
                                       sizeof row.what);
    if (tuned && status == MOE_E_NOT_FOUND) return MOE_OK;
    if (!status) status = judge_kernel(checker, op, &image, &row);
    row.seconds = moe_seconds() - start;
    return conclude(checker, &row, status);
}

/* -------------------------------------------------------------------------------------- goal */

/* Several layers and routings share ops; each is checked once. */
static bool was_checked(const moe_checker *checker, const moe_op *op) {
    char shape[MOE_OP_TEXT_SIZE], name[MOE_OP_TEXT_SIZE + 16];
    moe_op_shape(op, shape, sizeof shape);
    snprintf(name, sizeof name, "%s %s", moe_op_names[op->kind], shape);
    for (int64_t i = 0; i < checker->verdicts->count; i++)
        if (checker->verdicts->row[i].t == op->t && !strcmp(checker->verdicts->row[i].name, name))
            return true;
    return false;
}

/* What is checked at one workload: the plan that the database has, or those of all default
 * forms. */
typedef struct workload {
    moe_check_case on;
    moe_cache cache;
    moe_plan *plan[MOE_PIPELINE_COUNT];
    int plans;
    bool tuned;
} workload;

/* The plan that serves the workload. Without a database every form might, and all are checked. */
static moe_status make_plans(moe_checker *checker, workload *w) {
    const moe_plan_options options = {.size = sizeof options,
                                      .routing = moe_routing_names[w->on.routing],
                                      .cache = moe_cache_names[w->cache],
                                      .any_order = moe_gen_any_order(checker->gen)};
    const moe_facts *facts = moe_device_facts(checker->device);
    const moe_layer *layer = w->on.layer;
    int64_t tokens = w->on.tokens ? w->on.tokens : 1;
    char note[1024];
    MOE_TRY(moe_spot_plan(checker->db, checker->device, checker->gen, checker->builder, layer,
                          tokens, &options, &w->plan[w->plans++], note, sizeof note));
    w->tuned = !*note;
    if (w->tuned) return MOE_OK;
    moe_progress_note(&checker->progress, "moetune: t=%lld: %s", (long long)w->on.tokens, note);
    for (int i = 0; i < MOE_PIPELINE_COUNT; i++) {
        const moe_pipeline_info *form = &moe_pipeline_table[i];
        if (form == moe_plan_form(w->plan[0], tokens) ||
            !moe_form_served(checker->gen, facts, layer, tokens, form, NULL))
            continue;
        MOE_TRY(moe_default_plan(checker->device, checker->gen, checker->builder, layer, tokens,
                                 form, &w->plan[w->plans]));
        w->plans++;
    }
    return MOE_OK;
}

/* The kernels of the plans one by one; those of a database whether its plan has them or not. */
static moe_status check_kernels(moe_checker *checker, const workload *w) {
    unsigned wanted = w->tuned ? (1u << MOE_OP_COUNT) - 1 : 0;
    for (int i = 0; i < w->plans; i++) {
        const moe_pipeline_info *form = moe_plan_form(w->plan[i], w->on.tokens);
        for (int step = 0; step < form->steps; step++) wanted |= 1u << form->step[step].op;
    }
    for (int kind = 0; kind < MOE_OP_COUNT; kind++) {
        const moe_op op = moe_op_make((moe_op_kind)kind, w->on.layer, w->on.tokens, w->on.routing,
                                      w->cache);
        if (wanted & 1u << kind && moe_pipeline_wants(w->on.layer, (moe_op_kind)kind) &&
            !was_checked(checker, &op))
            MOE_TRY(check_kernel(checker, w->plan[0], &op, w->tuned));
    }
    return MOE_OK;
}

static moe_status check_workload(moe_checker *checker, workload *w) {
    MOE_TRY(make_plans(checker, w));
    if (w->on.tokens) MOE_TRY(check_kernels(checker, w));
    w->on.entry = moe_layer_routes(w->on.layer) ? MOE_ENTRY_ROUTER : MOE_ENTRY_GIVEN;
    for (; w->on.entry < MOE_ENTRY_COUNT; w->on.entry++)
        MOE_TRY(moe_check_plans(checker, &w->on, w->plan, w->plans,
                                w->tuned ? "plan" : "default plan"));
    return MOE_OK;
}

moe_status moe_check_goal(moe_checker *checker, const moe_goal *goal) {
    int all = goal->layers * goal->token_count * goal->routings, done = 0;
    for (int l = 0; l < goal->layers; l++)
        for (int t = 0; t < goal->token_count; t++)
            for (int r = 0; r < goal->routings; r++) {
                workload w = {.on = {.layer = &goal->layer[l], .tokens = goal->tokens[t],
                                     .routing = goal->routing[r]},
                              .cache = goal->cache};
                checker->progress.share = (double)done++ / all;
                moe_status status = check_workload(checker, &w);
                for (int i = 0; i < w.plans; i++) moe_plan_destroy(w.plan[i]);
                if (status) return status;
            }
    moe_progress_end(&checker->progress);
    return MOE_OK;
}
