/* logit.c - logits as routers take them. */
#include "logit.h"

#include <float.h>
#include <math.h>

/* See reference.h: a total order on all logits and keys, and no inf - inf. fmax and fmin drop a
 * NaN. */
double moe_ref_finite(double logit) { return fmin(fmax(logit, -FLT_MAX), FLT_MAX); }

double moe_ref_softmax_sum(const moe_layer *layer, const double *logits, double *largest) {
    double sum = 0;
    *largest = -FLT_MAX;
    for (int64_t e = 0; e < layer->e; e++) *largest = fmax(*largest, moe_ref_finite(logits[e]));
    for (int64_t e = 0; e < layer->e; e++) sum += exp(moe_ref_finite(logits[e]) - *largest);
    return sum;
}

double moe_ref_sigmoid(double l) { return l < 0 ? exp(l) / (1 + exp(l)) : 1 / (1 + exp(-l)); }
