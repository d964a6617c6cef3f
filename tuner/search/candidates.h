/* candidates.h - every config of every template that serves an op on a device, as one landscape. */
#ifndef MOE_CANDIDATES_H
#define MOE_CANDIDATES_H

#include "gen.h"
#include "search/search.h"

typedef struct moe_candidate {
    const moe_template *t;
    moe_config config;
    bool is_default; /* its template's default for this op and device */
} moe_candidate;

typedef struct moe_candidates {
    int64_t count;
    moe_candidate *item;     /* owned, as are the arrays of the landscape */
    moe_landscape landscape; /* for a search; the defaults stand first by cost */
    char skipped[512];       /* why a template that could serve was left out, or "" */
} moe_candidates;

/* Configs whose sums depend on the order of arrival are listed where the generator allows any
 * order. The landscape's first default is the default of the op: that of its cheapest template by
 * the templates' own predictions. A template that throws is skipped; `only` leaves all others out,
 * or is NULL. MOE_E_NOT_FOUND (no template serves the op), MOE_E_TEMPLATE (all that do throw),
 * MOE_E_MEMORY. */
moe_status moe_candidates_init(moe_candidates *candidates, const moe_gen *gen, const moe_op *op,
                               const moe_facts *facts, const moe_template *only);
void moe_candidates_free(moe_candidates *candidates);

/* The default config of an op on a device, without listing all others. Errors as above. */
moe_status moe_candidate_default(const moe_gen *gen, const moe_op *op, const moe_facts *facts,
                                 moe_candidate *out);

#endif
