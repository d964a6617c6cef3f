/* verdict.h - what a route kernel wrote, and the outcome of judging it or index maps. */
#ifndef MOE_VERDICT_H
#define MOE_VERDICT_H

#include "core/status.h"

/* The outcome of a check. `text` names the first bad element, with what it is and should be. */
typedef struct moe_verdict {
    bool ok;
    double error; /* of route: largest error of a weight over the RMS of all weights; of maps: 0 */
    char text[240]; /* "" if ok */
} moe_verdict;

/* What a route kernel wrote. Optional outputs may be NULL. */
typedef struct moe_route_result {
    const int *ids;                      /* [T,k] */
    const float *weights;                /* [T,k] */
    const int *counts;                   /* [e] (optional) */
    const unsigned long long *prob_sums; /* [e] (optional) in units of 2^-32, summed over tokens */
    const float *mean_probs;             /* [e] (optional) */
} moe_route_result;

/* Records a fault, printf-like; false, so that it can be the operand of return. */
bool moe_bad(moe_verdict *verdict, const char *format, ...) MOE_PRINTF(2, 3);

#endif
