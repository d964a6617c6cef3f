/* stages_check.c - judging the ids of a router that picks k experts, by keys or from a table. */
#include "stages_check.h"

#include "core/router.h"
#include "stages.h"

#include <math.h>

/* How far two keys of a token may be apart and still come out in either order: twice the error of
 * one. No score rises faster than its logit; its few fp32 operations round by 2^-22 or so. */
static double key_slack(const moe_route_check *c, const double *keys) {
    double largest = 1;
    if (moe_router_selects_logits(&c->layer->router)) return 2 * c->logit_error;
    for (int64_t e = 0; e < c->layer->e; e++)
        if (isfinite(keys[e])) largest = fmax(largest, fabs(keys[e]));
    return 2 * (c->logit_error + largest * 0x1p-22);
}

/* Where errors cannot explain a difference, a tie must go to the lower id. */
static bool choice_is_best(const moe_route_check *c, int64_t t) {
    const int *ids = c->ids + t * c->layer->k;
    const double *logits = c->logits + t * c->layer->e;
    double keys[MOE_MAX_EXPERTS];
    int best[MOE_MAX_SLOTS];
    moe_ref_keys(c->layer, logits, c->key_bias, NULL, keys);
    double slack = key_slack(c, keys);
    moe_ref_keys(c->layer, logits, c->key_bias, &(moe_ref_doubt){ids, 2 * slack}, keys);
    moe_ref_choose(c->layer, keys, best);
    double least = keys[best[c->layer->k - 1]];
    for (int64_t j = 0; j < c->layer->k; j++) {
        double key = keys[ids[j]];
        if (key < least - slack)
            return moe_bad(c->verdict,
                           "ids[%lld,%lld] is %d with key %.9g, below the k-th best, %.9g of "
                           "expert %d",
                           LL(t), LL(j), ids[j], key, least, best[c->layer->k - 1]);
        if (j > 0 && key > keys[ids[j - 1]] + slack)
            return moe_bad(c->verdict,
                           "ids[%lld,%lld] is %d with key %.9g, above %.9g of expert %d before it",
                           LL(t), LL(j), ids[j], key, keys[ids[j - 1]], ids[j - 1]);
        if (slack == 0 && ids[j] != best[j])
            return moe_bad(c->verdict, "ids[%lld,%lld] is %d, should be %d: keys %.9g and %.9g",
                           LL(t), LL(j), ids[j], best[j], key, keys[best[j]]);
    }
    return true;
}

/* Whether the second expert stays or not, as far as errors tell: of its weight, and of fp32. */
static bool second_is_right(const moe_route_check *c, int64_t t) {
    const double *logits = c->logits + t * c->layer->e;
    double weights[2];
    moe_stage_weigh(c->layer, logits, c->ids + 2 * t, 0, weights);
    double law = moe_ref_second_law(c->layer, logits, c->ids + 2 * t, weights);
    double drawn = moe_ref_second_draw(c->in, t), slack = law * (4 * c->logit_error + 0x1p-20);
    bool stays = c->got->ids[2 * t + 1] >= 0, random = c->in && c->in->seed;
    if (stays == (!random || drawn < law) || (random && fabs(drawn - law) <= slack)) return true;
    return moe_bad(c->verdict, "ids[%lld,1] is %d, and %.9g was drawn where less than %.9g stays",
                   LL(t), c->got->ids[2 * t + 1], drawn, law);
}

static bool token_is_right(const moe_route_check *c, int64_t t) {
    return choice_is_best(c, t) && (!c->layer->router.second || second_is_right(c, t));
}

static bool ids_are_of_the_table(const moe_route_check *c) {
    int64_t k = c->layer->k;
    for (int64_t t = 0; t < c->tokens; t++) {
        int want[MOE_MAX_TOPK];
        const moe_host_layer one = {.token_ids = c->in->token_ids + t,
                                    .expert_table = c->in->expert_table, .vocab = c->in->vocab};
        moe_ref_hash(c->layer, 1, &one, want);
        for (int64_t j = 0; j < k; j++)
            if (c->got->ids[t * k + j] != want[j])
                return moe_bad(c->verdict,
                               "ids[%lld,%lld] is %d, and the table has %d for token id %d", LL(t),
                               LL(j), c->got->ids[t * k + j], want[j], c->in->token_ids[t]);
    }
    return true;
}

bool moe_stage_ids_are_right(const moe_route_check *c) {
    return moe_router_looks_up(&c->layer->router) ? ids_are_of_the_table(c)
                                                  : moe_tokens_are_right(c, token_is_right);
}
