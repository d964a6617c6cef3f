/* op_route_permute.c - the fused router and maps on trial: what it routes is judged as the route
 * op's, and its maps by the experts that it chose itself, or was given. */
#include "core/workspace.h"
#include "judge/op_kind.h"

#include <stdio.h>
#include <stdlib.h>

static moe_status make(moe_op_case *c, uint64_t seed) {
    MOE_TRY(op_make_ids(c, seed));
    MOE_TRY(op_make_route(c, seed));
    return op_upload(c, &c->buffers, MOE_ARG_mean_probs, NULL,
                     (size_t)c->op.layer.e * sizeof(float));
}

/* What the kernel will choose is not known: there is room for the most rows that there can be. */
static moe_status lay_out(moe_op_case *c, op_layout *layout) {
    layout->rows = moe_workspace_rows(&c->op.layer, c->op.t, layout->align);
    return op_lay_out_maps(c, layout);
}

static moe_status judge_routed(moe_op_case *c, op_layout *layout, moe_verdict *out) {
    int *ids = NULL;
    unsigned long long *sums = NULL;
    MOE_TRY(op_judge_route(c, out));
    if (!out->ok) return MOE_OK;
    double error = out->error;
    moe_status status = op_download(c, &c->buffers, MOE_ARG_ids, &ids);
    if (!status) status = op_download(c, &c->buffers, MOE_ARG_prob_sums, &sums);
    if (!status) status = op_judge_maps(c, layout, ids, out);
    if (!status && out->ok) status = op_judge_mean_probs(c, sums, out);
    out->error = error;
    free(ids);
    free(sums);
    return status;
}

/* What is given is an input. */
static void judge_inputs(const moe_op_case *c, const int *ids, const float *weights,
                         moe_verdict *out) {
    for (int64_t s = 0; s < c->slots && out->ok; s++) {
        out->ok = ids[s] == c->given_ids[s] && weights[s] == c->weights[s];
        if (!out->ok)
            snprintf(out->text, sizeof out->text,
                     "ids[%lld] and weights[%lld], which were given, are %d and %.9g, were %d and "
                     "%.9g",
                     (long long)s, (long long)s, ids[s], (double)weights[s], c->given_ids[s],
                     (double)c->weights[s]);
    }
}

static moe_status judge_given(moe_op_case *c, op_layout *layout, moe_verdict *out) {
    int *ids = NULL;
    float *weights = NULL;
    MOE_TRY(op_judge_maps(c, layout, c->given_ids, out));
    moe_status status = op_download(c, &c->given[MOE_ENTRY_GIVEN], MOE_ARG_ids, &ids);
    if (!status) status = op_download(c, &c->given[MOE_ENTRY_GIVEN], MOE_ARG_weights, &weights);
    if (!status) judge_inputs(c, ids, weights, out);
    if (!status && out->ok) status = op_judge_flags(c, out);
    free(ids);
    free(weights);
    return status;
}

static moe_status judge(moe_op_case *c, op_layout *layout, moe_verdict *out) {
    return c->entry == MOE_ENTRY_GIVEN ? judge_given(c, layout, out) : judge_routed(c, layout, out);
}

static moe_work_size work(const moe_op *op) {
    moe_work_size work = moe_router_work(&op->layer, op->t);
    double maps = (double)(op->layer.k + moe_layer_shared_experts(&op->layer)) * 2;
    work.bytes += (double)op->t * maps * 4;
    return work;
}

const op_kind op_route_permute = {
    .make = make,
    .lay_out = lay_out,
    .judge = judge,
    .checks = OP_OTHER_ALIGN | OP_GIVEN | OP_LOGITS,
    .work = work,
    .wish = 60,
};
