/* balance_check.c - judging a balanced assignment: shares, and the sum of logits. */
#include "balance_check.h"

#include "balance.h"

#include <math.h>
#include <stdlib.h>

bool moe_check_shares(const moe_layer *layer, int64_t tokens, const int *ids, moe_verdict *out) {
    int64_t counts[MOE_MAX_EXPERTS] = {0};
    for (int64_t t = 0; t < tokens; t++) counts[ids[t]]++;
    for (int64_t e = 0; e < layer->e; e++) {
        int64_t share = moe_balance_share(tokens, layer->e, e);
        if (counts[e] != share)
            return moe_bad(out, "expert %lld has %lld tokens, should have %lld", LL(e),
                           LL(counts[e]), LL(share));
    }
    return true;
}

/* No better assignment is known than a finer auction's; a kernel's may be worse than the best by
 * epsilon a token, and by the errors of the logits it compares. */
enum { FINER = 4, FINER_ROUNDS = 1000 };

moe_status moe_judge_balance(const moe_route_check *c) {
    const moe_layer *layer = c->layer;
    double epsilon = moe_balance_epsilon(layer, c->tokens, c->logits), n = (double)c->tokens;
    moe_balance fine;
    if (!moe_check_shares(layer, c->tokens, c->got->ids, c->verdict)) return MOE_OK;
    int *ids = malloc((size_t)c->tokens * sizeof *ids + 1);
    if (!ids) return moe_fail(MOE_E_MEMORY, "no memory to judge %lld tokens", LL(c->tokens));
    moe_status status = moe_balance_assign(layer, c->tokens, c->logits, epsilon / FINER,
                                           FINER_ROUNDS, ids, &fine);
    double total = moe_balance_total(layer, c->tokens, c->logits, c->got->ids);
    double least = fine.total - n * (epsilon + 2 * c->logit_error);
    if (!status && total < least - 1e-6 * fabs(least))
        moe_bad(c->verdict, "the logits of the assignment add up to %.9g, should be %.9g at least",
                total, least);
    free(ids);
    return status;
}
