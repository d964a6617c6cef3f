/* rule.h - rules of a router with a logic of their own: one word of text each, and its numbers. */
#ifndef MOE_RULE_H
#define MOE_RULE_H

#include "core/layer.h"

extern const char *const moe_rule_names[]; /* by moe_rule */

/* True where a router's text is the word of a rule. */
bool moe_rule_named(const char *text);

/* Parses a text that names a rule; prints a router whose rule is not MOE_RULE_TOPK. */
moe_status moe_rule_parse(const char *text, moe_router *out);
void moe_rule_print(const moe_router *router, moe_text *out);

/* MOE_E_INVALID with the reason, unless the layer's other fields agree with its router's rule. */
moe_status moe_rule_check(const moe_layer *layer);

#endif
