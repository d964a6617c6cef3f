/* route_check.c - what the judges of all rules ask of a token's choice. */
#include "route_check.h"

#include <math.h>

bool moe_logits_are_finite(const moe_route_check *c, int64_t t) {
    const int64_t width = moe_layer_logits(c->layer);
    for (int64_t i = 0; i < width; i++)
        if (!isfinite(c->logits[t * width + i])) return false;
    return true;
}

static bool ids_are_distinct(const moe_route_check *c, int64_t t) {
    const int *ids = c->ids + t * c->layer->k;
    const int64_t picks = moe_layer_picks(c->layer); /* heads may choose the same */
    for (int64_t j = 0; j < c->layer->k; j++) {
        if (ids[j] < 0 || ids[j] >= c->layer->e)
            return moe_bad(c->verdict, "ids[%lld,%lld] is %d, not in 0..%lld", LL(t), LL(j), ids[j],
                           LL(c->layer->e - 1));
        for (int64_t i = j / picks * picks; i < j; i++)
            if (ids[i] == ids[j])
                return moe_bad(c->verdict, "ids[%lld,%lld] is %d, as ids[%lld,%lld] is already",
                               LL(t), LL(j), ids[j], LL(t), LL(i));
    }
    return true;
}

bool moe_tokens_are_right(const moe_route_check *c,
                          bool (*is_right)(const moe_route_check *c, int64_t t)) {
    for (int64_t t = 0; t < c->tokens; t++) {
        if (!ids_are_distinct(c, t)) return false;
        if (is_right && moe_logits_are_finite(c, t) && !is_right(c, t)) return false;
    }
    return true;
}
