/* op_experts.c - the fused op behind the router on trial: y of whole tokens against the reference. */
#include "op_kind.h"
#include "random.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static moe_status no_memory(const moe_op_case *c) {
    return moe_fail(MOE_E_MEMORY, "no memory for the reference of %lld tokens",
                    (long long)c->spots);
}

/* Weights of an expert's share: positive, around 1/k. */
static moe_status make_weights(moe_op_case *c, uint64_t seed) {
    const moe_random stream = moe_random_stream(seed, 'w');
    c->weights = malloc((size_t)c->slots * sizeof *c->weights);
    if (!c->weights) return no_memory(c);
    for (int64_t s = 0; s < c->slots; s++)
        c->weights[s] = (float)((double)(moe_random_bits(stream, (uint64_t)s) % 1000 + 500) /
                                (1000.0 * (double)c->op.layer.k));
    return MOE_OK;
}

/* Rows of the spots' kept slots: which token, expert and slot each is. */
typedef struct slots {
    int64_t count, *token, *slot;
    int *expert;
} slots;

static void slots_free(slots *s) {
    free(s->token);
    free(s->slot);
    free(s->expert);
}

static moe_status slots_init(moe_op_case *c, slots *out) {
    int64_t k = c->op.layer.k;
    size_t most = (size_t)(c->spots * k + 1);
    *out = (slots){0, malloc(most * sizeof(int64_t)), malloc(most * sizeof(int64_t)),
                   malloc(most * sizeof(int))};
    if (!out->token || !out->slot || !out->expert) return no_memory(c);
    for (int64_t i = 0; i < c->spots; i++)
        for (int64_t j = 0; j < k; j++) {
            int64_t slot = c->spot[i] * k + j;
            if (!c->kept[slot]) continue;
            out->token[out->count] = c->spot[i];
            out->slot[out->count] = i * k + j;
            out->expert[out->count++] = c->ids[slot];
        }
    return MOE_OK;
}

/* want[i] = sum over the kept slots of spot i, weighted. */
static void sum_rows(moe_op_case *c, const slots *s, const double *rows) {
    int64_t d = c->width, k = c->op.layer.k;
    memset(c->want, 0, (size_t)(c->spots * d) * sizeof *c->want);
    for (int64_t n = 0; n < s->count; n++) {
        int64_t spot = s->slot[n] / k;
        double weight = c->weights[c->spot[spot] * k + s->slot[n] % k];
        for (int64_t j = 0; j < d; j++) c->want[spot * d + j] += weight * rows[n * d + j];
    }
}

static moe_status reference(moe_op_case *c) {
    const moe_host_layer in = moe_workload_host(&c->work);
    const moe_layer *layer = &c->op.layer;
    double *h = NULL, *rows = NULL;
    slots s;
    moe_status status = slots_init(c, &s);
    c->want = malloc((size_t)(c->spots * c->width + 1) * sizeof *c->want);
    if (!status) h = malloc((size_t)(s.count * layer->f + 1) * sizeof *h);
    if (!status) rows = malloc((size_t)(s.count * layer->d + 1) * sizeof *rows);
    if (!status && (!c->want || !h || !rows)) status = no_memory(c);
    if (!status) status = moe_ref_up_rows(layer, &in, s.count, s.token, s.expert, h);
    if (!status) status = moe_ref_down_rows(layer, &in, s.count, h, s.expert, rows);
    if (!status) sum_rows(c, &s, rows);
    slots_free(&s);
    free(h);
    free(rows);
    return status;
}

static moe_status upload_inputs(moe_op_case *c) {
    const moe_layer *layer = &c->op.layer;
    const moe_layer_sizes sizes = moe_layer_elements(layer, c->op.t);
    size_t element = moe_dtype_size(layer->x), all = (size_t)c->slots;
    op_buffers *b = &c->buffers;
    MOE_TRY(op_upload(c, b, MOE_ARG_x, c->work.x, (size_t)sizes.x * element));
    MOE_TRY(op_upload(c, b, MOE_ARG_up, c->work.up, (size_t)sizes.up * element));
    MOE_TRY(op_upload(c, b, MOE_ARG_down, c->work.down, (size_t)sizes.down * element));
    if (c->work.up_bias)
        MOE_TRY(op_upload(c, b, MOE_ARG_up_bias, c->work.up_bias,
                          (size_t)sizes.up_bias * element));
    if (c->work.down_bias)
        MOE_TRY(op_upload(c, b, MOE_ARG_down_bias, c->work.down_bias,
                          (size_t)sizes.down_bias * element));
    MOE_TRY(op_upload(c, b, MOE_ARG_ids, c->ids, all * sizeof(int)));
    return op_upload(c, b, MOE_ARG_weights, c->weights, all * sizeof(float));
}

