/* op_gemm.c - the two expert GEMMs on trial: rows of h and of y_rows against the reference. */
#include "judge/op_kind.h"
#include "random.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static moe_status no_memory(const moe_op_case *c) {
    return moe_fail(MOE_E_MEMORY, "no memory for the reference of %lld rows", (long long)c->spots);
}

/* Spots among the kept slots, in expert order, so that few of them still meet most experts. */
static moe_status choose_slots(moe_op_case *c, int64_t row_flops) {
    moe_row_maps maps;
    MOE_TRY(moe_row_maps_init(&maps, &c->op.layer, c->op.t, 1, c->ids, c->kept));
    moe_status status = op_choose_spots(c, maps.rows, OP_SPOT_FLOPS / row_flops);
    for (int64_t i = 0; i < c->spots && !status; i++) c->spot[i] = maps.row_slots[c->spot[i]];
    moe_row_maps_free(&maps);
    return status;
}

/* row_slots as kernels get them. */
static moe_status upload_row_slots(moe_op_case *c, op_layout *layout) {
    const moe_row_maps *maps = &layout->maps;
    int *slots = malloc((size_t)(maps->rows + 1) * sizeof *slots);
    if (!slots) return no_memory(c);
    for (int64_t row = 0; row < maps->rows; row++) {
        int pair = maps->row_slots[row];
        slots[row] = pair < 0 ? -1 : moe_pair_slot(&c->op.layer, c->op.t, pair);
    }
    moe_status status = op_upload(c, &layout->buffers, MOE_ARG_row_slots, slots,
                                  (size_t)maps->rows * sizeof *slots);
    free(slots);
    return status;
}

moe_status op_upload_maps(moe_op_case *c, op_layout *layout) {
    size_t experts = (size_t)moe_layer_listed(&c->op.layer), size = sizeof(int);
    op_buffers *b = &layout->buffers;
    const moe_row_maps *maps = &layout->maps;
    MOE_TRY(op_upload(c, b, MOE_ARG_expert_start, maps->expert_start, (experts + 1) * size));
    MOE_TRY(op_upload(c, b, MOE_ARG_expert_rows, maps->expert_rows, experts * size));
    MOE_TRY(upload_row_slots(c, layout));
    return op_upload(c, b, MOE_ARG_tile_start, maps->tile_start,
                     MOE_TILE_HEIGHTS * (experts + 1) * size);
}

static moe_status judge_rows(moe_op_case *c, op_layout *layout, moe_arg output, moe_verdict *out) {
    int64_t *row = malloc((size_t)(c->spots + 1) * sizeof *row);
    if (!row) return no_memory(c);
    for (int64_t i = 0; i < c->spots; i++) row[i] = layout->maps.slot_rows[c->spot[i]];
    moe_status status = op_judge_rows(c, output == MOE_ARG_h ? "h of slot" : "y_rows of slot",
                                      layout->buffers.address[output],
                                      layout->buffers.bytes[output], row, out);
    free(row);
    return status;
}

/* Room for results, one row more than zero so that no kernel gets an empty buffer. */
static moe_status make_output(moe_op_case *c, op_layout *layout, moe_arg arg, int64_t width) {
    size_t bytes = (size_t)(layout->rows * width) * moe_dtype_size(c->op.layer.x);
    return op_upload(c, &layout->buffers, arg, NULL, bytes);
}

/* --------------------------------------------------------------------------- shared experts */

/* The spots before this one are of chosen experts. */
static int64_t first_shared(const moe_op_case *c) {
    int64_t i = 0;
    while (i < c->spots && c->spot[i] < c->slots) i++;
    return i;
}

/* A layer whose experts are what kernels see the shared one as. */
static moe_layer slice_layer(const moe_op_case *c) {
    moe_layer layer = c->op.layer;
    layer.e = moe_layer_shared_experts(&layer);
    layer.k = 1;
    layer.shared = (moe_shared){0};
    layer.local = 0;
    layer.router.input = false;
    return layer;
}

