/* rules.h - how the reference routes by each rule, and how it judges others that do: a row each. */
#ifndef MOE_RULES_H
#define MOE_RULES_H

#include "route_check.h"

typedef struct moe_rule_reference {
    /* Logits from the products of x with the router's weight; NULL: they are these. */
    void (*logits)(const moe_layer *layer, int64_t tokens, const void *keys, const double *products,
                   double *logits);
    /* One token's ids [k], and their weights [k] as moe_ref_doubted_weights says. */
    void (*choose)(const moe_layer *layer, const double *logits, const float *key_bias, int *ids);
    void (*weigh)(const moe_layer *layer, const double *logits, const int *ids, double slack,
                  double *weights);
    /* All tokens' ids, where they depend on one another; NULL: they do not. MOE_E_MEMORY. */
    moe_status (*assign)(const moe_layer *layer, int64_t tokens, const double *logits, int *ids);
    bool (*ids_are_right)(const moe_route_check *c);
    /* Judges where all tokens are at hand; NULL: there is nothing more to see. MOE_E_MEMORY. */
    moe_status (*judge_all)(const moe_route_check *c);
    /* What all ids [T] must show, though logits are known of a few tokens only; NULL: nothing. */
    bool (*shares)(const moe_layer *layer, int64_t tokens, const int *ids, moe_verdict *out);
} moe_rule_reference;

const moe_rule_reference *moe_rule_reference_of(const moe_layer *layer);

#endif