static moe_status make(moe_op_case *c, uint64_t seed) {
    const moe_layer *layer = &c->op.layer;
    int64_t flops = 2 * layer->k * layer->d * (moe_layer_up_rows(layer) + layer->f);
    c->width = layer->d;
    MOE_TRY(moe_workload_init(&c->work, layer, c->op.t, c->op.routing, seed,
                              MOE_MAKE_X | MOE_MAKE_UP | MOE_MAKE_DOWN));
    MOE_TRY(op_make_ids(c, seed));
    MOE_TRY(make_weights(c, seed));
    MOE_TRY(op_choose_spots(c, c->op.t, OP_SPOT_FLOPS / flops));
    MOE_TRY(reference(c));
    MOE_TRY(upload_inputs(c));
    op_buffers *b = &c->buffers;
    size_t bytes = (size_t)(c->op.t * layer->d) * moe_dtype_size(layer->x);
    MOE_TRY(op_upload(c, b, MOE_ARG_y, NULL, bytes));
    MOE_TRY(op_upload(c, b, MOE_ARG_flags, NULL, MOE_FLAGS * sizeof(int)));
    MOE_TRY(op_upload(c, b, MOE_ARG_counts, NULL, (size_t)layer->e * sizeof(int)));
    return op_upload(c, b, MOE_ARG_slot_rows, NULL, (size_t)c->slots * sizeof(int));
}

static moe_status lay_out(moe_op_case *c, op_layout *layout) {
    const moe_layer *layer = &c->op.layer;
    size_t rows = (size_t)layout->maps.rows * moe_dtype_size(layer->x);
    MOE_TRY(op_upload(c, &layout->buffers, MOE_ARG_h, NULL, rows * (size_t)layer->f));
    return op_upload(c, &layout->buffers, MOE_ARG_y_rows, NULL, rows * (size_t)layer->d);
}

/* Dropped slots have no row; each kept one has its own among its expert's. */
static void judge_rows(const moe_op_case *c, const op_layout *layout, const int *rows,
                       unsigned char *taken, moe_verdict *out) {
    const moe_row_maps *maps = &layout->maps;
    for (int64_t s = 0; s < c->slots && out->ok; s++) {
        int row = rows[s], first = c->kept[s] ? maps->expert_start[c->ids[s]] : 0;
        if (c->kept[s])
            out->ok = row >= first && row < first + maps->expert_rows[c->ids[s]] && !taken[row];
        else
            out->ok = row == -1;
        if (out->ok && row >= 0) taken[row] = 1;
        if (!out->ok)
            snprintf(out->text, sizeof out->text, "slot_rows[%lld] is %d, which is %s",
                     (long long)s, row, c->kept[s] ? "no free row of its expert" : "dropped");
    }
}

static void judge_counts(const moe_op_case *c, const int *counts, moe_verdict *out) {
    for (int64_t e = 0; e < c->op.layer.e && out->ok; e++) {
        int want = 0;
        for (int64_t s = 0; s < c->slots; s++) want += c->ids[s] == e;
        out->ok = counts[e] == want;
        if (!out->ok)
            snprintf(out->text, sizeof out->text, "counts[%lld] is %d, should be %d",
                     (long long)e, counts[e], want);
    }
}

static moe_status judge(moe_op_case *c, op_layout *layout, moe_verdict *out) {
    const op_buffers *b = &c->buffers;
    int *rows = NULL, *counts = NULL;
    unsigned char *taken = calloc((size_t)layout->maps.rows + 1, 1);
    moe_status status = taken ? MOE_OK : no_memory(c);
    if (!status)
        status = op_judge_rows(c, "y of token", b->address[MOE_ARG_y], b->bytes[MOE_ARG_y],
                               c->spot, out);
    if (!status) status = op_download(c, b, MOE_ARG_slot_rows, &rows);
    if (!status) status = op_download(c, b, MOE_ARG_counts, &counts);
    if (!status && out->ok) judge_rows(c, layout, rows, taken, out);
    if (!status && out->ok) judge_counts(c, counts, out);
    free(taken);
    free(rows);
    free(counts);
    return status;
}

const op_kind op_experts = {
    .make = make,
    .lay_out = lay_out,
    .judge = judge,
    .outputs = {MOE_ARG_y, MOE_ARG_h, MOE_ARG_y_rows, MOE_ARG_slot_rows, MOE_ARG_COUNT},
    .counters = {MOE_ARG_counts, MOE_ARG_COUNT},
    .optional = {MOE_ARG_slot_rows, MOE_ARG_COUNT},
};
