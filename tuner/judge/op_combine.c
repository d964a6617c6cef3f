/* op_combine.c - the combine op on trial. */
#include "judge/op_kind.h"
#include "random.h"

#include <stdlib.h>

/* Experts that the rows pretend to come from, so that a token's rows lie far apart as in a
 * layer. */
enum { EXPERTS = 64, DROP_ONE_IN = 61 };

/* Only the maps see these experts; the device holds the share of them that the op names. */
static void set_experts(moe_layer *layer) {
    layer->local = (layer->local * EXPERTS + layer->e - 1) / layer->e;
    layer->e = EXPERTS;
}

/* Random experts and weights; a few slots are dropped, and of a few tokens all. Rows of experts
 * elsewhere are not here. */
static moe_status make_routing(moe_op_case *c, uint64_t seed) {
    const moe_random expert = moe_random_stream(seed, 'e'), weight = moe_random_stream(seed, 'w');
    int64_t k = c->op.layer.k, held = moe_layer_held(&c->op.layer);
    c->ids = malloc((size_t)c->pairs * sizeof *c->ids);
    c->kept = malloc((size_t)c->pairs);
    c->weights = malloc((size_t)c->pairs * sizeof *c->weights);
    if (!c->ids || !c->kept || !c->weights)
        return moe_fail(MOE_E_MEMORY, "no memory for %lld slots", (long long)c->slots);
    for (int64_t s = 0; s < c->slots; s++) {
        bool whole = s / k % DROP_ONE_IN == DROP_ONE_IN - 1;
        c->ids[s] = (int)(moe_random_bits(expert, (uint64_t)s) % EXPERTS);
        c->kept[s] = !whole && s % DROP_ONE_IN != DROP_ONE_IN - 2 && c->ids[s] < held;
        c->weights[s] = (float)(moe_random_uniform(weight, (uint64_t)s) * 2 / (double)k);
    }
    op_fill_shared(c);
    return MOE_OK;
}

static double slot_weight(const moe_op_case *c, int64_t slot) {
    if (!c->kept[slot]) return 0;
    return c->op.layer.router.input ? 1 : (double)c->weights[slot];
}

static void make_reference(moe_op_case *c) {
    const moe_layer *layer = &c->op.layer;
    const moe_host_layer in = moe_workload_host(&c->work);
    int64_t d = layer->d, k = layer->k;
#pragma omp parallel for
    for (int64_t i = 0; i < c->spots; i++) {
        double weights[MOE_MAX_SLOTS], gate = moe_ref_shared_weight(layer, &in, c->spot[i]);
        int64_t first = c->spot[i] * k;
        for (int64_t j = 0; j < k; j++)
            weights[j] = slot_weight(c, first + j);
        moe_ref_drop(layer, k, weights);
        for (int64_t column = 0; column < d; column++) {
            double sum = 0;
            for (int64_t j = 0; j < k; j++)
                if (c->kept[first + j])
                    sum += weights[j] *
                           moe_load(layer->x, c->slot_values, (first + j) * d + column);
            for (int64_t pair = c->slots + c->spot[i]; pair < c->pairs; pair += c->op.t)
                sum += gate * moe_load(layer->x, c->slot_values, pair * d + column);
            c->want[i * d + column] = sum;
        }
    }
}

static moe_status make(moe_op_case *c, uint64_t seed) {
    moe_layer *layer = &c->op.layer;
    size_t element = moe_dtype_size(layer->x);
    int64_t values = c->pairs * layer->d;
    set_experts(layer);
    c->width = layer->d;
    MOE_TRY(op_make_inputs(c, seed));
    MOE_TRY(make_routing(c, seed));
    MOE_TRY(op_choose_spots(c, c->op.t, OP_SPOT_TOKENS));
    c->slot_values = malloc((size_t)values * element);
    c->want = malloc((size_t)(c->spots * c->width) * sizeof *c->want);
    if (!c->slot_values || !c->want)
        return moe_fail(MOE_E_MEMORY, "no memory for %lld rows", (long long)c->slots);
    moe_random_normal(moe_random_stream(seed, 'y'), layer->x, c->slot_values, values, 1);
    make_reference(c);
    MOE_TRY(op_upload_inputs(c));
    MOE_TRY(op_upload_weights(c));
    return op_make_room(c, MOE_ARG_y);
}

static moe_status lay_out(moe_op_case *c, op_layout *layout) {
    int64_t held = moe_layer_held(&c->op.layer), shared = moe_layer_shared_experts(&c->op.layer);
    MOE_TRY(op_upload(c, &layout->buffers, MOE_ARG_shared_start, layout->maps.expert_start + held,
                      (size_t)(shared + 1) * sizeof(int)));
    MOE_TRY(op_upload(c, &layout->buffers, MOE_ARG_slot_rows, layout->maps.slot_rows,
                      (size_t)c->slots * sizeof(int)));
    return op_upload_rows(c, layout, MOE_ARG_y_rows, c->op.layer.d);
}

static moe_status judge(moe_op_case *c, op_layout *layout, moe_verdict *out) {
    (void)layout;
    return op_judge_rows(c, "y", c->buffers.address[MOE_ARG_y], c->buffers.bytes[MOE_ARG_y],
                         c->spot, out);
}

/* Of a device of several that hold the experts: the mean over these. */
static double held_share(const moe_layer *layer) {
    return (double)moe_layer_held(layer) / (double)layer->e;
}

static moe_work_size work(const moe_op *op) {
    const moe_layer *l = &op->layer;
    double t = (double)op->t, k = (double)l->k, row = (double)l->d * moe_x_bytes(l);
    double rows = k * held_share(l) + (double)moe_layer_shared_experts(l) + 1; /* y's, too */
    return (moe_work_size){0, t * rows * row + t * k * 8};
}

const op_kind op_combine = {
    .make = make,
    .lay_out = lay_out,
    .judge = judge,
    .work = work,
    .wish = 16,
};
