/* logit.h - logits as routers take them. */
#ifndef MOE_LOGIT_H
#define MOE_LOGIT_H

#include "core/layer.h"

/* In the finite range of fp32; NaN is its lowest value. */
double moe_ref_finite(double logit);

/* The sum of exp(l - largest) over a token's logits [e]. */
double moe_ref_softmax_sum(const moe_layer *layer, const double *logits, double *largest);

double moe_ref_sigmoid(double logit);

#endif
