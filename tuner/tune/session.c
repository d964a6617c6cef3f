/* session.c - tuning whole layers. */
#include "tune/session.h"

#include "core/capacity.h"
#include "core/pipeline.h"
#include "search/candidates.h"
#include "tune/tune_plan.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* Of the budget, for whole layers. */
static const double LAYER_SHARE = 0.12;

/* An op may take this much more than its share. */
static const double SLACK = 1.5;

/* The result of an op, or NULL. */
static const moe_op_result *result_of(const moe_session *session, const moe_op *op) {
    for (int64_t i = 0; i < session->ops; i++)
        if (moe_op_equal(&session->op[i].op, op)) return &session->op[i];
    return NULL;
}

/* Calls for every workload of the goal, few tokens first. */
#define EACH_WORKLOAD(goal, t, l, r)                                                               \
    for (int t = 0; t < (goal)->token_count; t++)                                                  \
        for (int l = 0; l < (goal)->layers; l++)                                                   \
            for (int r = 0; r < (goal)->routings; r++)

/* Each step alone must be served; but experts that choose are routed and mapped by one op. */
static bool is_step(const moe_op *op) {
    bool fused = op->kind == MOE_OP_route && moe_layer_rule(&op->layer)->experts_choose;
    return (int)op->kind < MOE_PLAIN_OPS && !fused;
}

/* An op of a form that no template serves is left out, if it is no step. One whose templates throw
 * is a mistake that nobody would hear of. */
static moe_status is_wanted(const moe_tuner *tuner, const moe_goal *goal, const moe_op *op,
                            bool *out) {
    moe_candidate candidate;
    *out = goal->ops ? goal->ops >> op->kind & 1 : is_step(op);
    if (goal->ops || *out) return MOE_OK;
    moe_status status = moe_candidate_default(tuner->gen, op, tuner->facts, &candidate);
    *out = !status;
    return status == MOE_E_NOT_FOUND ? MOE_OK : status;
}

static moe_status list_ops(const moe_tuner *tuner, const moe_goal *goal, const moe_layer *layer,
                           int64_t tokens, moe_routing routing, moe_session *s) {
    for (int kind = 0; kind < MOE_OP_COUNT; kind++) {
        bool wanted;
        if (!moe_pipeline_wants(layer, (moe_op_kind)kind)) continue;
        const moe_op op = moe_op_make((moe_op_kind)kind, layer, tokens, routing, goal->cache);
        if (result_of(s, &op)) continue;
        MOE_TRY(is_wanted(tuner, goal, &op, &wanted));
        if (wanted) s->op[s->ops++].op = op;
    }
    return MOE_OK;
}

static moe_status list_work(const moe_tuner *tuner, const moe_goal *goal, moe_session *s) {
    size_t most = (size_t)goal->token_count * (size_t)goal->layers * (size_t)goal->routings;
    s->op = calloc(most * MOE_OP_COUNT + 1, sizeof *s->op);
    s->layer = calloc(most + 1, sizeof *s->layer);
    if (!s->op || !s->layer) return moe_fail(MOE_E_MEMORY, "no memory for a session");
    EACH_WORKLOAD(goal, t, l, r) {
        if (!goal->ops)
            s->layer[s->layers++] = (moe_layer_result){
                .layer = goal->layer[l], .t = goal->tokens[t], .routing = goal->routing[r]};
        MOE_TRY(list_ops(tuner, goal, &goal->layer[l], goal->tokens[t], goal->routing[r], s));
    }
    return MOE_OK;
}

