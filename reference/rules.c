/* rules.c - how the reference routes by each rule, and how it judges others that do. */
#include "rules.h"

#include "balance.h"
#include "balance_check.h"
#include "expert_choice.h"
#include "peer.h"
#include "peer_check.h"
#include "stages.h"
#include "stages_check.h"

static moe_status assign_evenly(const moe_layer *layer, int64_t tokens, const double *logits,
                                int *ids) {
    moe_balance balance;
    double epsilon = moe_balance_epsilon(layer, tokens, logits);
    return moe_balance_assign(layer, tokens, logits, epsilon, MOE_BALANCE_ROUNDS, ids, &balance);
}

static bool ids_are_distinct(const moe_route_check *c) { return moe_tokens_are_right(c, NULL); }

static void choose_by_keys(const moe_layer *layer, const double *logits, const float *key_bias,
                           int *ids) {
    (void)key_bias;
    moe_peer_choose(layer, logits, ids);
}

static void weigh_heads(const moe_layer *layer, const double *logits, const int *ids, double slack,
                        double *weights) {
    (void)slack;
    moe_peer_weights(layer, logits, ids, weights);
}

#define TOKENS .choose = moe_stage_choose, .weigh = moe_stage_weigh
static const moe_rule_reference rules[MOE_RULE_COUNT] = {
    [MOE_RULE_TOPK] = {TOKENS, .ids_are_right = moe_stage_ids_are_right},
    [MOE_RULE_BASE] = {TOKENS, .assign = assign_evenly, .ids_are_right = ids_are_distinct,
                       .judge_all = moe_judge_balance, .shares = moe_check_shares},
    [MOE_RULE_EXPERT_CHOICE] = {TOKENS, .assign = moe_expert_choice,
                                .ids_are_right = moe_takings_are_slots,
                                .judge_all = moe_judge_taking},
    [MOE_RULE_GIVEN] = {TOKENS, .ids_are_right = ids_are_distinct},
    [MOE_RULE_PEER] = {.logits = moe_peer_logits, .choose = choose_by_keys, .weigh = weigh_heads,
                       .ids_are_right = moe_peer_ids_are_right},
};
#undef TOKENS

const moe_rule_reference *moe_rule_reference_of(const moe_layer *layer) {
    return &rules[layer->router.rule];
}
