/* losses.c - how evenly a router loads its experts, from the formulas. */
#include "logit.h"
#include "reference.h"

#include <math.h>
#include <stdlib.h>

/* var / (mean^2 + 1e-10), with the variance of a whole population (tensor2tensor's cv_squared). */
static double cv_squared(const double *values, int64_t n) {
    double mean = 0, squares = 0;
    for (int64_t i = 0; i < n; i++) mean += values[i] / (double)n;
    for (int64_t i = 0; i < n; i++) squares += (values[i] - mean) * (values[i] - mean);
    return squares / (double)n / (mean * mean + 1e-10);
}

/* e * sum over experts of the share of tokens `rows` / T times the mean probability. */
static double balance(const moe_layer *layer, int64_t tokens, const double *rows,
                      const double *probs) {
    double sum = 0;
    for (int64_t e = 0; e < layer->e; e++) sum += rows[e] / (double)tokens * probs[e];
    return (double)layer->e * sum;
}

static void token_terms(const moe_layer *layer, const double *logits, double *square,
                        double *entropy) {
    double largest, sum = moe_ref_softmax_sum(layer, logits, &largest), mean = 0;
    for (int64_t e = 0; e < layer->e; e++) {
        double below = moe_ref_finite(logits[e]) - largest;
        mean += exp(below) / sum * below;
    }
    *square = (largest + log(sum)) * (largest + log(sum));
    *entropy = log(sum) - mean;
}

static void count(const moe_layer *layer, int64_t tokens, const int *ids, const double *weights,
                  double *first, double *all, double *importance) {
    for (int64_t s = 0; s < tokens * layer->k; s++) {
        if (ids[s] < 0) continue;
        first[ids[s]] += s % layer->k == 0;
        all[ids[s]]++;
        importance[ids[s]] += weights[s];
    }
}

moe_status moe_ref_losses(const moe_layer *layer, int64_t tokens, const double *logits,
                          const int *ids, const double *weights, double *losses) {
    size_t e = (size_t)layer->e;
    double *room = calloc(4 * e, sizeof *room);
    if (!room) return moe_fail(MOE_E_MEMORY, "no memory for losses of %zu experts", e);
    double *first = room, *all = room + e, *importance = room + 2 * e, *probs = room + 3 * e;
    for (int i = 0; i < MOE_LOSS_COUNT; i++) losses[i] = 0;
    count(layer, tokens, ids, weights, first, all, importance);
    moe_ref_mean_probs(layer, tokens, logits, probs);
    for (int64_t t = 0; t < tokens; t++) {
        double square, entropy;
        token_terms(layer, logits + t * layer->e, &square, &entropy);
        losses[MOE_LOSS_Z] += square / (double)tokens;
        losses[MOE_LOSS_ENTROPY] += entropy / (double)tokens;
    }
    if (tokens) {
        losses[MOE_LOSS_SWITCH] = balance(layer, tokens, first, probs);
        losses[MOE_LOSS_CHOICES] = balance(layer, tokens, all, probs);
        losses[MOE_LOSS_IMPORTANCE] = cv_squared(importance, layer->e);
        losses[MOE_LOSS_LOAD] = cv_squared(all, layer->e);
    }
    free(room);
    return MOE_OK;
}

void moe_ref_next_bias(const moe_layer *layer, int64_t tokens, const int *counts, float rate,
                       const float *bias, float *next) {
    int64_t slots = tokens * layer->k;
    for (int64_t e = 0; e < layer->e; e++) {
        int64_t short_of = slots - counts[e] * layer->e;
        next[e] = bias[e] + (short_of > 0 ? rate : short_of < 0 ? -rate : 0);
    }
}
