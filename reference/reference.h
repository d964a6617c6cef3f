/* reference.h - the reference MoE layer: double precision on the CPU.
 *
 * It is written from the formulas of the layer's definition, not from the kernels. Inputs are host
 * arrays in the layer's own dtypes (already rounded); everything after them is double. T = tokens,
 * slot s = t*k + j is choice j of token t. Functions that return a moe_status need memory and can
 * fail with MOE_E_MEMORY only. */
#ifndef MOE_REFERENCE_H
#define MOE_REFERENCE_H

#include "core/layer.h"
#include "core/number.h"
#include "core/op.h"
#include "host_tensors.h"

/* Host inputs of a layer, shaped as in moe_io. Unused ones are NULL. */
typedef struct moe_host_layer {
#define MOE_TENSOR MOE_READ_ROW
#define MOE_READ(dtype, name) const MOE_HOST_##dtype *name;
#include "core/tensor.def"
#undef MOE_READ
#undef MOE_TENSOR
    int64_t vocab;          /* rows of expert_table */
    const int64_t *numbers; /* [T] of a call's tokens that these are; NULL: 0, 1, ... */
} moe_host_layer;

/* logits [T,e]: x @ router_weight^T + bias, with all that the router draws there; or the given
 * ones. Of product keys [T,HEADS,2,KEYS]: that is the query, and logits are its halves' products
 * with keys. Threaded. */
moe_status moe_ref_logits(const moe_layer *layer, int64_t tokens, const moe_host_layer *in,
                          double *logits);

/* A token's x [d] as the router takes it, jittered where a seed says so; all tokens' in the layer's
 * dtype, `row` [d] being room for one. The same bits as a device's. */
void moe_ref_router_x(const moe_layer *layer, const moe_host_layer *in, int64_t token, float *row);
void moe_ref_jittered(const moe_layer *layer, int64_t tokens, const moe_host_layer *in, void *x,
                      float *row);

/* Adds noise to logits [T,e], whose size `raw` [T,e] tells. There is a seed. */
void moe_ref_noise(const moe_layer *layer, int64_t tokens, const moe_host_layer *in,
                   const double *raw, double *logits);

/* The second of a token's ids [2] of these weights stays where what is drawn is below the law; all
 * tokens' that do not become -1, their weights 0. Without a seed every one stays. */
double moe_ref_second_law(const moe_layer *layer, const double *logits, const int *ids,
                          const double *weights);
double moe_ref_second_draw(const moe_host_layer *in, int64_t token);
void moe_ref_second(const moe_layer *layer, int64_t tokens, const double *logits,
                    const moe_host_layer *in, int *ids, double *weights);

/* ids [T,k] from the table, as MOE_PICK_HASH says. */
void moe_ref_hash(const moe_layer *layer, int64_t tokens, const moe_host_layer *in, int *ids);

/* Somebody's choice where groups of experts are as good as equal: those with one of `ids` [k] win
 * over others whose score is not better by more than `slack`. */
typedef struct moe_ref_doubt {
    const int *ids;
    double slack;
} moe_ref_doubt;

/* The keys [e] that one token's experts are selected by, from its logits [e], as moe_router says;
 * those outside of kept groups are -inf or 0. key_bias [e] is read where the router has one; NULL:
 * zeros. doubt NULL: of equal groups the lower one wins. */
void moe_ref_keys(const moe_layer *layer, const double *logits, const float *key_bias,
                  const moe_ref_doubt *doubt, double *keys);

/* ids [k] of the largest keys [e], best first (ties: lower id). */
void moe_ref_choose(const moe_layer *layer, const double *keys, int *ids);

/* ids [T,k] best first (ties: lower id), weights [T,k], and where not NULL counts [e] and mean
 * probabilities [e] (softmax of the logits; 0 where T = 0), from logits [T,e]. key_bias as for
 * moe_ref_keys.
 *
 * Logits, and keys with a bias, are clamped to the finite range of fp32, and NaN counts as its
 * lowest value; so the ids of a token are valid and distinct whatever its logits are, and weights
 * are never NaN. */
void moe_ref_route(const moe_layer *layer, int64_t tokens, const double *logits,
                   const float *key_bias, int *ids, double *weights, int *counts,
                   double *mean_probs);

/* The mean over tokens of the softmax of logits [T,e]; 0 where T = 0. */
void moe_ref_mean_probs(const moe_layer *layer, int64_t tokens, const double *logits, double *mean);

/* losses [MOE_LOSS_COUNT] of logits [T,e] and what was chosen by them: ids, weights [T,k]. All 0
 * where T = 0. MOE_E_MEMORY. */
