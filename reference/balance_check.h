/* balance_check.h - judging a balanced assignment. */
#ifndef MOE_BALANCE_CHECK_H
#define MOE_BALANCE_CHECK_H

#include "route_check.h"

/* Whether each expert has its share of the ids [T], which are valid, as base asks. */
bool moe_check_shares(const moe_layer *layer, int64_t tokens, const int *ids, moe_verdict *out);

/* Whether it also has nearly the largest sum of logits. MOE_E_MEMORY. */
moe_status moe_judge_balance(const moe_route_check *c);

#endif
