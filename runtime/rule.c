/* rule.c - rules of a router with a logic of their own: text form, and what they ask of a layer.
 *
 * A rule is a row of one table: its word, and whether a layer suits it. */
#include "rule.h"

#include "router.h"

#include <string.h>

const char *const moe_rule_names[] = {
    [MOE_RULE_TOPK] = "topk",
    [MOE_RULE_BASE] = "base",
    [MOE_RULE_EXPERT_CHOICE] = "expert_choice",
    [MOE_RULE_GIVEN] = "given",
    [MOE_RULE_COUNT] = NULL,
};

static moe_status check_topk(const moe_layer *layer) {
    if (layer->k > MOE_MAX_TOPK)
        return moe_fail(MOE_E_INVALID, "layer: k=%lld is not in 1..%d", (long long)layer->k,
                        MOE_MAX_TOPK);
    if (layer->router.second && layer->k != 2)
        return moe_fail(MOE_E_INVALID, "layer: second(%s) is for the second of two experts; k=%lld "
                                       "should be 2",
                        moe_second_names[layer->router.second], (long long)layer->k);
    if (layer->router.jitter_experts && layer->shared.f)
        return moe_fail(MOE_E_UNSUPPORTED, "layer: jitter(%g,all) is of all that the layer's experts "
                                           "see; leave `all` or the shared expert out",
                        layer->router.jitter_input);
    return MOE_OK;
}

/* The assignment itself shares tokens out, so there is nothing left to drop. */
static moe_status check_base(const moe_layer *layer) {
    if (layer->k != 1)
        return moe_fail(MOE_E_INVALID, "layer: base assigns each token to one expert; k=%lld "
                                       "should be 1",
                        (long long)layer->k);
    if (layer->capacity.factor != 0)
        return moe_fail(MOE_E_INVALID, "layer: base shares tokens out evenly; leave the capacity "
                                       "out");
    return MOE_OK;
}

static moe_status check_expert_choice(const moe_layer *layer) {
    if (layer->k != layer->e)
        return moe_fail(MOE_E_INVALID, "layer: expert_choice may give a token every expert; "
                                       "k=%lld should be e=%lld",
                        (long long)layer->k, (long long)layer->e);
    if (layer->capacity.factor == 0 || layer->capacity.rule != MOE_CAPACITY_SWITCH)
        return moe_fail(MOE_E_INVALID, "layer: expert_choice needs the experts that a token has on "
                                       "average, as in capacity=2,switch");
    if (layer->priority || layer->drop)
        return moe_fail(MOE_E_INVALID, "layer: expert_choice drops nothing; leave priority and drop "
                                       "out");
    return MOE_OK;
}

static moe_status check_given(const moe_layer *layer) {
    if (layer->k > MOE_MAX_TOPK)
        return moe_fail(MOE_E_INVALID, "layer: k=%lld is not in 1..%d", (long long)layer->k,
                        MOE_MAX_TOPK);
    if (layer->bias & MOE_BIAS_ROUTER || layer->router_dtype)
        return moe_fail(MOE_E_INVALID, "layer: router=given has no router; leave its bias and "
                                       "router_dtype out");
    return MOE_OK;
}

static const struct {
    moe_score score; /* what its weights are */
    moe_weigh weigh;
    moe_status (*check)(const moe_layer *layer);
} rules[MOE_RULE_COUNT] = {
    [MOE_RULE_TOPK] = {MOE_SCORE_LOGIT, MOE_WEIGH_SCORE, check_topk},
    [MOE_RULE_BASE] = {MOE_SCORE_LOGIT, MOE_WEIGH_SIGMOID, check_base},
    [MOE_RULE_EXPERT_CHOICE] = {MOE_SCORE_SOFTMAX, MOE_WEIGH_SCORE, check_expert_choice},
    [MOE_RULE_GIVEN] = {MOE_SCORE_LOGIT, MOE_WEIGH_SCORE, check_given},
};

/* The rule whose word the text is; MOE_RULE_TOPK where it is none: `topk` is also a stage. */
static moe_rule find(const char *text) {
    for (int i = MOE_RULE_TOPK + 1; i < MOE_RULE_COUNT; i++)
        if (!strcmp(text, moe_rule_names[i])) return (moe_rule)i;
    return MOE_RULE_TOPK;
}

bool moe_rule_named(const char *text) { return find(text) != MOE_RULE_TOPK; }

moe_status moe_rule_parse(const char *text, moe_router *out) {
    moe_rule rule = find(text);
    *out = (moe_router){.rule = rule, .score = rules[rule].score,
                         .weigh = rules[rule].weigh, .scale = 1};
    return MOE_OK;
}

void moe_rule_print(const moe_router *router, moe_text *out) {
    moe_text_add(out, "%s", moe_rule_names[router->rule]);
}

moe_status moe_rule_check(const moe_layer *layer) { return rules[layer->router.rule].check(layer); }
