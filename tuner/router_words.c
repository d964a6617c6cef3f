/* router_words.c - a router's rule in plain words. */
#include "router_words.h"

#include "router.h"

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

void moe_router_words(const moe_router *r, moe_text *out) {
    bool by_logits = moe_router_selects_logits(r);
    moe_text_add(out, "the k largest %s", by_logits ? keys[MOE_SCORE_LOGIT] : keys[r->score]);
    if (r->key_bias) moe_text_add(out, " plus bias");
    if (r->groups)
        moe_text_add(out, ", in the %lld of %lld groups with the largest %s",
                     (long long)r->groups_kept, (long long)r->groups,
                     r->group_rule == MOE_GROUP_MAX ? "one" : "sum of two");
    moe_text_add(out, "; weights are %s", r->weigh ? weights[r->weigh] : scores[r->score]);
    if (r->renorm) moe_text_add(out, ", divided by their sum");
    if (r->scale != 1) {
        moe_text_add(out, ", times ");
        moe_text_add_real(out, r->scale);
    }
    if (r->input) moe_text_add(out, ", and multiply the experts' input");
}
