/* peer_check.c - judging the ids of product keys, head by head. */
#include "peer_check.h"

#include "peer.h"

#include <math.h>

/* Whether one head's choice is the best: a logit is a sum of two products, and itself rounded. */
static bool head_is_best(const moe_route_check *c, int64_t t, int64_t head, const int *best) {
    const int64_t n = moe_layer_picks(c->layer), first = head * n;
    const double *sides = c->logits + t * moe_layer_logits(c->layer) +
                          head * 2 * c->layer->router.keys;
    const int *ids = c->got->ids + t * c->layer->k + first;
    const double least = moe_peer_logit(c->layer, sides, best[first + n - 1]);
    double before = moe_peer_logit(c->layer, sides, best[first]);
    for (int64_t j = 0; j < n; j++) {
        double key = moe_peer_logit(c->layer, sides, ids[j]);
        double slack = 4 * c->logit_error + 0x1p-22 * fmax(fabs(key), fabs(least));
        if (key < least - slack)
            return moe_bad(c->verdict,
                           "ids[%lld,%lld] is %d with logit %.9g, below the last of head %lld, "
                           "%.9g of expert %d",
                           LL(t), LL(first + j), ids[j], key, LL(head), least, best[first + n - 1]);
        if (key > before + slack)
            return moe_bad(c->verdict, "ids[%lld,%lld] is %d with logit %.9g, above %.9g before it",
                           LL(t), LL(first + j), ids[j], key, before);
        before = key;
    }
    return true;
}

static bool heads_are_best(const moe_route_check *c, int64_t t) {
    int best[MOE_MAX_SLOTS];
    moe_peer_choose(c->layer, c->logits + t * moe_layer_logits(c->layer), best);
    for (int64_t head = 0; head < c->layer->router.heads; head++)
        if (!head_is_best(c, t, head, best)) return false;
    return true;
}

bool moe_peer_ids_are_right(const moe_route_check *c) {
    return moe_tokens_are_right(c, heads_are_best);
}
