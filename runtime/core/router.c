/* router.c - the choices of a router: tables, and which of them go together. */
#include "core/router.h"

#define AT(member) offsetof(moe_router, member)

const moe_choice_info moe_score_table[] = {
    [MOE_SCORE_LOGIT] = {"logit", .unwritten = true, .words = "the logits", .keys = "logits"},
    [MOE_SCORE_SOFTMAX] = {"softmax", .shares = true, .words = "their softmax over all experts",
                           .keys = "softmax scores"},
    [MOE_SCORE_SIGMOID] = {"sigmoid", .words = "their sigmoids", .keys = "sigmoid scores"},
    [MOE_SCORE_SQRTSOFTPLUS] = {"sqrtsoftplus", .words = "their sqrt(softplus)",
                                .keys = "sqrt(softplus) scores"},
};

const moe_choice_info moe_pick_table[] = {
    [MOE_PICK_TOPK] = {"topk"},
    [MOE_PICK_HASH] = {"hash", .by_table = true,
                       .words = "k experts by the token's id, from a table"},
};

const moe_choice_info moe_weigh_table[] = {
    [MOE_WEIGH_SCORE] = {"score", .unwritten = true},
    [MOE_WEIGH_SOFTMAX] = {"softmax", .shares = true, .words = "the softmax over these k"},
    [MOE_WEIGH_SIGMOID] = {"sigmoid", .words = "their sigmoids"},
    [MOE_WEIGH_SPARSEMIXER] = {"sparsemixer", .number = AT(jitter), .usual = 0.01, .of_best = true,
                               .jumps = true, .words = "each one's softmax among the near experts "
                                                       "that are not taken yet"},
    [MOE_WEIGH_RELU] = {"relu", .unwritten = true},
};

const moe_choice_info moe_second_table[] = {
    [MOE_SECOND_ALWAYS] = {"always", .unwritten = true},
    [MOE_SECOND_MESH] = {"mesh", .words = "its weight / 0.2"},
    [MOE_SECOND_NLLB] = {"nllb", .words = "twice its softmax over all experts"},
    [MOE_SECOND_PAPER] = {"paper", .words = "twice its weight"},
};

const moe_choice_info moe_group_table[] = {
    [MOE_GROUP_MAX] = {"max", .words = "one"},
    [MOE_GROUP_SUM2] = {"sum2", .words = "sum of two"},
};

double moe_router_epsilon(moe_score score) { return moe_score_table[score].shares ? 0 : 1e-20; }

static moe_status check_groups(const moe_router *r, int64_t e, int64_t k) {
    if (r->groups > MOE_MAX_GROUPS)
        return moe_fail(MOE_E_INVALID, "router: %lld groups are more than %d", (long long)r->groups,
                        MOE_MAX_GROUPS);
    if (e % r->groups)
        return moe_fail(MOE_E_INVALID, "router: %lld groups do not divide e=%lld experts",
                        (long long)r->groups, (long long)e);
    if (r->groups_kept > r->groups)
        return moe_fail(MOE_E_INVALID, "router: %lld groups cannot be kept of %lld",
                        (long long)r->groups_kept, (long long)r->groups);
    if (r->groups_kept * (e / r->groups) < k)
        return moe_fail(MOE_E_INVALID, "router: %lld groups hold fewer than k=%lld experts",
                        (long long)r->groups_kept, (long long)k);
    if (r->group_rule == MOE_GROUP_SUM2 && e / r->groups < 2)
        return moe_fail(MOE_E_INVALID, "router: sum2 needs two experts in a group");
    if (r->zero_fill && !r->key_bias)
        return moe_fail(MOE_E_INVALID, "router: zero makes no difference without +bias, since "
                                       "scores are above 0; leave it out");
    return MOE_OK;
}

/* What is picked by token ids takes no part in a selection. */
static moe_status check_table(const moe_router *r) {
    const char *pick = moe_pick_table[r->pick].name;
    if (r->noise || r->key_bias || r->groups)
        return moe_fail(MOE_E_INVALID, "router: %s selects by token ids; noisy, +bias and groups "
                                       "are for topk",
                        pick);
    if (moe_weigh_table[r->weigh].of_best)
        return moe_fail(MOE_E_INVALID, "router: %s weighs the k best, and %s picks others",
                        moe_weigh_table[r->weigh].name, pick);
    return MOE_OK;
}

static moe_status check_second(const moe_router *r) {
    bool plain = r->pick == MOE_PICK_TOPK && !r->key_bias && !r->groups && r->scale == 1;
    if (r->score != MOE_SCORE_SOFTMAX || !r->renorm || !plain || r->input)
        return moe_fail(MOE_E_INVALID, "router: second(%s) goes with softmax>topk>renorm alone",
                        moe_second_table[r->second].name);
    return MOE_OK;
}

moe_status moe_router_check(const moe_router *r, int64_t e, int64_t k) {
    if (r->score && r->weigh)
        return moe_fail(MOE_E_INVALID, "router: %s before topk and %s behind it; one of them",
                        moe_score_table[r->score].name, moe_weigh_table[r->weigh].name);
    if (r->key_bias && !r->score)
        return moe_fail(MOE_E_INVALID, "router: a bias of keys needs a score; a bias of logits is "
                                       "bias=router");
    if (r->renorm && moe_weigh_table[r->weigh].shares)
        return moe_fail(MOE_E_INVALID, "router: %s over the chosen adds up to 1 already; "
                                       "leave renorm out",
                        moe_weigh_table[r->weigh].name);
    if (r->renorm && !r->score && !r->weigh)
        return moe_fail(MOE_E_INVALID, "router: logits may add up to 0; give them a score");
    if (r->jitter_input >= 1)
        return moe_fail(MOE_E_INVALID, "router: jitter(%g) would turn inputs round; it is below 1",
                        r->jitter_input);
    if (moe_router_looks_up(r)) MOE_TRY(check_table(r));
    if (r->second) MOE_TRY(check_second(r));
    return r->groups ? check_groups(r, e, k) : MOE_OK;
}

bool moe_router_draws(const moe_router *r) { return r->jitter_input || r->noise || r->second; }

bool moe_router_looks_up(const moe_router *r) { return moe_pick_table[r->pick].by_table; }

bool moe_router_selects_logits(const moe_router *r) {
    bool by_sum = r->groups && r->group_rule == MOE_GROUP_SUM2 && r->score;
    return !r->key_bias && !by_sum;
}

bool moe_router_among_chosen(const moe_router *r) {
    return moe_weigh_table[r->weigh].shares ||
           (moe_score_table[r->score].shares && r->renorm && r->epsilon == 0);
}
