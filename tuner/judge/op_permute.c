/* op_permute.c - the permute op on trial: its maps are integers and must be exact. */
#include "judge/op_kind.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

void op_fill_shared(moe_op_case *c) {
    for (int64_t pair = c->slots; pair < c->pairs; pair++) {
        int64_t expert = moe_layer_held(&c->op.layer) + (pair - c->slots) / c->op.t;
        c->ids[pair] = (int)expert;
        c->weights[pair] = 1;
        c->kept[pair] = 1;
    }
}

/* By the op's routing class. */
moe_status op_make_ids(moe_op_case *c, uint64_t seed) {
    const moe_layer *layer = &c->op.layer;
    int64_t tokens = c->op.t, experts = layer->e;
    moe_workload routed;
    MOE_TRY(moe_workload_init(&routed, layer, tokens, c->op.routing, seed, MOE_MAKE_LOGITS));
    double *logits = malloc((size_t)(tokens * experts) * sizeof *logits);
    double *weights = malloc((size_t)c->slots * sizeof *weights);
    c->ids = malloc((size_t)c->pairs * sizeof *c->ids);
    c->given_ids = malloc((size_t)c->slots * sizeof *c->given_ids);
    c->weights = malloc((size_t)c->pairs * sizeof *c->weights);
    c->kept = malloc((size_t)c->pairs);
    moe_status status = MOE_OK;
    if (!logits || !weights || !c->ids || !c->given_ids || !c->weights || !c->kept) {
        status = moe_fail(MOE_E_MEMORY, "no memory for the routing of %lld tokens",
                          (long long)tokens);
    } else {
        for (int64_t i = 0; i < tokens * experts; i++) logits[i] = (double)routed.logits[i];
        moe_ref_route(layer, tokens, logits, NULL, c->given_ids, weights, NULL, NULL);
        moe_ref_local_ids(layer, c->first_expert, c->slots, c->given_ids, c->ids);
        for (int64_t s = 0; s < c->slots; s++) c->weights[s] = (float)weights[s];
        moe_ref_capacity(layer, tokens, c->ids, c->weights, c->kept);
        op_fill_shared(c);
    }
    free(logits);
    free(weights);
    moe_workload_free(&routed);
    return status;
}

/* -------------------------------------------------------------------------------- mean_probs */

static unsigned long long made_sum(int64_t expert) {
    return (unsigned long long)(expert + 1) << 30;
}

moe_status op_upload_prob_sums(moe_op_case *c) {
    size_t experts = (size_t)c->op.layer.e;
    unsigned long long *sums = malloc(experts * sizeof *sums);
    if (!sums) return moe_fail(MOE_E_MEMORY, "no memory for %zu experts", experts);
    for (size_t e = 0; e < experts; e++) sums[e] = made_sum((int64_t)e);
    moe_status status =
        op_upload(c, &c->buffers, MOE_ARG_prob_sums, sums, experts * sizeof *sums);
    free(sums);
    return status;
}

moe_status op_judge_mean_probs(moe_op_case *c, const unsigned long long *sums, moe_verdict *out) {
    float *got = NULL;
    moe_status status = op_download(c, &c->buffers, MOE_ARG_mean_probs, &got);
    for (int64_t e = 0; e < c->op.layer.e && out->ok && !status; e++) {
        double sum = (double)(sums ? sums[e] : made_sum(e));
        double want = sum * 0x1p-32 / (double)c->op.t;
        out->ok = fabs((double)got[e] - want) <= 1e-6 * want;
        if (!out->ok)
            snprintf(out->text, sizeof out->text, "mean_probs[%lld] is %.9g, should be %.9g",
                     (long long)e, (double)got[e], want);
    }
    free(got);
    return status;
}

/* ------------------------------------------------------------------------------------- counts */

static bool is_held(const moe_op_case *c, int64_t expert) {
    return expert >= c->first_expert && expert < c->first_expert + moe_layer_held(&c->op.layer);
}

