/* layer_words.h - what a layer does, in plain words for people. */
#ifndef MOE_LAYER_WORDS_H
#define MOE_LAYER_WORDS_H

#include "core/layer.h"

/* Appends, for example, "the k largest logits; weights are their softmax over all experts, divided
 * by their sum". */
void moe_router_words(const moe_router *router, moe_text *out);

/* Appends, for example, "an expert keeps ceil(T*8*1.25/64) rows, first choices first; the rest are
 * dropped". */
void moe_capacity_words(const moe_layer *layer, moe_text *out);

#endif