moe_status moe_ref_losses(const moe_layer *layer, int64_t tokens, const double *logits,
                          const int *ids, const double *weights, double *losses);

/* next [e]: bias [e] moved by `rate` up for experts whose count [e] is below the mean, down for
 * those above it (DeepSeek-V3's loss-free balancing). */
void moe_ref_next_bias(const moe_layer *layer, int64_t tokens, const int *counts, float rate,
                       const float *bias, float *next);

/* A token's ids [k] with the second one that a law left out: the best beside the first. */
void moe_ref_complete(const moe_layer *layer, const double *logits, const int *ids, int *full);

/* The weights that the router's rule gives to chosen ids [T,k], which need not be the best; 0 where
 * an id is -1. */
void moe_ref_weights(const moe_layer *layer, int64_t tokens, const double *logits, const int *ids,
                     double *weights);

/* The same where experts up to `slack` farther below a choice count as near it; fewer do where it
 * is negative. Only sparsemixer's weights depend on who is near: more weigh less. */
void moe_ref_doubted_weights(const moe_layer *layer, int64_t tokens, const double *logits,
                             const int *ids, double slack, double *weights);

/* moe_ref_route by whatever rule the router has, without statistics, and as if nothing was drawn
 * and no table at hand. Of expert_choice, slot (t,j) is
 * expert j's: its id is j, or -1 and its weight 0 where the expert has not taken the token.
 * MOE_E_MEMORY. */
moe_status moe_ref_rule(const moe_layer *layer, int64_t tokens, const double *logits,
                        const float *key_bias, int *ids, double *weights);

/* ids [T,k] as the device that holds experts `first` and behind numbers them: its own from 0 on,
 * and -1 for those of others. All that follows takes ids so. */
void moe_ref_local_ids(const moe_layer *layer, int first, int64_t slots, const int *ids,
                       int *local);

/* kept [T,k]: 1 where the slot's expert has room under the layer's capacity. Room goes to all first
 * choices in token order, or of priority=gate by weights [T,k] (else NULL), then to all second
 * choices, and so on. An id that is not held belongs to
 * another device: it is not kept and takes no room. */
void moe_ref_capacity(const moe_layer *layer, int64_t tokens, const int *ids, const float *weights,
                      unsigned char *kept);

/* Changes the weights [n] of a token's kept slots (dropped ones may be there as 0) as the layer's
 * drop says. */
void moe_ref_drop(const moe_layer *layer, int64_t n, double *weights);

/* h [n,f] of n (token, expert) pairs: activation(x_t @ up_e^T + bias), where the router weighs the
 * input of w_i * x_t. `weights` [n] are read only there. Threaded. */
moe_status moe_ref_up_rows(const moe_layer *layer, const moe_host_layer *in, int64_t n,
                           const int64_t *tokens, const int *experts, const double *weights,
                           double *h);

/* y_rows [n,d] of n rows: h_i @ down_e^T + bias, from h [n,f] in double. Threaded. */
moe_status moe_ref_down_rows(const moe_layer *layer, const moe_host_layer *in, int64_t n,
                             const double *h, const int *experts, double *y_rows);

/* The same for one row, of weight 1. */
moe_status moe_ref_up(const moe_layer *layer, const moe_host_layer *in, int64_t token, int expert,
                      double *h);
moe_status moe_ref_down(const moe_layer *layer, const moe_host_layer *in, const double *h,
                        int expert, double *y_row);

/* The weight of the shared expert's output for a token: 1, or what its gate gives. */
double moe_ref_shared_weight(const moe_layer *layer, const moe_host_layer *in, int64_t token);

/* y [n,d] of the n given tokens (NULL: the first n; n = T for all) from ids, weights and kept of
 * all tokens, in double. kept NULL: every id that is held is kept. Threaded. */
moe_status moe_ref_layer(const moe_layer *layer, int64_t tokens, const moe_host_layer *in,
                         const int *ids, const double *weights, const unsigned char *kept,
                         const int64_t *chosen, int64_t n, double *y);

/* The same layer the way a plain pipeline of library GEMMs computes it: fp32 sums, one product
 * after the other, and h, y_rows and y rounded to the layer's dtype. Its error against
 * moe_ref_layer is the yardstick for a whole layer: no plan may exceed 1.5 times it. */
moe_status moe_ref_rounded_layer(const moe_layer *layer, int64_t tokens, const moe_host_layer *in,
                                 const int *ids, const double *weights, const unsigned char *kept,
                                 const int64_t *chosen, int64_t n, double *y);

#endif
