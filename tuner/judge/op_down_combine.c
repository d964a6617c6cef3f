/* op_down_combine.c - gemm_down and combine at once on trial: y against the reference for given
 * rows of h and given weights. */
#include "judge/op_kind.h"
#include "random.h"

#include <stdlib.h>

static moe_status no_memory(const moe_op_case *c) {
    return moe_fail(MOE_E_MEMORY, "no memory for the reference of %lld tokens",
                    (long long)c->spots);
}

/* Makes want [d], the sum of a token's kept rows; h [k,f], experts [k] and rows [k,d] are
 * scratch. */
static moe_status sum_token(const moe_op_case *c, const moe_host_layer *in, int64_t token,
                            double *h, int *experts, double *rows, double *want) {
    const moe_layer *layer = &c->op.layer;
    int64_t d = layer->d, f = layer->f, first = token * layer->k, kept = 0;
    for (int64_t s = first; s < first + layer->k; s++) {
        if (!c->kept[s]) continue;
        experts[kept] = c->ids[s];
        for (int64_t i = 0; i < f; i++)
            h[kept * f + i] = moe_load(layer->x, c->slot_values, s * f + i);
        kept++;
    }
    MOE_TRY(moe_ref_down_rows(layer, in, kept, h, experts, rows));
    for (int64_t i = 0; i < d; i++) want[i] = 0;
    for (int64_t s = first; s < first + layer->k; s++) {
        double weight = layer->router.input ? 1 : (double)c->weights[s];
        for (int64_t i = 0; i < d && c->kept[s]; i++) want[i] += weight * rows[i];
        rows += c->kept[s] ? d : 0;
    }
    return MOE_OK;
}

static moe_status make_reference(moe_op_case *c) {
    const moe_host_layer in = moe_workload_host(&c->work);
    int64_t d = c->op.layer.d, f = c->op.layer.f, k = c->op.layer.k;
    double *h = malloc((size_t)(k * f) * sizeof *h), *rows = malloc((size_t)(k * d) * sizeof *rows);
    int *experts = malloc((size_t)k * sizeof *experts);
    c->want = malloc((size_t)(c->spots * d) * sizeof *c->want);
    moe_status status = h && rows && experts && c->want ? MOE_OK : no_memory(c);
    for (int64_t i = 0; i < c->spots && !status; i++)
        status = sum_token(c, &in, c->spot[i], h, experts, rows, c->want + i * d);
    free(h);
    free(rows);
    free(experts);
    return status;
}

static moe_status upload_inputs(moe_op_case *c) {
    MOE_TRY(op_upload_inputs(c));
    MOE_TRY(op_upload_weights(c));
    MOE_TRY(op_make_room(c, MOE_ARG_flags));
    return op_make_room(c, MOE_ARG_y);
}

static moe_status make(moe_op_case *c, uint64_t seed) {
    const moe_layer *layer = &c->op.layer;
    int64_t values = c->slots * layer->f;
    c->width = layer->d;
    MOE_TRY(op_make_inputs(c, seed));
    MOE_TRY(op_make_ids(c, seed));
    c->slot_values = malloc((size_t)values * moe_dtype_size(layer->x));
    if (!c->slot_values) return no_memory(c);
    moe_random_normal(moe_random_stream(seed, 'h'), layer->x, c->slot_values, values, 1);
    MOE_TRY(op_choose_spots(c, c->op.t, OP_SPOT_FLOPS / (2 * layer->d * layer->f * layer->k)));
    MOE_TRY(make_reference(c));
    return upload_inputs(c);
}

static moe_status lay_out(moe_op_case *c, op_layout *layout) {
    size_t row = (size_t)c->op.layer.d * moe_dtype_size(c->op.layer.x);
    MOE_TRY(op_upload_maps(c, layout));
    MOE_TRY(op_upload(c, &layout->buffers, MOE_ARG_slot_rows, layout->maps.slot_rows,
                      (size_t)c->slots * sizeof(int)));
    MOE_TRY(op_upload_rows(c, layout, MOE_ARG_h, c->op.layer.f));
    return op_upload(c, &layout->buffers, MOE_ARG_y_rows, NULL, (size_t)layout->maps.rows * row);
}

static moe_status judge(moe_op_case *c, op_layout *layout, moe_verdict *out) {
    (void)layout;
    return op_judge_rows(c, "y", c->buffers.address[MOE_ARG_y], c->buffers.bytes[MOE_ARG_y],
                         c->spot, out);
}

static moe_work_size work(const moe_op *op) {
    const moe_layer *l = &op->layer;
    const moe_expected at = moe_expect(l, op->t, op->routing);
    double t = (double)op->t, k = (double)l->k, d = (double)l->d, f = (double)l->f;
    double rows = at.rows * f + t * d;
    return (moe_work_size){2 * at.rows * d * f, at.experts * d * f * moe_w_bytes(l) +
                                                    rows * moe_x_bytes(l) + t * k * 8};
}

const op_kind op_down_combine = {
    .make = make,
    .lay_out = lay_out,
    .judge = judge,
    .checks = OP_AGAIN,
    .work = work,
    .wish = 150,
};
