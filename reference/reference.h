/* reference.h - the reference MoE layer: double precision on the CPU.
 *
 * It is written from the formulas of the layer's definition, not from the kernels. Inputs are host
 * arrays in the layer's own dtypes (already rounded); everything after them is double. T = tokens,
 * slot s = t*k + j is choice j of token t. */
#ifndef MOE_REFERENCE_H
#define MOE_REFERENCE_H

#include "layer.h"
#include "op.h"

/* Host inputs of a layer, shaped as in moe_io. Unused ones are NULL. */
typedef struct moe_host_layer {
    const void *x, *router_weight;
    const float *router_bias, *logits;
    const void *up, *up_bias, *down, *down_bias;
} moe_host_layer;

/* Element i of an array of `dtype` as double, and the rounding of a double to `dtype` (to nearest,
 * ties to even), stored. */
double moe_load(moe_dtype dtype, const void *array, int64_t i);
void moe_store(moe_dtype dtype, void *array, int64_t i, double value);

/* logits [T,e]: x @ router_weight^T + bias, or the given ones. */
void moe_ref_logits(const moe_layer *layer, int64_t tokens, const moe_host_layer *in, double *logits);

/* ids [T,k] best first (ties: lower id), weights [T,k], and where not NULL counts [e] and mean
 * probabilities [e], from logits [T,e]. */
void moe_ref_route(const moe_layer *layer, int64_t tokens, const double *logits, int *ids,
                   double *weights, int *counts, double *mean_probs);

/* The weights that the router's rule gives to chosen ids [T,k], which need not be the best. */
void moe_ref_weights(const moe_layer *layer, int64_t tokens, const double *logits, const int *ids,
                     double *weights);

/* kept [T,k]: 1 where the slot's expert has room under the layer's capacity. Room goes to all first
 * choices in token order, then to all second choices, and so on. */
void moe_ref_capacity(const moe_layer *layer, int64_t tokens, const int *ids, unsigned char *kept);

/* h [f] of one row: activation(x_t @ up_e^T + bias). */
void moe_ref_up(const moe_layer *layer, const moe_host_layer *in, int64_t token, int expert, double *h);

/* y_row [d] of one row: h @ down_e^T + bias. `h` [f] in double. */
void moe_ref_down(const moe_layer *layer, const moe_host_layer *in, const double *h, int expert,
                  double *y_row);

/* y [n,d] of the n given tokens (NULL: all T) from ids, weights and kept of all tokens, in double.
 * Threaded over tokens. MOE_E_MEMORY. */
moe_status moe_ref_layer(const moe_layer *layer, int64_t tokens, const moe_host_layer *in,
                         const int *ids, const double *weights, const unsigned char *kept,
                         const int64_t *chosen, int64_t n, double *y);

#endif
