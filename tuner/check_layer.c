/* check_layer.c - tuned kernels and plans of a layer against the reference. */
#include "check_layer.h"

#include "assemble.h"
#include "op_case.h"
#include "plan_image.h"
#include "spot.h"
#include "tolerance.h"

#include <stdio.h>
#include <string.h>

/* A failure of what is checked, as against one of the tools. */
static bool is_verdict(moe_status status) {
    return status == MOE_E_FAULT || status == MOE_E_DEVICE || status == MOE_E_UNSUPPORTED ||
           status == MOE_E_COMPILE || status == MOE_E_TEMPLATE;
}

/* Adds a row; a status that is the kernel's own fault becomes its outcome. */
static moe_status conclude(moe_checker *checker, moe_check_row *row, moe_status status) {
    if (status && !is_verdict(status)) return status;
    if (status) {
        bool source = status == MOE_E_COMPILE || status == MOE_E_TEMPLATE;
        row->outcome = source ? MOE_OUTCOME_COMPILE_FAILED : MOE_OUTCOME_FAULTED;
        snprintf(row->text, sizeof row->text, "%.1020s", moe_error_text());
    }
    moe_progress_show(&checker->progress, checker->progress.share, "%s t=%lld", row->what,
                      (long long)row->t);
    return moe_verdicts_add(checker->verdicts, row);
}

/* ------------------------------------------------------------------------------------- plans */

static moe_status judge_plan(moe_checker *checker, const moe_layer *layer, const moe_plan *plan,
                             moe_routing routing, moe_entry entry, moe_check_row *row) {
    moe_layer_case *c;
    moe_layer_verdict verdict = {0};
    double ns;
    MOE_TRY(moe_layer_case_open(checker->device, layer, row->t, routing, entry, checker->seed, &c));
    moe_status status = moe_layer_case_verify(c, plan, &verdict, &ns);
    moe_layer_case_close(c);
    if (status) return status;
    row->outcome = verdict.ok ? MOE_OUTCOME_OK : MOE_OUTCOME_WRONG;
    row->error = verdict.error;
    row->tolerance = verdict.tolerance;
    row->rel_l2 = verdict.rel_l2;
    row->yardstick = verdict.yardstick;
    snprintf(row->text, sizeof row->text, "%s", verdict.text);
    return MOE_OK;
}

moe_status moe_check_plan(moe_checker *checker, const moe_layer *layer, const moe_plan *plan,
                          int64_t tokens, moe_routing routing, moe_entry entry, const char *what) {
    moe_check_row row = {.t = tokens};
    double start = moe_seconds();
    MOE_TRY(moe_layer_print(layer, row.name, sizeof row.name));
    snprintf(row.what, sizeof row.what, "%s, %s, %s", what, moe_entry_names[entry],
             moe_routing_names[routing]);
    moe_status status = judge_plan(checker, layer, plan, routing, entry, &row);
    row.seconds = moe_seconds() - start;
    return conclude(checker, &row, status);
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

/* The ops of a plan one by one, then the whole by each entry. */
static moe_status check_form(moe_checker *checker, const moe_goal *goal, const moe_layer *layer,
                             const moe_plan *plan, int64_t tokens, moe_routing routing,
                             bool tuned) {
    const moe_pipeline_info *form = moe_plan_form(plan, tokens ? tokens : 1);
    moe_status status = MOE_OK;
    for (int i = 0; i < form->steps && tokens && !status; i++) {
        const moe_op op = moe_op_make(form->op[i], layer, tokens, routing, goal->cache);
        if (!was_checked(checker, &op)) status = check_kernel(checker, plan, &op, tuned);
    }
    char what[64];
    snprintf(what, sizeof what, "%s%s %s", tuned ? "" : "default ", "plan", form->name);
    for (moe_entry entry = 0; entry < MOE_ENTRY_COUNT && !status; entry++)
        status = moe_check_plan(checker, layer, plan, tokens, routing, entry, what);
    return status;
}

/* What the database or the defaults choose, and then every other form of the layer. */
static moe_status check_workload(moe_checker *checker, const moe_goal *goal, const moe_layer *layer,
                                 int64_t tokens, moe_routing routing) {
    const moe_plan_options options = {.worst = MOE_MATCH_DEFAULT,
                                      .routing = moe_routing_names[routing],
                                      .cache = moe_cache_names[goal->cache],
                                      .any_order = moe_gen_any_order(checker->gen)};
    char note[1024];
    moe_plan *plan;
    MOE_TRY(moe_spot_plan(checker->db, checker->device, checker->gen, checker->builder, layer,
                          tokens ? tokens : 1, &options, &plan, note, sizeof note));
    bool tuned = !*note;
    if (!tuned)
        moe_progress_note(&checker->progress, "moetune: t=%lld: %s", (long long)tokens, note);
    const moe_pipeline_info *form = moe_plan_form(plan, tokens ? tokens : 1);
    moe_status status = check_form(checker, goal, layer, plan, tokens, routing, tuned);
    moe_plan_destroy(plan);
    for (int i = 0; i < MOE_PIPELINE_COUNT && !status; i++) {
        if (&moe_pipeline_table[i] == form ||
            !moe_form_served(checker->gen, moe_device_facts(checker->device), layer,
                             tokens ? tokens : 1, &moe_pipeline_table[i], NULL))
            continue;
        MOE_TRY(moe_default_plan(checker->device, checker->gen, checker->builder, layer,
                                 tokens ? tokens : 1, &moe_pipeline_table[i], &plan));
        status = check_form(checker, goal, layer, plan, tokens, routing, false);
        moe_plan_destroy(plan);
    }
    return status;
}

moe_status moe_check_goal(moe_checker *checker, const moe_goal *goal) {
    int all = goal->layers * goal->token_count * goal->routings, done = 0;
    for (int l = 0; l < goal->layers; l++)
        for (int t = 0; t < goal->token_count; t++)
            for (int r = 0; r < goal->routings; r++) {
                checker->progress.share = (double)done++ / all;
                MOE_TRY(check_workload(checker, goal, &goal->layer[l], goal->tokens[t],
                                       goal->routing[r]));
            }
    moe_progress_end(&checker->progress);
    return MOE_OK;
}
