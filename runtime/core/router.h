/* router.h - the choices of a router: text form and limits. */
#ifndef MOE_ROUTER_H
#define MOE_ROUTER_H

#include "core/text.h"

enum { MOE_MAX_GROUPS = 32 };

extern const char *const moe_score_names[]; /* by moe_score; "" for the logit itself */
extern const char *const moe_weigh_names[]; /* by moe_weigh; "" for the score itself */
extern const char *const moe_pick_names[];  /* by moe_pick */
extern const char *const moe_second_names[]; /* by moe_second; "" for always */
extern const char *const moe_group_names[]; /* by moe_group_rule */

/* A field whose value is a moe_router. */
extern const moe_field_type moe_field_router;

/* MOE_E_INVALID with the reason, unless the choices agree with each other and with e experts of
 * which k are chosen. */
moe_status moe_router_check(const moe_router *router, int64_t e, int64_t k);

/* True where the order of keys is that of logits, so that nothing but logits is compared: scores
 * that round to the same number must not make ties. */
bool moe_router_selects_logits(const moe_router *router);

/* True where something is drawn at random. */
bool moe_router_draws(const moe_router *router);

/* The epsilon of `renorm` without a number. Softmax scores need none: the largest of them is among
 * the chosen. */
double moe_router_epsilon(moe_score score);

#endif
