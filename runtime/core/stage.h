/* stage.h - the text of a router that picks k experts: its stages. */
#ifndef MOE_STAGE_H
#define MOE_STAGE_H

#include "core/text.h"

/* Stages joined by '>', as in moe_layer_parse. MOE_E_PARSE. */
moe_status moe_stages_parse(const char *text, moe_router *out);
void moe_stages_print(const moe_router *router, moe_text *out);

#endif
