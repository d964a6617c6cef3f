/* expert_choice.h - experts that take the tokens that make them most probable, and their judge. */
#ifndef MOE_EXPERT_CHOICE_H
#define MOE_EXPERT_CHOICE_H

#include "route_check.h"

/* ids [T,e]: expert j's number where it has taken the token, else -1. MOE_E_MEMORY. */
moe_status moe_expert_choice(const moe_layer *layer, int64_t tokens, const double *logits,
                             int *ids);

/* Whether slot j of a token is expert j's. */
bool moe_takings_are_slots(const moe_route_check *c);

/* Whether all experts have taken the right tokens. MOE_E_MEMORY. */
moe_status moe_judge_taking(const moe_route_check *c);

#endif
