/* layer_words.c - what a layer does, in plain words. */
#include "report/layer_words.h"

#include "core/router.h"

/* What a seed draws. */
static void add_draws(const moe_router *r, moe_text *out) {
    if (r->jitter_input) {
        moe_text_add(out, "%s times 1 +- up to ",
                     r->jitter_experts ? "x, for router and experts," : "the router's x");
        moe_text_add_real(out, r->jitter_input);
        moe_text_add(out, "; ");
    }
    if (r->noise) moe_text_add(out, "logits plus normal noise of their own size; ");
}

void moe_router_words(const moe_router *r, moe_text *out) {
    if (moe_rule_table[r->rule].words) {
        moe_text_add(out, "%s", moe_rule_table[r->rule].words);
        return;
    }
    const moe_choice_info *score = &moe_score_table[r->score], *key = score, *weight = score;
    if (moe_router_selects_logits(r)) key = &moe_score_table[MOE_SCORE_LOGIT];
    if (r->weigh) weight = &moe_weigh_table[r->weigh];
    add_draws(r, out);
    if (moe_pick_table[r->pick].words)
        moe_text_add(out, "%s", moe_pick_table[r->pick].words);
    else
        moe_text_add(out, "the k largest %s", key->keys);
    if (r->key_bias) moe_text_add(out, " plus bias");
    if (r->groups)
        moe_text_add(out, ", in the %lld of %lld groups with the largest %s",
                     (long long)r->groups_kept, (long long)r->groups,
                     moe_group_table[r->group_rule].words);
    moe_text_add(out, "; weights are %s", weight->words);
    if (r->renorm) moe_text_add(out, ", divided by their sum");
    if (r->second)
        moe_text_add(out, "; the second stays with probability %s",
                     moe_second_table[r->second].words);
    if (r->scale != 1) {
        moe_text_add(out, ", times ");
        moe_text_add_real(out, r->scale);
    }
    if (r->input) moe_text_add(out, ", and multiply the experts' input");
}

static void add_formula(const moe_layer *layer, moe_text *out) {
    for (const char *at = moe_capacity_formulas[layer->capacity.rule]; *at; at++) {
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
                 layer->drop == MOE_DROP_RENORM
                     ? ", and a token's other weights divided by their sum"
                     : "");
}
