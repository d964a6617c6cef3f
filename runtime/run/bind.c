/* bind.c - from the caller's pointers to kernel arguments. */
#include "run/bind.h"

#include "core/layer.h"
#include "core/router.h"

#include <stdint.h>
#include <string.h>

/* When a pointer is used, and whether it must then be given. */
typedef enum rule {
    ALWAYS,
    ROUTER,      /* the router GEMM runs */
    ROUTER_KEYS, /* and looks keys up */
    ROUTER_BIAS, /* and has a bias */
    NOISE,       /* the same, with noise */
    TABLE,       /* experts are picked by token ids */
    UP,          /* experts have up weights */
    UP_BIAS,
    DOWN_BIAS,
    SHARED, /* there is a shared expert */
    GATE,   /* and its output has a gate */
    ROUTING,  /* an input where routing is given, else optional: the workspace stands in */
    IF_GIVEN, /* optional: the workspace, or nothing, stands in */
    LOGITS,   /* optional, unless routing is given */
    STATISTIC, /* optional, unless routing is given: then no kernel writes it */
    NEXT_BIAS, /* the same, of keys with a bias */
    DRAWS      /* optional: where the router draws */
} rule;

#define IO(member) #member, offsetof(moe_io, member)
static const struct {
    moe_arg arg;
    const char *name;
    size_t offset;
    rule rule;
    unsigned align; /* bytes: vector loads need 16 */
} pointers[] = {
    {MOE_ARG_x, IO(x), ALWAYS, 16},
    {MOE_ARG_router_weight, IO(router_weight), ROUTER, 16},
    {MOE_ARG_router_keys, IO(router_keys), ROUTER_KEYS, 16},
    {MOE_ARG_router_bias, IO(router_bias), ROUTER_BIAS, 4},
    {MOE_ARG_router_noise, IO(router_noise), NOISE, 16},
    {MOE_ARG_token_ids, IO(token_ids), TABLE, 4},
    {MOE_ARG_expert_table, IO(expert_table), TABLE, 4},
    {MOE_ARG_seed, IO(seed), DRAWS, 8},
    {MOE_ARG_logits, IO(logits), LOGITS, 4},
    {MOE_ARG_up, IO(up), UP, 16},
    {MOE_ARG_up_bias, IO(up_bias), UP_BIAS, 16},
    {MOE_ARG_down, IO(down), ALWAYS, 16},
    {MOE_ARG_down_bias, IO(down_bias), DOWN_BIAS, 16},
    {MOE_ARG_shared_up, IO(shared_up), SHARED, 16},
    {MOE_ARG_shared_down, IO(shared_down), SHARED, 16},
    {MOE_ARG_shared_gate, IO(shared_gate), GATE, 16},
    {MOE_ARG_y, IO(y), ALWAYS, 16},
    {MOE_ARG_ids, IO(ids), ROUTING, 4},
    {MOE_ARG_weights, IO(weights), ROUTING, 4},
    {MOE_ARG_slot_rows, IO(slot_rows), IF_GIVEN, 4},
    {MOE_ARG_counts, IO(counts), IF_GIVEN, 4},
    {MOE_ARG_mean_probs, IO(mean_probs), STATISTIC, 4},
    {MOE_ARG_losses, IO(losses), STATISTIC, 4},
    {MOE_ARG_next_bias, IO(next_router_bias), NEXT_BIAS, 4},
};
#undef IO

