/* layer_case.c - a whole layer on one device: inputs, buffers, runs. */
#include "judge/layer_case_private.h"

#include "core/router.h"
#include "judge/traffic.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *const moe_entry_names[] = {"router", "logits", "given", NULL};

moe_entry moe_layer_entry(const moe_layer *layer, moe_routing routing) {
    if (!moe_layer_routes(layer)) return MOE_ENTRY_GIVEN;
    return routing == MOE_ROUTING_UNIFORM ? MOE_ENTRY_ROUTER : MOE_ENTRY_LOGITS;
}

/* ---------------------------------------------------------------------------------- buffers */

static moe_status allocate(moe_layer_case *c, int buffer, const void *host, size_t bytes) {
    const moe_device_class *class = c->device->class;
    MOE_TRY(class->alloc(c->device->self, bytes, &c->address[buffer]));
    c->bytes[buffer] = bytes;
    return host && bytes ? class->copy_in(c->device->self, c->address[buffer], host, bytes)
                         : MOE_OK;
}

const void *layer_host(const moe_layer_case *c, moe_arg tensor) {
    if (tensor == MOE_ARG_ids) return c->ids;
    if (tensor == MOE_ARG_weights) return c->weights;
    return moe_workload_array(&c->work, tensor);
}

/* All outputs that a run may have, and all inputs that the case has. */
static moe_status upload(moe_layer_case *c) {
    const moe_sizes sizes = moe_sizes_make(&c->layer, c->tokens, 1);
    for (int i = 0; i < MOE_CALLER_TENSORS; i++) {
        const moe_tensor_desc desc = moe_tensor_describe(&sizes, (moe_arg)i);
        const void *host = layer_host(c, (moe_arg)i);
        const bool output = desc.role == MOE_ROLE_OUTPUT && desc.need[c->entry];
        if (host || output)
            MOE_TRY(allocate(c, i, host, moe_workload_bytes(&c->work, (moe_arg)i)));
    }
    return MOE_OK;
}

static void *device_pointer(const moe_layer_case *c, int buffer) {
    return (void *)(uintptr_t)c->address[buffer];
}

moe_io layer_io(const moe_layer_case *c, bool all) {
    const moe_sizes sizes = moe_sizes_make(&c->layer, c->tokens, 1);
    moe_io io = {
        .size = sizeof io,
        .vocab = MOE_WORKLOAD_VOCAB,
        .first_expert = c->first_expert,
        .routing_given = c->entry == MOE_ENTRY_GIVEN,
        .bias_rate = layer_bias_rate,
        .workspace = device_pointer(c, LAYER_WORKSPACE),
        .workspace_size = c->bytes[LAYER_WORKSPACE],
    };
    for (int i = 0; i < MOE_CALLER_TENSORS; i++) {
        const moe_tensor_desc desc = moe_tensor_describe(&sizes, (moe_arg)i);
        const bool usual = desc.role != MOE_ROLE_OUTPUT || moe_tensor_is_result(&desc);
        if (all || usual) moe_io_set(&io, (moe_arg)i, device_pointer(c, i));
    }
    return io;
}

moe_io moe_layer_case_io(const moe_layer_case *c) { return layer_io(c, true); }

moe_status layer_set_workspace(moe_layer_case *c, size_t bytes) {
    if (c->address[LAYER_WORKSPACE] && c->bytes[LAYER_WORKSPACE] == bytes) return MOE_OK;
    if (c->address[LAYER_WORKSPACE])
        MOE_TRY(c->device->class->free(c->device->self, c->address[LAYER_WORKSPACE]));
    c->address[LAYER_WORKSPACE] = 0;
    return allocate(c, LAYER_WORKSPACE, NULL, bytes);
}

/* Of exactly the size that the plan asks for, so that one byte more is seen. */
moe_status moe_layer_case_fit(moe_layer_case *c, const moe_plan *plan) {
    size_t bytes;
    MOE_TRY(moe_plan_workspace(plan, c->tokens, &bytes));
    return layer_set_workspace(c, bytes);
}

/* ----------------------------------------------------------------------------------- inputs */

/* Tokens that the reference is made for: as many as are affordable, evenly, with the last. */
static moe_status choose_tokens(moe_layer_case *c) {
    const moe_layer *l = &c->layer;
    int64_t seen = l->k + moe_layer_shared_experts(l);
    int64_t flops =
        2 * (moe_layer_router_work(l) + l->d * seen * (moe_layer_up_rows(l) + l->f));
    int64_t count = LAYER_REFERENCE_FLOPS / flops;
    if (count < 1) count = 1;
    if (count > c->tokens) count = c->tokens;
    c->chosen = malloc((size_t)(count + 1) * sizeof *c->chosen);
    if (!c->chosen) return moe_fail(MOE_E_MEMORY, "no memory for a layer's reference");
    c->spots = count;
    for (int64_t i = 0; i < count; i++) c->chosen[i] = (i + 1) * c->tokens / count - 1;
    return MOE_OK;
}

