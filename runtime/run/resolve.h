/* resolve.h - which tuned kernels serve a layer, for every token bucket. */
#ifndef MOE_RESOLVE_H
#define MOE_RESOLVE_H

#include "run/bucket.h"

/* What a plan is asked for. */
typedef struct moe_ask {
    const char *device; /* its name, for advice; borrowed */
    moe_layer layer;
    moe_want want;
    int64_t max_tokens; /* 0: no limit */
    moe_match worst;    /* that is taken; not MOE_MATCH_ANY */
} moe_ask;

/* Finds the kernels of every bucket, but for what only images tell; *out is the caller's to free().
 * MOE_E_NOT_FOUND (no row fits: the text says of which op, and how to tune it), MOE_E_CORRUPT,
 * MOE_E_IO, MOE_E_MEMORY. */
moe_status moe_resolve(moe_db *db, const moe_ask *ask, moe_buckets *out);

#endif