moe_status op_judge_counts(const moe_op_case *c, const int *ids, const int *counts,
                           moe_verdict *out) {
    const int64_t experts = c->op.layer.e;
    int *want = calloc((size_t)experts, sizeof *want);
    if (!want) return moe_fail(MOE_E_MEMORY, "no memory to count for %lld experts",
                               (long long)experts);
    for (int64_t s = 0; s < c->slots; s++)
        if (ids[s] >= 0 && ids[s] < experts) want[ids[s]]++;
    for (int64_t e = 0; e < experts && out->ok; e++) {
        out->ok = counts[e] == want[e] || (counts[e] == 0 && !is_held(c, e));
        if (!out->ok)
            snprintf(out->text, sizeof out->text, "counts[%lld] is %d, should be %d", (long long)e,
                     counts[e], want[e]);
    }
    free(want);
    return MOE_OK;
}

/* --------------------------------------------------------------------------------------- maps */

moe_status op_lay_out_maps(moe_op_case *c, op_layout *layout) {
    size_t experts = (size_t)moe_layer_listed(&c->op.layer), size = sizeof(int);
    op_buffers *b = &layout->buffers;
    MOE_TRY(op_upload(c, b, MOE_ARG_expert_start, NULL, (experts + 1) * size));
    MOE_TRY(op_upload(c, b, MOE_ARG_expert_rows, NULL, experts * size));
    MOE_TRY(op_upload(c, b, MOE_ARG_row_slots, NULL, (size_t)layout->rows * size));
    MOE_TRY(op_upload(c, b, MOE_ARG_slot_rows, NULL, (size_t)c->slots * size));
    return op_upload(c, b, MOE_ARG_tile_start, NULL, MOE_TILE_HEIGHTS * (experts + 1) * size);
}

moe_status op_judge_maps(moe_op_case *c, op_layout *layout, const int *ids, moe_verdict *out) {
    static const moe_arg args[] = {MOE_ARG_expert_start, MOE_ARG_expert_rows, MOE_ARG_row_slots,
                                   MOE_ARG_slot_rows, MOE_ARG_tile_start};
    int *maps[5] = {0}, *counts = NULL;
    moe_status status = MOE_OK;
    for (int i = 0; i < 5 && !status; i++)
        status = op_download(c, &layout->buffers, args[i], &maps[i]);
    if (!status) status = op_download(c, &c->buffers, MOE_ARG_counts, &counts);
    int *local = malloc((size_t)c->slots * sizeof *local);
    if (!local && !status) status = moe_fail(MOE_E_MEMORY, "no memory for ids");
    if (!status) {
        moe_ref_local_ids(&c->op.layer, c->first_expert, c->slots, ids, local);
        const moe_maps got = {maps[0], maps[1], maps[2], maps[3], maps[4], NULL, layout->rows};
        status = moe_check_maps(&c->op.layer, c->op.t, layout->align, local, c->weights,
                                &got, out);
    }
    if (!status && out->ok) status = op_judge_counts(c, ids, counts, out);
    free(local);
    for (int i = 0; i < 5; i++) free(maps[i]);
    free(counts);
    return status;
}

/* ------------------------------------------------------------------------------------- permute */

static moe_status make(moe_op_case *c, uint64_t seed) {
    size_t experts = (size_t)c->op.layer.e;
    MOE_TRY(op_make_ids(c, seed));
    MOE_TRY(op_upload(c, &c->buffers, MOE_ARG_ids, c->given_ids, (size_t)c->slots * sizeof(int)));
    MOE_TRY(op_upload(c, &c->buffers, MOE_ARG_weights, c->weights,
                      (size_t)c->slots * sizeof(float)));
    MOE_TRY(op_upload(c, &c->buffers, MOE_ARG_counts, NULL, experts * sizeof(int)));
    MOE_TRY(op_upload_prob_sums(c));
    return op_upload(c, &c->buffers, MOE_ARG_mean_probs, NULL, experts * sizeof(float));
}

static moe_status judge(moe_op_case *c, op_layout *layout, moe_verdict *out) {
    MOE_TRY(op_judge_maps(c, layout, c->given_ids, out));
    return out->ok ? op_judge_mean_probs(c, NULL, out) : MOE_OK;
}

static moe_work_size work(const moe_op *op) {
    double maps = (double)(op->layer.k * 3 + moe_layer_shared_experts(&op->layer) * 2);
    return (moe_work_size){0, (double)op->t * maps * 4};
}

const op_kind op_permute = {
    .make = make,
    .lay_out = op_lay_out_maps,
    .judge = judge,
    .checks = OP_OTHER_ALIGN,
    .work = work,
    .wish = 30,
};
