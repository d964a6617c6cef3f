/* waste.h - what a capacity costs: rows that are dropped, and rows of tiles that hold nothing. */
#ifndef MOE_WASTE_H
#define MOE_WASTE_H

#include "judge/traffic.h"

/* Shares, 0..1. Of a layer with local experts, over all devices together. */
typedef struct moe_waste {
    double dropped; /* of all slots: those that the capacity drops */
    double lost;    /* of all tokens: those without any row left */
    double weight;  /* of the sum of all weights: that of dropped slots */
    double padding; /* of the rows of tiles: those that hold no row */
} moe_waste;

/* For ids and weights [T,k], in tiles of `tile` rows. MOE_E_MEMORY. */
moe_status moe_waste_of_ids(const moe_layer *layer, int64_t tokens, const int *ids,
                            const float *weights, int64_t tile, moe_waste *out);

/* For the tokens of a traffic. MOE_E_MEMORY, and what a trace may be wrong in. */
moe_status moe_waste_of(const moe_layer *layer, int64_t tokens, const moe_traffic *traffic,
                        int64_t tile, uint64_t seed, moe_waste *out);

#endif
