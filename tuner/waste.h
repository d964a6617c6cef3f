/* waste.h - what a capacity costs: rows that are dropped, and rows of tiles that hold nothing. */
#ifndef MOE_WASTE_H
#define MOE_WASTE_H

#include "op.h"

typedef struct moe_waste {
    double dropped; /* share of all slots that the capacity drops */
    double padding; /* share of the rows of tiles that hold no row */
} moe_waste;

/* For random tokens of a routing class, in tiles of `tile` rows. MOE_E_MEMORY. */
moe_status moe_waste_of(const moe_layer *layer, int64_t tokens, moe_routing routing, int64_t tile,
                        uint64_t seed, moe_waste *out);

#endif
