/* loads.h - how tokens are expected to spread over experts. */
#ifndef MOE_LOADS_H
#define MOE_LOADS_H

#include "core/op.h"

/* Experts that may expect the same. */
typedef struct moe_load {
    double experts; /* of them; not whole where a device holds a share of every kind */
    double rows;    /* that each keeps */
    double used;    /* chance that it gets any */
} moe_load;

/* A walk over the kinds of experts in index maps: those that tokens choose, each a kind of its own
 * under zipf, then what a shared expert is seen as. */
typedef struct moe_loads {
    int64_t tokens, experts, chosen; /* a token chooses so many, each once */
    int64_t most;                    /* rows that an expert keeps */
    int64_t held, shared;            /* on this device; see moe_layer_shared_experts */
    moe_routing routing;
    int64_t at;                      /* private: kinds that were given, */
    double popularity;               /* and of zipf, once known */
} moe_loads;

/* The walk of a layer, at its start. */
moe_loads moe_loads_of(const moe_layer *layer, int64_t tokens, moe_routing routing);

/* False behind the last kind; of no tokens there is none. */
bool moe_loads_next(moe_loads *loads, moe_load *out);

#endif
