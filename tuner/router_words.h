/* router_words.h - a router's rule in plain words, for people. */
#ifndef MOE_ROUTER_WORDS_H
#define MOE_ROUTER_WORDS_H

#include "layer.h"

/* Appends, for example, "the k largest logits; weights are their softmax over all experts, divided
 * by their sum". */
void moe_router_words(const moe_router *router, moe_text *out);

#endif
