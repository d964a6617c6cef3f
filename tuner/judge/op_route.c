/* op_route.c - the route op on trial: the kernel's choice is judged by the reference's logits. */
#include "core/router.h"
#include "judge/op_kind.h"
#include "tolerance.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Logits of the spots: a layer whose tokens are the chosen ones. */
static moe_status make_logits(moe_op_case *c) {
    const moe_layer *layer = &c->op.layer;
    size_t row = (size_t)layer->d * moe_dtype_size(layer->x);
    moe_host_layer in = moe_workload_host(&c->work);
    char *x = malloc((size_t)c->spots * row + 1);
    c->logits = malloc((size_t)(c->spots * moe_layer_logits(layer)) * sizeof *c->logits);
    moe_status status = MOE_OK;
    if (!x || !c->logits)
        status = moe_fail(MOE_E_MEMORY, "no memory for the logits of %lld tokens",
                          (long long)c->spots);
    for (int64_t i = 0; i < c->spots && !status; i++)
        memcpy(x + (size_t)i * row, (char *)c->work.x + (size_t)c->spot[i] * row, row);
    in.x = x;
    in.numbers = c->spot;
    if (!status) status = moe_ref_logits(layer, c->spots, &in, c->logits);
    free(x);
    return status;
}

/* Room for what every router writes, and for what this one does. */
static moe_status make_outputs(moe_op_case *c) {
    static const moe_arg always[] = {MOE_ARG_ids, MOE_ARG_weights, MOE_ARG_counts},
                         where_had[] = {MOE_ARG_jittered, MOE_ARG_flags, MOE_ARG_prob_sums};
    for (size_t i = 0; i < sizeof always / sizeof *always; i++) MOE_TRY(op_make_room(c, always[i]));
    for (size_t i = 0; i < sizeof where_had / sizeof *where_had; i++)
        if (moe_layer_has(&c->op.layer, where_had[i])) MOE_TRY(op_make_room(c, where_had[i]));
    return MOE_OK;
}

moe_status op_make_route(moe_op_case *c, uint64_t seed) {
    const moe_layer *layer = &c->op.layer;
    MOE_TRY(op_make_inputs(c, seed));
    int64_t spots = OP_SPOT_FLOPS / (2 * moe_layer_router_work(layer));
    bool whole = moe_layer_rule(layer)->whole; /* then no token can be judged by itself */
    MOE_TRY(op_choose_spots(c, c->op.t, whole ? c->op.t : spots));
    MOE_TRY(make_logits(c));
    MOE_TRY(op_upload_inputs(c));
    return make_outputs(c);
}

/* Logits at steps that leave many equal, so that the order of equal ones is seen. */
moe_status op_upload_logits(moe_op_case *c) {
    static const float step = 0.25f;
    const int64_t width = moe_layer_logits(&c->op.layer), n = c->op.t * width;
    op_buffers *b = &c->given[MOE_ENTRY_LOGITS];
    if (b->address[MOE_ARG_logits]) return MOE_OK;
    free(c->equal_logits);
    float *logits = malloc((size_t)n * sizeof *logits);
    c->equal_logits = malloc((size_t)(c->spots * width) * sizeof *c->equal_logits);
    moe_status status = MOE_OK;
    if (!logits || !c->equal_logits) {
        status = moe_fail(MOE_E_MEMORY, "no memory for %lld logits", (long long)n);
        goto out;
    }
    moe_workload_logits(&c->op.layer, c->op.t, c->op.routing, c->work.random, logits);
    for (int64_t i = 0; i < n; i++) logits[i] = rintf(logits[i] / step) * step;
    for (int64_t i = 0; i < c->spots * width; i++)
        c->equal_logits[i] = (double)logits[c->spot[i / width] * width + i % width];
    status = op_upload(c, b, MOE_ARG_logits, logits, (size_t)n * sizeof *logits);
out:
    free(logits);
    return status;
}

static moe_status lay_out(moe_op_case *c, op_layout *layout) {
    (void)c, (void)layout;
    return MOE_OK;
}

/* What the kernel wrote. */
typedef struct results {
    int *ids, *counts;
    float *weights;
    unsigned long long *prob_sums;
} results;

/* Statistics are of all tokens, of which the reference may know a part only: the counts follow from
 * the ids, and all probabilities add up to T. */
