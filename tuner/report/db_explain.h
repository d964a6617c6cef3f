/* db_explain.h - which rows of a database a plan takes, and why not the others. */
#ifndef MOE_DB_EXPLAIN_H
#define MOE_DB_EXPLAIN_H

#include "tune/session.h"

#include <stdio.h>

typedef struct moe_explain {
    const char *path;   /* of the database; NULL: the default one */
    const char *device; /* as asked for; only its facts are needed, not the device */
    const moe_facts *facts;
    const moe_goal *goal; /* layers, token counts and routings */
    bool any_order, json;
} moe_explain;

/* For each layer, routing and token count: every step with the row that serves it, its match and
 * reason, then the rows that were passed over, by reason, with the fastest of each.
 * MOE_E_NOT_FOUND (no row serves a step: the rows passed over are told before), MOE_E_CORRUPT. */
moe_status moe_db_explain(const moe_explain *asked, FILE *to);

#endif
