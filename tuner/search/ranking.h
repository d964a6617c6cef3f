/* ranking.h - how well predicted times order candidates whose times are known. */
#ifndef MOE_RANKING_H
#define MOE_RANKING_H

#include "core/status.h"

/* A prediction does its work where the best candidate is among so many of the first. */
enum { MOE_RANKING_FIRST = 12 };

typedef struct moe_ranking {
    int64_t count;      /* candidates that have both times */
    double correlation; /* Spearman's, -1..1; 0 where fewer than 3 have both or all are equal */
    int64_t best;       /* the fastest one's place by prediction among these, from 1; 0: none */
    double regret;      /* least time of the first MOE_RANKING_FIRST, over that of all; 0: none */
} moe_ranking;

/* Compares predicted[i] with known[i], i < n; candidates of which one is not finite and above 0 are
 * left out. Equal times share the mean of their places. MOE_E_MEMORY. */
moe_status moe_ranking_of(const double *predicted, const double *known, int64_t n,
                          moe_ranking *out);

#endif
