/* rule.c - rules of a router: the table, and what follows from a row.
 *
 * `topk` is the rule of those routers whose choices are written as stages; the others have a logic
 * of their own, and one word. */
#include "core/rule.h"

#include "core/router.h"
#include "core/stage.h"

#include <stdio.h>
#include <string.h>

enum { USUAL_KEY_WIDTH = 256 }; /* of peer without the number, as in product-key memories */

static moe_status check_topk(const moe_layer *layer) {
    if (layer->k > MOE_MAX_TOPK)
        return moe_fail(MOE_E_INVALID, "layer: k=%lld is not in 1..%d", (long long)layer->k,
                        MOE_MAX_TOPK);
    if (layer->router.second && layer->k != 2)
        return moe_fail(MOE_E_INVALID, "layer: second(%s) is for the second of two experts; k=%lld "
                                       "should be 2",
                        moe_second_table[layer->router.second].name, (long long)layer->k);
    if (layer->router.jitter_experts && layer->shared.f)
        return moe_fail(MOE_E_UNSUPPORTED, "layer: jitter(%g,all) is of all that the layer's "
                                           "experts see; leave `all` or the shared expert out",
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
        return moe_fail(MOE_E_INVALID, "layer: expert_choice drops nothing; leave priority and "
                                       "drop out");
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

const moe_rule_info moe_rule_table[] = {
    [MOE_RULE_TOPK] = {.name = "topk", .routes = true, .losses = true, .check = check_topk},
    [MOE_RULE_BASE] = {
        .name = "base", .routes = true, .whole = true,
        .weigh = MOE_WEIGH_SIGMOID, .check = check_base,
        .words = "a balanced assignment, as many tokens for each expert, by an auction that nearly "
                 "has the largest sum of logits; weights are their sigmoids"},
    [MOE_RULE_EXPERT_CHOICE] = {
        .name = "expert_choice", .routes = true, .whole = true, .experts_choose = true,
        .score = MOE_SCORE_SOFTMAX, .check = check_expert_choice,
        .words = "each expert takes the C tokens that give it the largest softmax over experts, "
                 "which is their weight"},
    [MOE_RULE_GIVEN] = {
        .name = "given", .score = MOE_SCORE_SOFTMAX, /* where a workload makes one up */
        .check = check_given,
        .words = "none: the caller gives each token's k experts and their weights"},
    [MOE_RULE_PEER] = {
        .name = "peer", .routes = true, .keys = true, .weigh = MOE_WEIGH_SOFTMAX,
        .check = check_peer, .read = read_peer, .print = print_peer,
        .form = "(8,1024,256), heads, keys and the width of a query, or peer(8,1024,256)>relu",
        .words = "each head takes the k/heads experts whose two keys, one for each half of its "
                 "query, have the largest sum of products; weights are the softmax over these, or "
                 "their positive parts"},
};

/* ------------------------------------------------------------------------------------ text */

/* The rule whose name the text is, with numbers in parentheses where it has any; MOE_RULE_TOPK
 * where it is none: that one's name is a stage. */
static moe_rule find(const char *text) {
    for (int i = MOE_RULE_TOPK + 1; i < MOE_RULE_COUNT; i++) {
        const moe_rule_info *rule = &moe_rule_table[i];
        size_t length = strlen(rule->name);
        if (strncmp(text, rule->name, length)) continue;
        if (!text[length] || (text[length] == '(' && rule->read)) return (moe_rule)i;
    }
    return MOE_RULE_TOPK;
}

static moe_status parse_router(const moe_field *field, const char *text, void *value) {
    (void)field;
    const moe_rule which = find(text);
    const moe_rule_info *rule = &moe_rule_table[which];
    if (which == MOE_RULE_TOPK) return moe_stages_parse(text, value);
    moe_router router = {.rule = which, .score = rule->score, .weigh = rule->weigh, .scale = 1};
    if (rule->read && !rule->read(text + strlen(rule->name), &router))
        return moe_fail(MOE_E_PARSE, "'%.64s' should read like %s%s", text, rule->name, rule->form);
    *(moe_router *)value = router;
    return MOE_OK;
}

static void print_router(const moe_field *field, const void *value, moe_text *out) {
    (void)field;
    const moe_router *router = value;
    const moe_rule_info *rule = &moe_rule_table[router->rule];
    if (router->rule == MOE_RULE_TOPK) {
        moe_stages_print(router, out);
        return;
    }
    moe_text_add(out, "%s", rule->name);
    if (rule->print) rule->print(router, out);
}

const moe_field_type moe_field_router = {parse_router, print_router, false};

/* --------------------------------------------------------------------------------- layers */

const moe_rule_info *moe_layer_rule(const moe_layer *layer) {
    return &moe_rule_table[layer->router.rule];
}

moe_status moe_rule_check(const moe_layer *layer) {
    if ((layer->f == 1) != moe_layer_rule(layer)->keys)
        return moe_fail(MOE_E_UNSUPPORTED, "layer: f=1 and a router like peer(8,1024,256) go "
                                           "together; there is only one of them");
    return moe_layer_rule(layer)->check(layer);
}

bool moe_layer_routes(const moe_layer *layer) { return moe_layer_rule(layer)->routes; }

int64_t moe_layer_queries(const moe_layer *layer) {
    const moe_router *r = &layer->router;
    if (!moe_layer_routes(layer)) return 0;
    return moe_layer_rule(layer)->keys ? r->heads * r->key_width : layer->e;
}

int64_t moe_layer_logits(const moe_layer *layer) {
    const moe_router *r = &layer->router;
    return moe_layer_rule(layer)->keys ? r->heads * 2 * r->keys : layer->e;
}

int64_t moe_layer_keys(const moe_layer *layer) {
    const moe_router *r = &layer->router;
    return r->heads * r->keys * r->key_width;
}

int64_t moe_layer_router_work(const moe_layer *layer) {
    int64_t noise = layer->router.noise ? layer->e * layer->d : 0;
    return moe_layer_queries(layer) * layer->d + noise + moe_layer_keys(layer);
}

int64_t moe_layer_choices(const moe_layer *layer) {
    return moe_layer_rule(layer)->keys ? layer->router.keys : layer->e;
}

int64_t moe_layer_picks(const moe_layer *layer) {
    return moe_layer_rule(layer)->keys ? layer->k / layer->router.heads : layer->k;
}