/* The shared expert's up or down weights as those of `slice`'s experts: new memory, or NULL. */
static void *slice_weights(const moe_op_case *c, const moe_layer *slice, bool up) {
    const size_t size = moe_dtype_size(slice->w);
    const int64_t n = slice->e, f = slice->f, d = slice->d, wide = n * f;
    const bool pairs = slice->layout == MOE_LAYOUT_INTERLEAVED, gated = moe_layer_gated(slice);
    const int64_t halves = up && gated && !pairs ? 2 : 1; /* parts that lie apart */
    const int64_t part = up ? (gated && pairs ? 2 * f : f) : f;
    const char *from = up ? c->work.shared_up : c->work.shared_down;
    char *to = malloc((size_t)(n * (up ? moe_layer_up_rows(slice) : f) * d) * size + 1);
    char *next = to;
    for (int64_t e = 0; e < n && next; e++)
        for (int64_t i = 0; i < (up ? halves : d); i++) {
            int64_t row = up ? (i * wide + e * part) * d : i * wide + e * f;
            size_t bytes = (size_t)(up ? part * d : f) * size;
            memcpy(next, from + (size_t)row * size, bytes);
            next += bytes;
        }
    return to;
}

/* -------------------------------------------------------------------------------------- up */

static moe_status shared_up_reference(moe_op_case *c, int64_t n, const int64_t *tokens,
                                      int *experts, double *want) {
    const moe_layer slice = slice_layer(c);
    const moe_host_layer in = {.x = c->work.x, .up = slice_weights(c, &slice, true)};
    for (int64_t i = 0; i < n; i++) experts[i] -= (int)moe_layer_held(&c->op.layer);
    moe_status status = in.up ? moe_ref_up_rows(&slice, &in, n, tokens, experts, NULL, want)
                              : no_memory(c);
    free((void *)(uintptr_t)in.up);
    return status;
}

static moe_status up_reference(moe_op_case *c) {
    const moe_host_layer in = moe_workload_host(&c->work);
    int64_t *tokens = malloc((size_t)(c->spots + 1) * sizeof *tokens);
    int *experts = malloc((size_t)(c->spots + 1) * sizeof *experts);
    double *weights = malloc((size_t)(c->spots + 1) * sizeof *weights);
    c->want = malloc((size_t)(c->spots * c->width + 1) * sizeof *c->want);
    moe_status status = MOE_OK;
    if (!tokens || !experts || !weights || !c->want) status = no_memory(c);
    for (int64_t i = 0; i < c->spots && !status; i++) {
        tokens[i] = moe_pair_token(&c->op.layer, c->op.t, c->spot[i]);
        experts[i] = c->ids[c->spot[i]];
        weights[i] = (double)c->weights[c->spot[i]];
    }
    int64_t routed = first_shared(c);
    if (!status)
        status = moe_ref_up_rows(&c->op.layer, &in, routed, tokens, experts, weights, c->want);
    if (routed < c->spots && !status)
        status = shared_up_reference(c, c->spots - routed, tokens + routed, experts + routed,
                                     c->want + routed * c->width);
    free(tokens);
    free(experts);
    free(weights);
    return status;
}

static moe_status up_make(moe_op_case *c, uint64_t seed) {
    const moe_layer *layer = &c->op.layer;
    c->width = layer->f;
    MOE_TRY(op_make_inputs(c, seed));
    MOE_TRY(op_make_ids(c, seed));
    MOE_TRY(choose_slots(c, 2 * layer->d * moe_layer_up_rows(layer)));
    MOE_TRY(up_reference(c));
    MOE_TRY(op_upload_inputs(c));
    return op_upload_weights(c);
}

static moe_status up_lay_out(moe_op_case *c, op_layout *layout) {
    MOE_TRY(op_upload_maps(c, layout));
    return make_output(c, layout, MOE_ARG_h, c->op.layer.f);
}

static moe_status up_judge(moe_op_case *c, op_layout *layout, moe_verdict *out) {
    return judge_rows(c, layout, MOE_ARG_h, out);
}

/* ------------------------------------------------------------------------------------ down */

