/* rule.c - rules of a router with a logic of their own: text form, and what they ask of a layer.
 *
 * A rule is a row of one table: its word, and whether a layer suits it. */
#include "core/rule.h"

#include "core/router.h"

#include <stdio.h>
#include <string.h>

const char *const moe_rule_names[] = {
    [MOE_RULE_TOPK] = "topk",
    [MOE_RULE_BASE] = "base",
    [MOE_RULE_EXPERT_CHOICE] = "expert_choice",
    [MOE_RULE_GIVEN] = "given",
    [MOE_RULE_PEER] = "peer",
    [MOE_RULE_COUNT] = NULL,
};

enum { USUAL_KEY_WIDTH = 256 }; /* of peer without the number, as in product-key memories */

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

static moe_status check_peer(const moe_layer *layer) {
    const moe_router *r = &layer->router;
    const int64_t each = r->heads > 0 ? layer->k / r->heads : 0;
    if (r->heads < 1 || layer->k % r->heads || each > MOE_MAX_TOPK || each > r->keys)
        return moe_fail(MOE_E_INVALID, "layer: k=%lld should be %lld heads times 1..%d experts",
                        (long long)layer->k, (long long)r->heads, MOE_MAX_TOPK);
    if (r->keys < 8 || r->keys > MOE_MAX_KEYS || r->keys % 8)
        return moe_fail(MOE_E_INVALID, "layer: %lld keys of peer are not a multiple of 8 in 8..%d",
                        (long long)r->keys, MOE_MAX_KEYS);
    if (layer->e != r->keys * r->keys)
        return moe_fail(MOE_E_INVALID, "layer: pairs of %lld keys make %lld experts; e=%lld should "
                                       "be that",
                        (long long)r->keys, (long long)(r->keys * r->keys), (long long)layer->e);
    if (r->key_width < 128 || r->key_width > MOE_MAX_KEY_WIDTH || r->key_width % 128)
        return moe_fail(MOE_E_UNSUPPORTED, "layer: queries of width %lld should be a multiple of "
                                           "128 in 128..%d; pad both halves with zeros",
                        (long long)r->key_width, MOE_MAX_KEY_WIDTH);
    if (layer->router_dtype == MOE_ROUTER_F32)
        return moe_fail(MOE_E_UNSUPPORTED, "layer: queries and keys of peer are in w's dtype; "
                                           "leave router_dtype out");
    return MOE_OK;
}

static bool read_peer(const char *inside, moe_router *router) {
    long long heads, keys, width = USUAL_KEY_WIDTH;
    int upto = 0, more = 0;
    if (sscanf(inside, "(%9lld,%9lld%n", &heads, &keys, &upto) != 2) return false;
    if (inside[upto] == ',' && sscanf(inside + upto, ",%9lld%n", &width, &more) != 1) return false;
    const char *rest = inside + upto + more;
    router->heads = heads, router->keys = keys, router->key_width = width;
    if (!strcmp(rest, ")>relu")) router->weigh = MOE_WEIGH_RELU;
    bool ends = !strcmp(rest, ")") || router->weigh == MOE_WEIGH_RELU;
    return ends && heads > 0 && keys > 0 && width > 0;
}

static void print_peer(const moe_router *r, moe_text *out) {
    moe_text_add(out, "(%lld,%lld,%lld)%s", (long long)r->heads, (long long)r->keys,
                 (long long)r->key_width, r->weigh == MOE_WEIGH_RELU ? ">relu" : "");
}

static const struct {
    moe_score score; /* what its weights are */
    moe_weigh weigh;
    moe_status (*check)(const moe_layer *layer);
    /* What stands behind the word, from "(" on, and how it should be written; NULL: nothing. */
    bool (*read)(const char *inside, moe_router *router);
    void (*print)(const moe_router *router, moe_text *out);
    const char *form;
} rules[MOE_RULE_COUNT] = {
    [MOE_RULE_TOPK] = {MOE_SCORE_LOGIT, MOE_WEIGH_SCORE, check_topk, NULL, NULL, NULL},
    [MOE_RULE_BASE] = {MOE_SCORE_LOGIT, MOE_WEIGH_SIGMOID, check_base, NULL, NULL, NULL},
    [MOE_RULE_EXPERT_CHOICE] = {MOE_SCORE_SOFTMAX, MOE_WEIGH_SCORE, check_expert_choice, NULL, NULL,
                                NULL},
    [MOE_RULE_GIVEN] = {MOE_SCORE_SOFTMAX, MOE_WEIGH_SCORE, check_given, NULL, NULL,
                        NULL}, /* where a workload makes one up */
    [MOE_RULE_PEER] = {MOE_SCORE_LOGIT, MOE_WEIGH_SOFTMAX, check_peer, read_peer, print_peer,
                       "(8,1024,256), heads, keys and the width of a query, or "
                       "peer(8,1024,256)>relu"},
};

/* The rule whose word the text is, with numbers in parentheses where it has any; MOE_RULE_TOPK where
 * it is none: `topk` is also a stage. */
static moe_rule find(const char *text) {
    for (int i = MOE_RULE_TOPK + 1; i < MOE_RULE_COUNT; i++) {
        size_t length = strlen(moe_rule_names[i]);
        if (strncmp(text, moe_rule_names[i], length)) continue;
        if (!text[length] || (text[length] == '(' && rules[i].read)) return (moe_rule)i;
    }
    return MOE_RULE_TOPK;
}

bool moe_rule_named(const char *text) { return find(text) != MOE_RULE_TOPK; }

moe_status moe_rule_parse(const char *text, moe_router *out) {
    moe_rule rule = find(text);
    moe_router router = {.rule = rule, .score = rules[rule].score, .weigh = rules[rule].weigh,
                         .scale = 1};
    if (rules[rule].read && !rules[rule].read(text + strlen(moe_rule_names[rule]), &router))
        return moe_fail(MOE_E_PARSE, "'%.64s' should read like %s%s", text, moe_rule_names[rule],
                        rules[rule].form);
    *out = router;
    return MOE_OK;
}

void moe_rule_print(const moe_router *router, moe_text *out) {
    moe_text_add(out, "%s", moe_rule_names[router->rule]);
    if (rules[router->rule].print) rules[router->rule].print(router, out);
}

moe_status moe_rule_check(const moe_layer *layer) {
    if (moe_layer_neurons(layer) != (layer->router.rule == MOE_RULE_PEER))
        return moe_fail(MOE_E_UNSUPPORTED, "layer: f=1 and a router like peer(8,1024,256) go "
                                           "together; there is only one of them");
    return rules[layer->router.rule].check(layer);
}
