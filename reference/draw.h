/* draw.h - random numbers by counter, as routers draw them: Philox4x32-10 (Salmon and others, SC
 * 2011). The key is the seed, the counter (token, i, stream, 0): see moe_router. */
#ifndef MOE_DRAW_H
#define MOE_DRAW_H

#include "reference.h"

typedef enum moe_draw { MOE_DRAW_SECOND, MOE_DRAW_NOISE, MOE_DRAW_JITTER } moe_draw;

void moe_draw_words(uint64_t seed, uint32_t token, uint32_t i, moe_draw stream, uint32_t words[4]);

/* Any counter; what the words above are made by. */
void moe_philox(const uint32_t counter[4], uint64_t key, uint32_t words[4]);

/* 0 .. 1 - 2^-24, exactly. */
float moe_draw_uniform(uint32_t word);

/* Of mean 0 and deviation 1. */
double moe_draw_normal(const uint32_t words[4]);

#endif
