/* tolerance.h - how far a result may be from the reference. The tolerance belongs to (op, dtype),
 * never to a call site. It holds for inputs at unit scale, as workload.h makes them. */
#ifndef MOE_TOLERANCE_H
#define MOE_TOLERANCE_H

#include "core/op.h"

/* Error of `got` against `want` [n]. The RMS is that of the elements of `want` that are not 0, so
 * that rows which capacity dropped do not make the errors of the others look larger. */
typedef struct moe_error_stats {
    double max_over_rms; /* largest |got - want| / rms(want) */
    double rel_l2;       /* ||got - want|| / ||want|| */
    int64_t worst;       /* index of the largest */
    double peak;         /* largest |want| / rms(want): how long the tail of the reference is */
} moe_error_stats;

/* NaN or infinity in `got` counts as an infinite error. A zero reference is compared as it is. */
moe_error_stats moe_compare(const double *got, const double *want, int64_t n);

/* Largest allowed max_over_rms of one op's output: catches an element that is wrong. */
double moe_op_tolerance(const moe_op *op);

/* Largest allowed rel_l2 of one op's output: far tighter, it catches a lost product. Only for the
 * outputs of at least 1000 elements or so; a few may all sit on bad roundings. */
double moe_op_tolerance_l2(const moe_op *op);

/* The same for y of the whole layer. Drops and uneven weights make some tokens' y far larger than
 * others', and a rounding is relative to its element: `peak` is moe_error_stats.peak of y. */
double moe_layer_tolerance(const moe_layer *layer, double peak);
double moe_layer_tolerance_l2(const moe_layer *layer);

/* Absolute error that a router logit of rms 1 may have after an fp32 sum over d products. Decides
 * which near ties a kernel may break its own way. */
double moe_logit_tolerance(const moe_layer *layer);

#endif