static void note_result(moe_tuner *tuner, const moe_op_result *r) {
    char text[256];
    const moe_measurement *standard = &r->standard.record.measurement;
    moe_text out = moe_text_start(text, sizeof text);
    moe_text_add(&out, "%-9s t=%-6lld", moe_op_names[r->op.kind], (long long)r->op.t);
    if (r->op.layer.capacity.factor > 0) {
        moe_text_add(&out, " capacity=");
        moe_field_capacity.print(NULL, &r->op.layer.capacity, &out);
    }
    if (r->finalists)
        moe_text_add(&out, " %10.2f us", r->finalist[0].record.measurement.med * 1e-3);
    if (r->finalists && standard->outcome == MOE_OUTCOME_OK)
        moe_text_add(&out, ", default %.2f us", standard->med * 1e-3);
    moe_text_add(&out, ", %lld tried, %lld resumed, of %lld", (long long)r->measured,
                 (long long)r->resumed, (long long)r->space);
    moe_progress_note(&tuner->progress, "%s", text);
    if (*r->note) moe_progress_note(&tuner->progress, "    %s", r->note);
}

/* Each op gets its share of what is left and half as much again, so that time an op does not need
 * goes to the others. */
static moe_status tune_ops(moe_tuner *tuner, double start, double end, const moe_op_plan *plan,
                           moe_session *s) {
    for (int64_t i = 0; i < s->ops && !s->stopped; i++) {
        double own = moe_op_plan_seconds(&plan[i]), rest = 0, now = moe_seconds();
        for (int64_t j = i; j < s->ops; j++) rest += moe_op_plan_seconds(&plan[j]);
        double deadline = now + (end - now) * fmin(1, SLACK * own / rest);
        tuner->share_from = (1 - LAYER_SHARE) * (now - start) / (end - start);
        tuner->share_to = (1 - LAYER_SHARE) * (deadline - start) / (end - start);
        const moe_op op = s->op[i].op;
        MOE_TRY(moe_tune_op(tuner, &op, plan[i].limit, deadline, &s->op[i]));
        note_result(tuner, &s->op[i]);
        s->stopped = moe_tuner_stopped(tuner) || tuner->lost;
    }
    return MOE_OK;
}

static moe_status tune_layers(moe_tuner *tuner, moe_cache cache, moe_session *s) {
    for (int64_t i = 0; i < s->layers && !s->stopped; i++) {
        moe_layer_result *result = &s->layer[i];
        const moe_op_result *op[MOE_OP_COUNT];
        for (int kind = 0; kind < MOE_OP_COUNT; kind++) {
            const moe_op its = moe_op_make((moe_op_kind)kind, &result->layer, result->t,
                                           result->routing, cache);
            op[kind] = result_of(s, &its);
        }
        moe_progress_show(&tuner->progress,
                          1 - LAYER_SHARE * (double)(s->layers - i) / (double)s->layers,
                          "whole layer t=%lld", (long long)result->t);
        MOE_TRY(moe_tune_layer(tuner, op, cache, result));
        s->stopped = moe_tuner_stopped(tuner) || tuner->lost;
    }
    return MOE_OK;
}

moe_status moe_session_plan(const moe_tuner *tuner, const moe_goal *goal, moe_session *out,
                            moe_op_plan **plan) {
    moe_session s = {0};
    moe_status status = list_work(tuner, goal, &s);
    moe_op_plan *plans = calloc((size_t)s.ops + 1, sizeof *plans);
    if (!status && !plans) status = moe_fail(MOE_E_MEMORY, "no memory for a session");
    if (status) {
        moe_session_free(&s);
        free(plans);
        return status;
    }
    moe_tune_plan(tuner, s.op, s.ops, goal->budget * (1 - LAYER_SHARE), plans);
    *out = s;
    *plan = plans;
    return MOE_OK;
}

moe_status moe_session_run(moe_tuner *tuner, const moe_goal *goal, moe_session *out) {
    moe_session s = {0};
    moe_op_plan *plan;
    double start = moe_seconds(), end = start + goal->left * (1 - LAYER_SHARE);
    MOE_TRY(moe_session_plan(tuner, goal, &s, &plan));
    moe_status status = tune_ops(tuner, start, end, plan, &s);
    free(plan);
    if (!status) status = tune_layers(tuner, goal->cache, &s);
    moe_progress_end(&tuner->progress);
    if (status)
        moe_session_free(&s);
    else
        *out = s;
    return status;
}

void moe_session_free(moe_session *session) {
    free(session->op);
    free(session->layer);
    *session = (moe_session){0};
}