/* Logits of the chosen tokens. */
static moe_status make_logits(moe_layer_case *c) {
    const moe_layer *l = &c->layer;
    const int64_t width = moe_layer_logits(l);
    size_t row = (size_t)l->d * moe_dtype_size(l->x);
    moe_host_layer in = moe_workload_host(&c->work);
    char *x = malloc((size_t)c->spots * row + 1);
    float *given = malloc((size_t)(c->spots * width + 1) * sizeof *given);
    c->logits = malloc((size_t)(c->spots * width + 1) * sizeof *c->logits);
    moe_status status = MOE_OK;
    if (!x || !given || !c->logits)
        status = moe_fail(MOE_E_MEMORY, "no memory for a layer's reference");
    for (int64_t i = 0; i < c->spots && !status; i++) {
        memcpy(x + (size_t)i * row, (char *)c->work.x + (size_t)c->chosen[i] * row, row);
        if (in.logits)
            memcpy(given + i * width, in.logits + c->chosen[i] * width,
                   (size_t)width * sizeof *given);
    }
    in.x = x;
    in.numbers = c->chosen;
    if (in.logits) in.logits = given;
    if (!status && c->spots) status = moe_ref_logits(l, c->spots, &in, c->logits);
    free(x);
    free(given);
    return status;
}

/* Without a router ids may be any: one expert in every slot, and some that are no expert's. */
static void mix_in_others(moe_layer_case *c) {
    int64_t k = c->layer.k;
    for (int64_t j = 1; j < k && c->tokens; j++) c->ids[j] = c->ids[0];
    if (c->tokens > 1) c->ids[k] = -1;
    if (c->tokens > 2) c->ids[3 * k - 1] = (int)c->layer.e;
}

/* Ids and weights of all tokens: those given, else by routing class. */
static moe_status make_routing(moe_layer_case *c, moe_routing routing, const int *ids,
                               const float *weights, uint64_t seed) {
    const moe_traffic traffic = {.routing = routing, .exponent = 1};
    size_t slots = (size_t)(c->tokens * c->layer.k);
    c->ids = malloc((slots + 1) * sizeof *c->ids);
    c->weights = malloc((slots + 1) * sizeof *c->weights);
    if (!c->ids || !c->weights)
        return moe_fail(MOE_E_MEMORY, "no memory for a layer's routing");
    if (!ids) {
        MOE_TRY(moe_traffic_route(&traffic, &c->layer, c->tokens, seed, c->ids, c->weights));
        if (!moe_layer_routes(&c->layer)) mix_in_others(c);
        return MOE_OK;
    }
    memcpy(c->ids, ids, slots * sizeof *ids);
    memcpy(c->weights, weights, slots * sizeof *weights);
    return MOE_OK;
}

/* What a run by the case's entry looks at. */
static uint64_t used_tensors(const moe_layer_case *c) {
    const moe_sizes sizes = moe_sizes_make(&c->layer, c->tokens, 1);
    uint64_t used = 0;
    for (moe_arg i = 0; (int)i < MOE_CALLER_TENSORS; i++)
        if (moe_tensor_need(&sizes, i, c->entry)) used |= UINT64_C(1) << i;
    return used;
}

static moe_status make(moe_layer_case *c, moe_routing routing, const int *ids,
                       const float *weights, uint64_t seed) {
    MOE_TRY(moe_workload_init(&c->work, &c->layer, c->tokens, routing, seed, used_tensors(c)));
    MOE_TRY(choose_tokens(c));
    if (c->entry == MOE_ENTRY_GIVEN)
        MOE_TRY(make_routing(c, routing, ids, weights, seed));
    else
        MOE_TRY(make_logits(c));
    return upload(c);
}

static moe_status open_case(moe_device *device, const moe_layer *layer, int64_t tokens,
                            moe_routing routing, moe_entry entry, const int *ids,
                            const float *weights, uint64_t seed, moe_layer_case **out) {
    moe_layer_case *c = calloc(1, sizeof *c);
    if (!c) return moe_fail(MOE_E_MEMORY, "no memory for a layer");
    c->device = device;
    c->layer = *layer;
    c->tokens = tokens;
    c->entry = moe_layer_routes(layer) ? entry : MOE_ENTRY_GIVEN;
    c->first_expert = (int)(layer->e - moe_layer_held(layer)) / 2;
    moe_status status = make(c, routing, ids, weights, seed);
    if (status)
        moe_layer_case_close(c);
    else
        *out = c;
    return status;
}

moe_status moe_layer_case_open(moe_device *device, const moe_layer *layer, int64_t tokens,
                               moe_routing routing, moe_entry entry, uint64_t seed,
                               moe_layer_case **out) {
    return open_case(device, layer, tokens, routing, entry, NULL, NULL, seed, out);
}

moe_status moe_layer_case_open_routed(moe_device *device, const moe_layer *layer, int64_t tokens,
                                      const int *ids, const float *weights, uint64_t seed,
                                      moe_layer_case **out) {
    return open_case(device, layer, tokens, MOE_ROUTING_UNIFORM, MOE_ENTRY_GIVEN, ids, weights,
                     seed, out);
}

void moe_layer_case_close(moe_layer_case *c) {
    if (!c) return;
    for (int i = 0; i < LAYER_BUFFERS; i++)
        if (c->address[i]) c->device->class->free(c->device->self, c->address[i]);
    moe_workload_free(&c->work);
    free(c->ids);
    free(c->weights);
    free(c->chosen);
    free(c->logits);
    free(c);
}
