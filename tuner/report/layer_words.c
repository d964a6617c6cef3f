/* layer_words.c - what a layer does, in plain words. */
#include "report/layer_words.h"

#include "core/router.h"

static const char *const keys[MOE_SCORE_COUNT] = {
    [MOE_SCORE_LOGIT] = "logits",
    [MOE_SCORE_SOFTMAX] = "softmax scores",
    [MOE_SCORE_SIGMOID] = "sigmoid scores",
    [MOE_SCORE_SQRTSOFTPLUS] = "sqrt(softplus) scores",
};

/* Where the weights are the scores. */
static const char *const scores[MOE_SCORE_COUNT] = {
    [MOE_SCORE_LOGIT] = "the logits",
    [MOE_SCORE_SOFTMAX] = "their softmax over all experts",
    [MOE_SCORE_SIGMOID] = "their sigmoids",
    [MOE_SCORE_SQRTSOFTPLUS] = "their sqrt(softplus)",
};

static const char *const weights[MOE_WEIGH_COUNT] = {
    [MOE_WEIGH_SOFTMAX] = "the softmax over these k",
    [MOE_WEIGH_SIGMOID] = "their sigmoids",
    [MOE_WEIGH_SPARSEMIXER] = "each one's softmax among the near experts that are not taken yet",
};

static const char *const rules[MOE_RULE_COUNT] = {
    [MOE_RULE_BASE] = "a balanced assignment, as many tokens for each expert, by an auction that "
                      "nearly has the largest sum of logits; weights are their sigmoids",
    [MOE_RULE_EXPERT_CHOICE] = "each expert takes the C tokens that give it the largest softmax over "
                               "experts, which is their weight",
    [MOE_RULE_GIVEN] = "none: the caller gives each token's k experts and their weights",
    [MOE_RULE_PEER] = "each head takes the k/heads experts whose two keys, one for each half of its "
                      "query, have the largest sum of products; weights are the softmax over these, or "
                      "their positive parts",
};

static const char *const seconds[MOE_SECOND_COUNT] = {
    [MOE_SECOND_MESH] = "its weight / 0.2",
    [MOE_SECOND_NLLB] = "twice its softmax over all experts",
    [MOE_SECOND_PAPER] = "twice its weight",
};

/* What a seed draws. */
static void add_draws(const moe_router *r, moe_text *out) {
    if (r->jitter_input) {
        moe_text_add(out, "%s times 1 +- up to ", r->jitter_experts ? "x, for router and experts," : "the router's x");
        moe_text_add_real(out, r->jitter_input);
        moe_text_add(out, "; ");
    }
    if (r->noise) moe_text_add(out, "logits plus normal noise of their own size; ");
}

void moe_router_words(const moe_router *r, moe_text *out) {
    if (rules[r->rule]) {
        moe_text_add(out, "%s", rules[r->rule]);
        return;
    }
    bool by_logits = moe_router_selects_logits(r);
    add_draws(r, out);
    if (r->pick == MOE_PICK_HASH)
        moe_text_add(out, "k experts by the token's id, from a table");
    else
        moe_text_add(out, "the k largest %s", by_logits ? keys[MOE_SCORE_LOGIT] : keys[r->score]);
    if (r->key_bias) moe_text_add(out, " plus bias");
    if (r->groups)
        moe_text_add(out, ", in the %lld of %lld groups with the largest %s",
                     (long long)r->groups_kept, (long long)r->groups,
                     r->group_rule == MOE_GROUP_MAX ? "one" : "sum of two");
    moe_text_add(out, "; weights are %s", r->weigh ? weights[r->weigh] : scores[r->score]);
    if (r->renorm) moe_text_add(out, ", divided by their sum");
    if (r->second) moe_text_add(out, "; the second stays with probability %s", seconds[r->second]);
    if (r->scale != 1) {
        moe_text_add(out, ", times ");
        moe_text_add_real(out, r->scale);
    }
    if (r->input) moe_text_add(out, ", and multiply the experts' input");
}

/* The formulas, in which K, C and E stand for the layer's numbers. */
static const char *const formulas[MOE_CAPACITY_COUNT] = {
    [MOE_CAPACITY_SHARE] = "ceil(T*K*C/E)",        [MOE_CAPACITY_SWITCH] = "round(T*C/E)",
    [MOE_CAPACITY_GSHARD] = "floor(T*C/E)",        [MOE_CAPACITY_TUTEL] = "K*floor(C*ceil(T/E))",
    [MOE_CAPACITY_NLLB] = "ceil(C*ceil(T/E))",     [MOE_CAPACITY_TOKENS] = "ceil(C*T)",
};

static void add_formula(const moe_layer *layer, moe_text *out) {
    for (const char *at = formulas[layer->capacity.rule]; *at; at++) {
        if (*at == 'K') moe_text_add(out, "%lld", (long long)layer->k);
        else if (*at == 'E') moe_text_add(out, "%lld", (long long)layer->e);
        else if (*at == 'C') moe_text_add_real(out, layer->capacity.factor);
        else moe_text_add(out, "%c", *at);
    }
}

void moe_capacity_words(const moe_layer *layer, moe_text *out) {
    if (layer->capacity.factor == 0) {
        moe_text_add(out, "none: no row is ever dropped");
        return;
    }
    moe_text_add(out, "an expert keeps ");
    add_formula(layer, out);
    moe_text_add(out, " rows");
    if (layer->capacity.least)
        moe_text_add(out, ", at least %lld", (long long)layer->capacity.least);
    moe_text_add(out, ", first choices first%s; the rest are dropped%s",
                 layer->priority == MOE_PRIORITY_GATE ? ", of these the largest weights" : "",
                 layer->drop == MOE_DROP_RENORM ? ", and a token's other weights divided by their sum"
                                                : "");
}
