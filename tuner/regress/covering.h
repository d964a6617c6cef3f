/* covering.h - few combinations of many factors that still hold every pair of levels.
 *
 * Most faults need one or two particular settings; a covering set meets every pair of them in a
 * number of rows that grows with the square of the largest factors, not with the product of all. */
#ifndef MOE_COVERING_H
#define MOE_COVERING_H

#include "core/status.h"

enum { MOE_MAX_FACTORS = 24 };

typedef struct moe_factors {
    int count;
    int levels[MOE_MAX_FACTORS]; /* of each factor */
    /* False for a combination that cannot be. */
    bool (*legal)(const int *row);
} moe_factors;

/* Rows [n][count] that hold every pair of levels which any legal row holds. The same seed gives the
 * same rows. The caller frees *rows. MOE_E_MEMORY. */
moe_status moe_covering(const moe_factors *factors, uint64_t seed, int **rows, int64_t *n);

/* Every legal row. */
moe_status moe_full_product(const moe_factors *factors, int **rows, int64_t *n);

#endif
