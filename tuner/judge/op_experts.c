/* op_experts.c - everything behind the router on trial: y against the reference for the case's own
 * experts and weights, and the maps and statistics that callers may ask for. */
#include "core/workspace.h"
#include "judge/op_kind.h"

#include <stdlib.h>
#include <string.h>

static moe_status no_memory(const moe_op_case *c) {
    return moe_fail(MOE_E_MEMORY, "no memory for the reference of %lld tokens",
                    (long long)c->spots);
}

static moe_status make_outputs(moe_op_case *c) {
    static const moe_arg outputs[] = {MOE_ARG_y, MOE_ARG_slot_rows, MOE_ARG_counts,
                                      MOE_ARG_mean_probs, MOE_ARG_flags};
    for (size_t i = 0; i < sizeof outputs / sizeof *outputs; i++)
        MOE_TRY(op_make_room(c, outputs[i]));
    return op_upload_prob_sums(c);
}

static moe_status make(moe_op_case *c, uint64_t seed) {
    const moe_layer *layer = &c->op.layer;
    int64_t token_flops = 2 * layer->d * layer->k * (moe_layer_up_rows(layer) + layer->f);
    c->width = layer->d;
    MOE_TRY(moe_workload_init(&c->work, layer, c->op.t, c->op.routing, seed,
                              MOE_MAKE_BEHIND_ROUTER));
    MOE_TRY(op_make_ids(c, seed));
    MOE_TRY(op_choose_spots(c, c->op.t, OP_SPOT_FLOPS / token_flops));
    MOE_TRY(op_refer_layer(c));
    MOE_TRY(op_upload_inputs(c));
    MOE_TRY(op_upload_routing(c, c->given_ids));
    return make_outputs(c);
}

/* The rows of h and y_rows are those of a run's workspace. */
static moe_status lay_out(moe_op_case *c, op_layout *layout) {
    const moe_layer *layer = &c->op.layer;
    size_t element = moe_dtype_size(layer->x);
    layout->rows = moe_workspace_rows(layer, c->op.t, layout->align);
    MOE_TRY(op_upload(c, &layout->buffers, MOE_ARG_h, NULL,
                      (size_t)(layout->rows * layer->f) * element));
    return op_upload(c, &layout->buffers, MOE_ARG_y_rows, NULL,
                     (size_t)(layout->rows * layer->d) * element);
}

/* The rows of slots turned into slots of rows, so that two slots in one row are seen. */
static int *slots_of_rows(const moe_op_case *c, const op_layout *layout, const int *slot_rows) {
    int *row_slots = malloc((size_t)(layout->maps.rows + 1) * sizeof *row_slots);
    if (!row_slots) return NULL;
    memset(row_slots, 0xff, (size_t)layout->maps.rows * sizeof *row_slots);
    for (int64_t s = 0; s < c->slots; s++)
        if (slot_rows[s] >= 0 && slot_rows[s] < layout->maps.rows)
            row_slots[slot_rows[s]] = (int)s;
    return row_slots;
}

static moe_status judge_slot_rows(moe_op_case *c, op_layout *layout, moe_verdict *out) {
    int *slot_rows = NULL, *counts = NULL, *row_slots = NULL;
    const moe_row_maps *maps = &layout->maps;
    moe_status status = op_download(c, &c->buffers, MOE_ARG_slot_rows, &slot_rows);
    if (!status) status = op_download(c, &c->buffers, MOE_ARG_counts, &counts);
    if (!status) row_slots = slots_of_rows(c, layout, slot_rows);
    if (!status && !row_slots) status = no_memory(c);
    if (!status) {
        const moe_maps got = {maps->expert_start, maps->expert_rows, row_slots, slot_rows,
                              maps->tile_start, NULL, maps->rows};
        status = moe_check_maps(&c->op.layer, c->op.t, layout->align, c->ids, c->weights,
                                &got, out);
    }
    if (!status && out->ok) status = op_judge_counts(c, c->given_ids, counts, out);
    free(slot_rows);
    free(counts);
    free(row_slots);
    return status;
}

static moe_status judge(moe_op_case *c, op_layout *layout, moe_verdict *out) {
    MOE_TRY(op_judge_rows(c, "y", c->buffers.address[MOE_ARG_y], c->buffers.bytes[MOE_ARG_y],
                          c->spot, out));
    double error = out->error;
    if (out->ok) MOE_TRY(judge_slot_rows(c, layout, out));
    if (out->ok) MOE_TRY(op_judge_mean_probs(c, NULL, out));
    out->error = error;
    return MOE_OK;
}

static moe_work_size work(const moe_op *op) {
    return moe_experts_work(&op->layer, op->t, op->routing);
}

const op_kind op_experts = {
    .make = make,
    .lay_out = lay_out,
    .judge = judge,
    .checks = OP_AGAIN,
    .work = work,
    .wish = 120,
};
