/* op_route_permute.c - router and index maps in one op on trial: the choice is judged as the
 * router's, the maps by the ids that the kernels themselves chose. */
#include "op_kind.h"
#include "workspace.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static moe_status make(moe_op_case *c, uint64_t seed) {
    MOE_TRY(op_route.make(c, seed));
    return op_upload(c, &c->buffers, MOE_ARG_mean_probs, NULL,
                     (size_t)c->op.layer.e * sizeof(float));
}

/* Which rows there will be is up to the kernels, so there is room for as many as can be. */
static moe_status lay_out(moe_op_case *c, op_layout *layout) {
    size_t experts = (size_t)c->op.layer.e, size = sizeof(int);
    op_buffers *b = &layout->buffers;
    layout->maps.rows = moe_workspace_rows(&c->op.layer, c->op.t, layout->align);
    MOE_TRY(op_upload(c, b, MOE_ARG_expert_start, NULL, (experts + 1) * size));
    MOE_TRY(op_upload(c, b, MOE_ARG_expert_rows, NULL, experts * size));
    MOE_TRY(op_upload(c, b, MOE_ARG_row_slots, NULL, (size_t)layout->maps.rows * size));
    MOE_TRY(op_upload(c, b, MOE_ARG_slot_rows, NULL, (size_t)c->slots * size));
    return op_upload(c, b, MOE_ARG_tile_start, NULL, MOE_TILE_HEIGHTS * (experts + 1) * size);
}

static void judge_mean_probs(const moe_op_case *c, const float *mean,
                             const unsigned long long *sums, moe_verdict *out) {
    for (int64_t e = 0; e < c->op.layer.e && out->ok; e++) {
        double want = (double)sums[e] * 0x1p-32 / (double)c->op.t;
        out->ok = fabs((double)mean[e] - want) <= 1e-6 * want;
        if (!out->ok)
            snprintf(out->text, sizeof out->text, "mean_probs[%lld] is %.9g, should be %.9g",
                     (long long)e, (double)mean[e], want);
    }
}

static moe_status judge_maps(moe_op_case *c, op_layout *layout, moe_verdict *out) {
    static const moe_arg args[] = {MOE_ARG_expert_start, MOE_ARG_expert_rows, MOE_ARG_row_slots,
                                   MOE_ARG_slot_rows, MOE_ARG_tile_start};
    int *maps[5] = {0}, *ids = NULL, *counts = NULL;
    moe_status status = MOE_OK;
    for (int i = 0; i < 5 && !status; i++)
        status = op_download(c, &layout->buffers, args[i], &maps[i]);
    if (!status) status = op_download(c, &c->buffers, MOE_ARG_ids, &ids);
    if (!status) status = op_download(c, &c->buffers, MOE_ARG_counts, &counts);
    if (!status) {
        int64_t rows = maps[0][c->op.layer.e];
        double error = out->error;
        if (rows < 0 || rows > layout->maps.rows) rows = layout->maps.rows;
        const moe_maps got = {maps[0], maps[1], maps[2], maps[3], maps[4], counts, rows};
        status = moe_check_maps(&c->op.layer, c->op.t, layout->align, ids, &got, out);
        out->error = error;
    }
    for (int i = 0; i < 5; i++) free(maps[i]);
    free(ids);
    free(counts);
    return status;
}

static moe_status judge(moe_op_case *c, op_layout *layout, moe_verdict *out) {
    unsigned long long *sums = NULL;
    float *mean = NULL;
    MOE_TRY(op_route.judge(c, layout, out));
    if (!out->ok) return MOE_OK;
    MOE_TRY(judge_maps(c, layout, out));
    if (!out->ok) return MOE_OK;
    moe_status status = op_download(c, &c->buffers, MOE_ARG_prob_sums, &sums);
    if (!status) status = op_download(c, &c->buffers, MOE_ARG_mean_probs, &mean);
    if (!status) judge_mean_probs(c, mean, sums, out);
    free(sums);
    free(mean);
    return status;
}

const op_kind op_route_permute = {
    .make = make,
    .lay_out = lay_out,
    .judge = judge,
    .outputs = {MOE_ARG_ids, MOE_ARG_weights, MOE_ARG_expert_start, MOE_ARG_expert_rows,
                MOE_ARG_row_slots, MOE_ARG_slot_rows, MOE_ARG_tile_start, MOE_ARG_COUNT},
    .counters = {MOE_ARG_counts, MOE_ARG_prob_sums, MOE_ARG_COUNT},
    .optional = {MOE_ARG_mean_probs, MOE_ARG_COUNT},
};
