/* tolerance.c - how far a result may be from the reference.
 *
 * Two things separate a right kernel from the double-precision reference, both known in size:
 *
 * Roundings. An output is rounded to a dtype of unit roundoff u (2^-8, 2^-11, 2^-24). One rounding
 * is off by at most u of the element itself, so by at most u * tail of the RMS, where tail is how
 * far the largest element stands above the RMS. Over many elements the root mean square of a
 * rounding is about 0.4 u of the RMS, because it is spread over -u..u of numbers whose mantissas
 * are spread over 1..2.
 *
 * Sums. A sum of n products in fp32, unit roundoff v = 2^-24, picks up one rounding a product. They
 * are independent, so the error grows like v * sqrt(n): measured rel_l2 of a sequential sum is 0.3
 * v sqrt(n), and its largest of a million 5 times that. Tensor cores align products and cut bits
 * off (Fasi et al. 2021, "Numerical behavior of NVIDIA tensor cores"), which costs a small factor
 * more, and three-pass tf32 drops products of 2^-22. The factor below, 4, leaves room for all of
 * these.
 *
 * Tails for inputs at unit scale, over up to 10^7 elements:
 *   route      a weight's relative error is its logit's absolute error (logits at unit scale), and
 *              the largest weight is at most 1 where the RMS is some 1/8 or more.
 *   gemm_up    products of two normals (gated) or squares of one (relu2): 25 to 30; else 7 to 9.
 *   gemm_down  normal given h; the norm of h varies by row and, where one h unit rules, by
 * more: 10. combine    a weighted sum of k normal rows, whose weights vary by token: 16. permute
 * makes integers, which are right or wrong. */
#include "tolerance.h"

#include "core/args.h"
#include "core/number.h"

#include <math.h>

enum { SUM_FACTOR = 4 };

/* A row for each op. */
typedef struct shape {
    double tail;
    double tail_of_product; /* where the activation multiplies; 0: the same */
    double roundings;       /* to the layer's dtype */
    bool kept;              /* and those of sums that are kept in it: see roundings_of */
    double sums;            /* fp32 sums */
    size_t products;        /* of each: where moe_layer has their number */
} shape;

#define AT(member) offsetof(moe_layer, member)
static const shape shapes[MOE_OP_COUNT] = {
    [MOE_OP_route] = {.tail = 8, .sums = 1, .products = AT(d)},
    [MOE_OP_permute] = {.products = AT(k)}, /* no sums of products */
    [MOE_OP_gemm_up] = {.tail = 12, .tail_of_product = 32, .roundings = 1, .sums = 1,
                        .products = AT(d)},
    [MOE_OP_gemm_down] = {.tail = 10, .roundings = 1, .sums = 1, .products = AT(f)},
    [MOE_OP_combine] = {.tail = 16, .roundings = 1, .sums = 1, .products = AT(k)},
    [MOE_OP_route_permute] = {.tail = 8, .sums = 1, .products = AT(d)},
    /* Three roundings, two sums: squares add. */
    [MOE_OP_experts] = {.tail = 16, .roundings = 1.74, .sums = 1.42, .products = AT(d)},
    [MOE_OP_down_combine] = {.tail = 16, .kept = true, .sums = 1.42, .products = AT(f)},
    [MOE_OP_neurons] = {.tail = 16, .roundings = 1, .sums = 1.42, .products = AT(d)},
};
#undef AT

static double tail_of(const moe_op *op) {
    const shape *row = &shapes[op->kind];
    bool product = moe_act_table[op->layer.act.kind].product;
    return product && row->tail_of_product > 0 ? row->tail_of_product : row->tail;
}

/* Sums of rows may be kept in the layer's dtype: the row is rounded, and then every sum of up to 4
 * rows, whose size grows to that of y. Squares add: 1 + 1/k + 2/k + ... + 1. */
