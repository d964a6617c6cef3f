/* session.c - tuning whole layers. */
#include "session.h"

#include "candidates.h"
#include "capacity.h"
#include "roofline.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* Of the budget, for whole layers. */
static const double LAYER_SHARE = 0.12;

/* Candidates of an op that are worth trying, next to the others': what is large and slow has more
 * to win. */
static const int wish[MOE_OP_COUNT] = {
    [MOE_OP_route] = 60, [MOE_OP_permute] = 30, [MOE_OP_gemm_up] = 150, [MOE_OP_gemm_down] = 150,
    [MOE_OP_combine] = 16, [MOE_OP_route_permute] = 60, [MOE_OP_experts] = 120,
    [MOE_OP_down_combine] = 150,
};

/* An op may take this much more than its share. */
static const double SLACK = 1.5;

enum { FEWEST = 8 }; /* candidates of an op, however small the budget */

const moe_op_result *moe_session_op(const moe_session *session, const moe_op *op) {
    for (int64_t i = 0; i < session->ops; i++)
        if (moe_op_equal(&session->op[i].op, op)) return &session->op[i];
    return NULL;
}

/* Calls for every workload of the goal, few tokens first. */
#define EACH_WORKLOAD(goal, t, l, r)                                                               \
    for (int t = 0; t < (goal)->token_count; t++)                                                  \
        for (int l = 0; l < (goal)->layers; l++)                                                   \
            for (int r = 0; r < (goal)->routings; r++)

/* An op of a form that no template serves is left out; each step alone must be served. */
static bool is_wanted(const moe_tuner *tuner, const moe_goal *goal, const moe_op *op) {
    moe_candidate candidate;
    if (goal->ops) return goal->ops & 1u << op->kind;
    return (int)op->kind < MOE_STEP_COUNT ||
           !moe_candidate_default(tuner->gen, op, tuner->facts, &candidate);
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
        for (int kind = 0; kind < MOE_OP_COUNT; kind++) {
            const moe_op op = moe_op_make((moe_op_kind)kind, &goal->layer[l], goal->tokens[t],
                                          goal->routing[r], goal->cache);
            if (!moe_session_op(s, &op) && is_wanted(tuner, goal, &op)) s->op[s->ops++].op = op;
        }
    }
    return MOE_OK;
}

/* Seconds that one candidate is expected to take: its share of the compilers, and its run. */
static double seconds_each(const moe_tuner *tuner, const moe_op *op) {
    return 0.6 / tuner->workers + 0.02 + 1.3 * moe_tuner_seconds(tuner, moe_op_work(op).flops);
}

/* Limits follow from the budget and nothing else, so that a second run asks for the same
 * candidates, which all have rows, and is over at once. */
static moe_status make_limits(const moe_tuner *tuner, double budget, const moe_session *s,
                              int64_t **out) {
    double all = 0;
    int64_t *limit = malloc((size_t)(s->ops + 1) * sizeof *limit);
    if (!limit) return moe_fail(MOE_E_MEMORY, "no memory for a session");
    for (int64_t i = 0; i < s->ops; i++)
        all += wish[s->op[i].op.kind] * seconds_each(tuner, &s->op[i].op);
    for (int64_t i = 0; i < s->ops; i++) {
        double fit = budget * wish[s->op[i].op.kind] / all;
        limit[i] = fit < (double)tuner->limit ? (int64_t)fit : tuner->limit;
        if (limit[i] < FEWEST) limit[i] = FEWEST < tuner->limit ? FEWEST : tuner->limit;
    }
    *out = limit;
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
static moe_status tune_ops(moe_tuner *tuner, double start, double end, const int64_t *limit,
                           moe_session *s) {
    for (int64_t i = 0; i < s->ops && !s->stopped; i++) {
        double own = (double)limit[i] * seconds_each(tuner, &s->op[i].op), rest = 0;
        double now = moe_seconds();
        for (int64_t j = i; j < s->ops; j++)
            rest += (double)limit[j] * seconds_each(tuner, &s->op[j].op);
        double deadline = now + (end - now) * fmin(1, SLACK * own / rest);
        tuner->share_from = (1 - LAYER_SHARE) * (now - start) / (end - start);
        tuner->share_to = (1 - LAYER_SHARE) * (deadline - start) / (end - start);
        const moe_op op = s->op[i].op;
        MOE_TRY(moe_tune_op(tuner, &op, limit[i], deadline, &s->op[i]));
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
            op[kind] = moe_session_op(s, &its);
        }
        moe_progress_show(&tuner->progress,
                          1 - LAYER_SHARE * (double)(s->layers - i) / (double)s->layers,
                          "whole layer t=%lld", (long long)result->t);
        MOE_TRY(moe_tune_layer(tuner, op, cache, result));
        s->stopped = moe_tuner_stopped(tuner) || tuner->lost;
    }
    return MOE_OK;
}

moe_status moe_session_run(moe_tuner *tuner, const moe_goal *goal, moe_session *out) {
    moe_session s = {0};
    int64_t *limit = NULL;
    double start = moe_seconds(), end = start + goal->left * (1 - LAYER_SHARE);
    moe_status status = list_work(tuner, goal, &s);
    if (!status) status = make_limits(tuner, goal->budget * (1 - LAYER_SHARE), &s, &limit);
    if (!status) status = tune_ops(tuner, start, end, limit, &s);
    free(limit);
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
