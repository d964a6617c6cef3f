/* route_check.h - a routing that is being judged, for the judges of its rule. */
#ifndef MOE_ROUTE_CHECK_H
#define MOE_ROUTE_CHECK_H

#include "reference.h"
#include "verdict.h"

typedef struct moe_route_check {
    const moe_layer *layer;
    int64_t tokens;
    const double *logits;
    const moe_host_layer *in; /* or NULL */
    const float *key_bias;    /* or NULL */
    const int *ids;           /* [T,k] those of `got`, with second ones that a law left out */
    double logit_error, tolerance;
    const moe_route_result *got;
    moe_verdict *verdict;
} moe_route_check;

/* For messages. */
#define LL(value) ((long long)(value))

/* True where all logits of a token are finite: else ids are judged as valid and distinct only. */
bool moe_logits_are_finite(const moe_route_check *c, int64_t t);

/* Whether each token's ids are valid and distinct (those of one head, where there are some) and,
 * where logits are finite, `is_right` (optional). */
bool moe_tokens_are_right(const moe_route_check *c,
                          bool (*is_right)(const moe_route_check *c, int64_t t));

#endif