static bool used(rule when, const moe_layer *layer, const moe_io *io) {
    switch (when) {
    case ROUTER: return !io->routing_given && !io->logits;
    case ROUTER_KEYS:
        return !io->routing_given && !io->logits && moe_layer_rule(layer)->keys;
    case ROUTER_BIAS:
        return !io->routing_given &&
               (layer->router.key_bias || (!io->logits && layer->bias & MOE_BIAS_ROUTER));
    case UP: return moe_layer_up_rows(layer) > 0;
    case NOISE: return !io->routing_given && !io->logits && layer->router.noise;
    case TABLE: return !io->routing_given && moe_router_looks_up(&layer->router);
    case DRAWS: return !io->routing_given && moe_router_draws(&layer->router);
    case UP_BIAS: return layer->bias & MOE_BIAS_UP;
    case DOWN_BIAS: return layer->bias & MOE_BIAS_DOWN;
    case SHARED: return layer->shared.f;
    case GATE: return layer->shared.gated;
    case LOGITS:
    case STATISTIC: return !io->routing_given;
    case NEXT_BIAS: return !io->routing_given && layer->router.key_bias;
    case ALWAYS:
    case ROUTING:
    case IF_GIVEN: break;
    }
    return true;
}

static bool required(rule when, const moe_io *io) {
    return when < ROUTING || (when == ROUTING && io->routing_given);
}

static moe_status check_routing(const moe_layer *layer, const moe_io *io) {
    if (!moe_layer_routes(layer) && !io->routing_given)
        return moe_fail(MOE_E_INVALID, "io.routing_given is false, and router=given has no router; set "
                                       "it, and give io.ids and io.weights");
    if (moe_router_looks_up(&layer->router) && (io->vocab < 0 || io->vocab > INT32_MAX))
        return moe_fail(MOE_E_INVALID, "io.vocab is %lld; io.expert_table has 0 to 2^31-1 rows",
                        (long long)io->vocab);
    return MOE_OK;
}

/* What a layer has no answer to must not be asked for. */
static moe_status check_outputs(const moe_layer *layer, const moe_io *io) {
    if (io->losses && moe_layer_routes(layer) && !moe_layer_rule(layer)->losses)
        return moe_fail(MOE_E_UNSUPPORTED, "io.losses must be NULL: the rule of this router loads "
                                           "all experts alike, and there is nothing to even out");
    if (moe_layer_neurons(layer) && (io->mean_probs || io->slot_rows))
        return moe_fail(MOE_E_UNSUPPORTED, "io.%s must be NULL: experts of f=1 are looked up one by "
                                           "one; there are neither logits of all of them nor rows",
                        io->mean_probs ? "mean_probs" : "slot_rows");
    return MOE_OK;
}

moe_status moe_bind(const moe_layer *layer, const moe_io *io, moe_arg_values *values) {
    MOE_TRY(check_routing(layer, io));
    MOE_TRY(check_outputs(layer, io));
    for (size_t i = 0; i < sizeof pointers / sizeof pointers[0]; i++) {
        void *pointer;
        memcpy(&pointer, (const char *)io + pointers[i].offset, sizeof pointer);
        uint64_t *value = &values->value[pointers[i].arg];
        bool use = used(pointers[i].rule, layer, io);
        if (use && !pointer && required(pointers[i].rule, io))
            return moe_fail(MOE_E_INVALID, "io.%s is NULL, and this layer needs it",
                            pointers[i].name);
        if (use && (uintptr_t)pointer % pointers[i].align)
            return moe_fail(MOE_E_INVALID,
                            "io.%s is not aligned to %u bytes; copy it to where it is",
                            pointers[i].name, pointers[i].align);
        if (pointer || !use) *value = use ? (uintptr_t)pointer : 0;
    }
    if (io->first_expert < 0 || io->first_expert > layer->e - moe_layer_held(layer))
        return moe_fail(MOE_E_INVALID, "io.first_expert is %d, and %lld of %lld experts are held",
                        io->first_expert, (long long)moe_layer_held(layer), (long long)layer->e);
    values->value[MOE_ARG_first_expert] = (uint64_t)io->first_expert;
    values->value[MOE_ARG_vocab] = (uint64_t)io->vocab;
    /* Sums that nobody asks for are not made. */
    bool losses = values->value[MOE_ARG_losses] || values->value[MOE_ARG_next_bias];
    if (!losses) values->value[MOE_ARG_loss_sums] = 0;
    if (!losses && !values->value[MOE_ARG_mean_probs]) values->value[MOE_ARG_prob_sums] = 0;
    return MOE_OK;
}