static void judge_prob_sums(const moe_op_case *c, const results *r, moe_verdict *out) {
    double sum = 0, tokens = (double)c->op.t;
    for (int64_t e = 0; e < c->op.layer.e; e++) sum += (double)r->prob_sums[e] * 0x1p-32;
    if (fabs(sum - tokens) <= 1e-4 * tokens) return;
    out->ok = false;
    snprintf(out->text, sizeof out->text, "the sum of prob_sums is %.9g, should be %.9g", sum,
             tokens);
}

moe_status op_judge_flags(moe_op_case *c, moe_verdict *out) {
    int *flags = NULL;
    if (!c->buffers.address[MOE_ARG_flags]) return MOE_OK;
    moe_status status = op_download(c, &c->buffers, MOE_ARG_flags, &flags);
    for (int i = 0; i < MOE_FLAGS && !status && out->ok; i++) {
        out->ok = flags[i] == 0;
        if (!out->ok)
            snprintf(out->text, sizeof out->text, "flags[%d] is %d, should be 0", i, flags[i]);
    }
    free(flags);
    return status;
}

static moe_status judge_spots(moe_op_case *c, const results *r, moe_verdict *out) {
    const moe_layer *layer = &c->op.layer;
    int64_t k = layer->k;
    bool all = c->spots == c->op.t, ours = moe_layer_held(layer) == layer->e;
    int *ids = malloc((size_t)(c->spots * k) * sizeof *ids);
    float *weights = malloc((size_t)(c->spots * k) * sizeof *weights);
    int *spot_ids = malloc((size_t)c->spots * sizeof *spot_ids);
    moe_status status = MOE_OK;
    if (!ids || !weights || !spot_ids) {
        status = moe_fail(MOE_E_MEMORY, "no memory for %lld tokens", (long long)c->spots);
        goto out;
    }
    for (int64_t i = 0; i < c->spots; i++) {
        memcpy(ids + i * k, r->ids + c->spot[i] * k, (size_t)k * sizeof *ids);
        memcpy(weights + i * k, r->weights + c->spot[i] * k, (size_t)k * sizeof *weights);
    }
    moe_host_layer in = moe_workload_host(&c->work);
    in.numbers = c->spot;
    in.token_ids = spot_ids;
    for (int64_t i = 0; c->work.token_ids && i < c->spots; i++)
        spot_ids[i] = c->work.token_ids[c->spot[i]];
    const moe_route_result got = {.ids = ids, .weights = weights,
                                  .counts = all && ours ? r->counts : NULL,
                                  .prob_sums = all ? r->prob_sums : NULL};
    const bool given = c->entry == MOE_ENTRY_LOGITS;
    const double slack = given ? 0 : moe_logit_tolerance(layer);
    status = moe_check_route(layer, c->spots, given ? c->equal_logits : c->logits, &in,
                             slack, moe_op_tolerance(&c->op), &got, out);
out:
    free(ids);
    free(weights);
    free(spot_ids);
    return status;
}

moe_status op_judge_route(moe_op_case *c, moe_verdict *out) {
    results r = {0};
    moe_status status = op_download(c, &c->buffers, MOE_ARG_ids, &r.ids);
    if (!status) status = op_download(c, &c->buffers, MOE_ARG_weights, &r.weights);
    if (!status) status = op_download(c, &c->buffers, MOE_ARG_counts, &r.counts);
    if (!status && c->buffers.address[MOE_ARG_prob_sums])
        status = op_download(c, &c->buffers, MOE_ARG_prob_sums, &r.prob_sums);
    if (!status) status = judge_spots(c, &r, out);
    if (!status && out->ok) status = op_judge_counts(c, r.ids, r.counts, out);
    if (!status && out->ok && r.prob_sums) judge_prob_sums(c, &r, out);
    if (!status && out->ok) status = op_judge_flags(c, out);
    free(r.ids);
    free(r.weights);
    free(r.counts);
    free(r.prob_sums);
    return status;
}

static moe_status judge(moe_op_case *c, op_layout *layout, moe_verdict *out) {
    (void)layout;
    return op_judge_route(c, out);
}

static moe_work_size work(const moe_op *op) { return moe_router_work(&op->layer, op->t); }

const op_kind op_route = {
    .make = op_make_route,
    .lay_out = lay_out,
    .judge = judge,
    .checks = OP_LOGITS,
    .work = work,
    .wish = 60,
};