static double roundings_of(const moe_op *op) {
    double most = (double)(op->layer.k < 4 ? op->layer.k : 4);
    return shapes[op->kind].kept ? sqrt(1 + (most + 1) / 2) : shapes[op->kind].roundings;
}

/* Products in one output's sum. */
static double fan_in(moe_op_kind kind, const moe_layer *layer) {
    return (double)*(const int64_t *)((const char *)layer + shapes[kind].products);
}

moe_error_stats moe_compare(const double *got, const double *want, int64_t n) {
    moe_error_stats stats = {0};
    double wanted = 0, missed = 0, largest = -1, peak = 0;
    int64_t nonzero = 0;
    for (int64_t i = 0; i < n; i++) {
        double miss = fabs(got[i] - want[i]);
        if (!isfinite(miss)) miss = INFINITY;
        wanted += want[i] * want[i];
        nonzero += want[i] != 0;
        missed += miss * miss;
        peak = fmax(peak, fabs(want[i]));
        if (miss > largest) largest = miss, stats.worst = i;
    }
    if (n == 0) return stats;
    double rms = wanted > 0 ? sqrt(wanted / (double)nonzero) : 1;
    stats.max_over_rms = largest / rms;
    stats.peak = peak / rms;
    stats.rel_l2 = wanted > 0 ? sqrt(missed / wanted) : sqrt(missed / (double)n);
    return stats;
}

/* Noise multiplies the error of a logit's second product by a normal number. */
static double noise_of(moe_op_kind kind, const moe_layer *layer) {
    return moe_op_writes(kind, MOE_ARG_ids) && layer->router.noise ? 6 : 1;
}

/* A query that meets 16-bit keys as two 16-bit numbers keeps so much of what it is. */
static double query_error(moe_op_kind kind, const moe_layer *layer) {
    bool cut = kind == MOE_OP_route && moe_layer_rule(layer)->keys && layer->w != MOE_F32;
    return cut ? moe_unit_roundoff(layer->w) * moe_unit_roundoff(layer->w) : 0;
}

/* Errors of an op's fp32 sums, in units of the RMS. A few products still have a few roundings. */
static double sum_error(moe_op_kind kind, const moe_layer *layer) {
    return noise_of(kind, layer) * shapes[kind].sums * SUM_FACTOR * 0x1p-24 *
               sqrt(fan_in(kind, layer) + 16) +
           query_error(kind, layer);
}

double moe_op_tolerance(const moe_op *op) {
    double rounding = roundings_of(op) * moe_unit_roundoff(op->layer.x);
    return tail_of(op) * (rounding + sum_error(op->kind, &op->layer));
}

double moe_op_tolerance_l2(const moe_op *op) {
    double rounding = roundings_of(op) * moe_unit_roundoff(op->layer.x);
    return 0.6 * rounding + sum_error(op->kind, &op->layer);
}

/* A layer's steps each add their own error, and y is the last: independent, so squares add. The
 * errors of h and y_rows reach y through sums that keep their size relative to the RMS. */
double moe_layer_tolerance_l2(const moe_layer *layer) {
    static const moe_op_kind steps[] = {MOE_OP_route, MOE_OP_gemm_up, MOE_OP_gemm_down,
                                        MOE_OP_combine};
    double squares = 0;
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        const moe_op op = {.kind = steps[i], .layer = *layer};
        squares += moe_op_tolerance_l2(&op) * moe_op_tolerance_l2(&op);
    }
    return sqrt(squares);
}

/* What happens to single elements of h is spread over all of y, so y's own tail is what counts:
 * that of a normal mixture, or twice the peak that the reference itself has, as roundings of
 * several steps may meet in the largest element. */
double moe_layer_tolerance(const moe_layer *layer, double peak) {
    return fmax(shapes[MOE_OP_combine].tail, 2 * peak) * moe_layer_tolerance_l2(layer);
}

double moe_logit_tolerance(const moe_layer *layer) { return 5 * sum_error(MOE_OP_route, layer); }