static moe_status shared_down_reference(moe_op_case *c, int64_t n, const double *h, int *experts,
                                        double *want) {
    const moe_layer slice = slice_layer(c);
    const moe_host_layer in = {.down = slice_weights(c, &slice, false)};
    for (int64_t i = 0; i < n; i++) experts[i] -= (int)moe_layer_held(&c->op.layer);
    moe_status status = in.down ? moe_ref_down_rows(&slice, &in, n, h, experts, want)
                                : no_memory(c);
    free((void *)(uintptr_t)in.down);
    return status;
}

static moe_status down_reference(moe_op_case *c) {
    const moe_host_layer in = moe_workload_host(&c->work);
    int64_t f = c->op.layer.f;
    double *h = malloc((size_t)(c->spots * f + 1) * sizeof *h);
    int *experts = malloc((size_t)(c->spots + 1) * sizeof *experts);
    c->want = malloc((size_t)(c->spots * c->width + 1) * sizeof *c->want);
    moe_status status = MOE_OK;
    if (!h || !experts || !c->want) status = no_memory(c);
    for (int64_t i = 0; i < c->spots && !status; i++) {
        experts[i] = c->ids[c->spot[i]];
        for (int64_t j = 0; j < f; j++)
            h[i * f + j] = moe_load(c->op.layer.x, c->slot_values, c->spot[i] * f + j);
    }
    int64_t routed = first_shared(c);
    if (!status) status = moe_ref_down_rows(&c->op.layer, &in, routed, h, experts, c->want);
    if (routed < c->spots && !status)
        status = shared_down_reference(c, c->spots - routed, h + routed * f, experts + routed,
                                       c->want + routed * c->width);
    free(h);
    free(experts);
    return status;
}

static moe_status down_make(moe_op_case *c, uint64_t seed) {
    const moe_layer *layer = &c->op.layer;
    size_t element = moe_dtype_size(layer->x);
    int64_t values = c->pairs * layer->f;
    c->width = layer->d;
    MOE_TRY(op_make_inputs(c, seed));
    MOE_TRY(op_make_ids(c, seed));
    c->slot_values = malloc((size_t)values * element);
    if (!c->slot_values) return no_memory(c);
    moe_random_normal(moe_random_stream(seed, 'h'), layer->x, c->slot_values, values, 1);
    MOE_TRY(choose_slots(c, 2 * layer->d * layer->f));
    MOE_TRY(down_reference(c));
    return op_upload_inputs(c);
}

static moe_status down_lay_out(moe_op_case *c, op_layout *layout) {
    MOE_TRY(op_upload_maps(c, layout));
    MOE_TRY(op_upload_rows(c, layout, MOE_ARG_h, c->op.layer.f));
    return make_output(c, layout, MOE_ARG_y_rows, c->op.layer.d);
}

static moe_status down_judge(moe_op_case *c, op_layout *layout, moe_verdict *out) {
    return judge_rows(c, layout, MOE_ARG_y_rows, out);
}

static moe_work_size up_work(const moe_op *op) {
    const moe_layer *l = &op->layer;
    const moe_expected at = moe_expect(l, op->t, op->routing);
    double d = (double)l->d, up = (double)moe_layer_up_rows(l);
    double rows = fmin((double)op->t, at.rows) * d + at.rows * (double)l->f;
    return (moe_work_size){2 * at.rows * d * up,
                           at.experts * d * up * moe_w_bytes(l) + rows * moe_x_bytes(l)};
}

const op_kind op_gemm_up = {
    .make = up_make,
    .lay_out = up_lay_out,
    .judge = up_judge,
    .work = up_work,
    .wish = 150,
};

static moe_work_size down_work(const moe_op *op) {
    const moe_layer *l = &op->layer;
    const moe_expected at = moe_expect(l, op->t, op->routing);
    double d = (double)l->d, f = (double)l->f;
    return (moe_work_size){2 * at.rows * d * f, at.experts * d * f * moe_w_bytes(l) +
                                                    at.rows * (f + d) * moe_x_bytes(l)};
}

const op_kind op_gemm_down = {
    .make = down_make,
    .lay_out = down_lay_out,
    .judge = down_judge,
    .work = down_work,
    .wish = 150,
};
