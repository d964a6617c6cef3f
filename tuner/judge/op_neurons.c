/* op_neurons.c - single neurons on trial: y against the reference for the case's own neurons and
 * weights, and the counts that callers may ask for. */
#include "judge/op_kind.h"
#include "random.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A neuron of slot j: any, one of every second, fewer the higher its number is, or always the
 * same. */
static int draw(const moe_op *op, moe_random random, int64_t slot) {
    const int64_t e = op->layer.e;
    double u = moe_random_uniform(random, (uint64_t)slot);
    switch (op->routing) {
    case MOE_ROUTING_ONE: return (int)(slot % op->layer.k * (e / op->layer.k));
    case MOE_ROUTING_EMPTY: return (int)(u * (double)((e + 1) / 2)) * 2;
    case MOE_ROUTING_ZIPF: return (int)fmin(exp(u * log((double)e + 1)) - 1, (double)(e - 1));
    default: return (int)fmin(u * (double)e, (double)(e - 1));
    }
}

/* A token may have a neuron twice, by two of its heads. */
static moe_status make_ids(moe_op_case *c, uint64_t seed) {
    const moe_random ids = moe_random_stream(seed, 'i'), weights = moe_random_stream(seed, 'w');
    const size_t slots = (size_t)c->slots;
    c->ids = malloc(slots * sizeof *c->ids);
    c->given_ids = malloc(slots * sizeof *c->given_ids);
    c->weights = malloc(slots * sizeof *c->weights);
    c->kept = malloc(slots);
    if (!c->ids || !c->given_ids || !c->weights || !c->kept)
        return moe_fail(MOE_E_MEMORY, "no memory for the routing of %lld tokens",
                        (long long)c->op.t);
    for (int64_t s = 0; s < c->slots; s++) {
        c->given_ids[s] = draw(&c->op, ids, s);
        c->weights[s] = (float)moe_random_uniform(weights, (uint64_t)s);
    }
    moe_ref_local_ids(&c->op.layer, c->first_expert, c->slots, c->given_ids, c->ids);
    moe_ref_capacity(&c->op.layer, c->op.t, c->ids, c->weights, c->kept);
    return MOE_OK;
}

static moe_status upload(moe_op_case *c) {
    MOE_TRY(op_upload_inputs(c));
    MOE_TRY(op_upload_routing(c, c->given_ids));
    MOE_TRY(op_make_room(c, MOE_ARG_y));
    return op_make_room(c, MOE_ARG_counts);
}

static moe_status make(moe_op_case *c, uint64_t seed) {
    const moe_layer *layer = &c->op.layer;
    int64_t token_flops = 2 * layer->d * layer->k * (moe_layer_up_rows(layer) + 1);
    c->width = layer->d;
    MOE_TRY(moe_workload_init(&c->work, layer, c->op.t, c->op.routing, seed,
                              MOE_MAKE_BEHIND_ROUTER));
    MOE_TRY(make_ids(c, seed));
    MOE_TRY(op_choose_spots(c, c->op.t, OP_SPOT_FLOPS / token_flops));
    MOE_TRY(op_refer_layer(c));
    return upload(c);
}

static moe_status lay_out(moe_op_case *c, op_layout *layout) {
    (void)c, (void)layout;
    return MOE_OK;
}

static moe_status judge_counts(moe_op_case *c, moe_verdict *out) {
    int *counts = NULL;
    moe_status status = op_download(c, &c->buffers, MOE_ARG_counts, &counts);
    if (!status) status = op_judge_counts(c, c->given_ids, counts, out);
    free(counts);
    return status;
}

static moe_status judge(moe_op_case *c, op_layout *layout, moe_verdict *out) {
    (void)layout;
    MOE_TRY(op_judge_rows(c, "y", c->buffers.address[MOE_ARG_y], c->buffers.bytes[MOE_ARG_y],
                          c->spot, out));
    return out->ok ? judge_counts(c, out) : MOE_OK;
}

static moe_work_size work(const moe_op *op) {
    return moe_experts_work(&op->layer, op->t, op->routing);
}

const op_kind op_neurons = {
    .make = make,
    .lay_out = lay_out,
    .judge = judge,
    .work = work,
    .wish = 60,
};
