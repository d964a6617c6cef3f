/* router.c - logits, selection, weights and capacity of the reference layer.
 *
 * What a token chooses is its rule's (rules.c). Capacity is the choice-major order of Mesh
 * TensorFlow and Tutel: all first choices are placed before any second choice. */
#include "core/number.h"
#include "logit.h"
#include "matmul.h"
#include "reference.h"
#include "rules.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* logits [T,e] of one of the router's matrices. */
static moe_status router_gemm(const moe_layer *layer, int64_t tokens, const moe_host_layer *in,
                              const void *weight, double *logits) {
    const int64_t start[2] = {0, tokens}, width = moe_layer_queries(layer);
    moe_status status = MOE_OK;
    float *row = malloc((size_t)layer->d * sizeof *row);
    double *x = malloc((size_t)(tokens * layer->d) * sizeof *x);
    const double **rows = malloc((size_t)tokens * sizeof *rows);
    double **out = malloc((size_t)tokens * sizeof *out);
    if (!row || !x || !rows || !out) {
        status = moe_fail(MOE_E_MEMORY, "no memory for the reference router at %lld tokens",
                          (long long)tokens);
        goto done;
    }
    for (int64_t t = 0; t < tokens; t++) {
        moe_ref_router_x(layer, in, t, row);
        for (int64_t i = 0; i < layer->d; i++) x[t * layer->d + i] = (double)row[i];
        rows[t] = x + t * layer->d;
        out[t] = logits + t * width;
    }
    moe_matmul_run(&(moe_matmul){.dtype = moe_layer_router_dtype(layer),
                                 .weight = weight,
                                 .groups = 1,
                                 .outputs = width,
                                 .inputs = layer->d,
                                 .start = start,
                                 .in = rows,
                                 .out = out});
done:
    free(row);
    free(x);
    free(rows);
    free(out);
    return status;
}

static moe_status add_noise(const moe_layer *layer, int64_t tokens, const moe_host_layer *in,
                            double *logits) {
    double *raw = malloc((size_t)(tokens * layer->e) * sizeof *raw);
    if (!raw) return moe_fail(MOE_E_MEMORY, "no memory for the noise of %lld tokens",
                              (long long)tokens);
    moe_status status = router_gemm(layer, tokens, in, in->router_noise, raw);
    if (!status) moe_ref_noise(layer, tokens, in, raw, logits);
    free(raw);
    return status;
}

static moe_status router_products(const moe_layer *layer, int64_t tokens,
                                  const moe_host_layer *in, double *out) {
    const int64_t width = moe_layer_queries(layer);
    MOE_TRY(router_gemm(layer, tokens, in, in->router_weight, out));
    if (layer->bias & MOE_BIAS_ROUTER)
        for (int64_t i = 0; i < tokens * width; i++) out[i] += (double)in->router_bias[i % width];
    if (layer->router.noise && in->seed) MOE_TRY(add_noise(layer, tokens, in, out));
    return MOE_OK;
}

/* Logits that a rule makes of products. */
static moe_status logits_of_products(const moe_layer *layer, int64_t tokens,
                                     const moe_host_layer *in, double *logits) {
    double *products = malloc((size_t)(tokens * moe_layer_queries(layer)) * sizeof *products);
    if (!products)
        return moe_fail(MOE_E_MEMORY, "no memory for the queries of %lld tokens",
                        (long long)tokens);
    moe_status status = router_products(layer, tokens, in, products);
    if (!status)
        moe_rule_reference_of(layer)->logits(layer, tokens, in->router_keys, products, logits);
    free(products);
    return status;
}

moe_status moe_ref_logits(const moe_layer *layer, int64_t tokens, const moe_host_layer *in,
                          double *logits) {
    if (tokens == 0) return MOE_OK;
    if (in->logits) {
        for (int64_t i = 0; i < tokens * moe_layer_logits(layer); i++)
            logits[i] = (double)in->logits[i];
        return MOE_OK;
    }
    return moe_rule_reference_of(layer)->logits ? logits_of_products(layer, tokens, in, logits)
                                                : router_products(layer, tokens, in, logits);
}

/* ------------------------------------------------------------------------------ all tokens */

static void token_weights(const moe_layer *layer, const double *logits, const int *ids,
                          double slack, double *weights) {
    int full[MOE_MAX_SLOTS];
    moe_ref_complete(layer, logits, ids, full);
    moe_rule_reference_of(layer)->weigh(layer, logits, full, slack, weights);
    for (int64_t j = 0; j < layer->k; j++)
        if (ids[j] < 0) weights[j] = 0;
}

void moe_ref_doubted_weights(const moe_layer *layer, int64_t tokens, const double *logits,
                             const int *ids, double slack, double *weights) {
#pragma omp parallel for
    for (int64_t t = 0; t < tokens; t++)
        token_weights(layer, logits + t * moe_layer_logits(layer), ids + t * layer->k, slack,
                      weights + t * layer->k);
}

void moe_ref_weights(const moe_layer *layer, int64_t tokens, const double *logits, const int *ids,
                     double *weights) {
    moe_ref_doubted_weights(layer, tokens, logits, ids, 0, weights);
}

static void count_ids(const moe_layer *layer, int64_t slots, const int *ids, int *counts) {
    memset(counts, 0, (size_t)layer->e * sizeof *counts);
    for (int64_t s = 0; s < slots; s++)
        if (ids[s] >= 0) counts[ids[s]]++;
}

void moe_ref_mean_probs(const moe_layer *layer, int64_t tokens, const double *logits,
                        double *mean) {
    for (int64_t e = 0; e < layer->e; e++) mean[e] = 0;
    for (int64_t t = 0; t < tokens; t++, logits += layer->e) {
        double largest, sum = moe_ref_softmax_sum(layer, logits, &largest);
        for (int64_t e = 0; e < layer->e; e++)
            mean[e] += exp(moe_ref_finite(logits[e]) - largest) / sum / (double)tokens;
    }
}

void moe_ref_route(const moe_layer *layer, int64_t tokens, const double *logits,
                   const float *key_bias, int *ids, double *weights, int *counts,
                   double *mean_probs) {
    const moe_rule_reference *rule = moe_rule_reference_of(layer);
#pragma omp parallel for
    for (int64_t t = 0; t < tokens; t++)
        rule->choose(layer, logits + t * moe_layer_logits(layer), key_bias, ids + t * layer->k);
    moe_ref_weights(layer, tokens, logits, ids, weights);
    if (counts) count_ids(layer, tokens * layer->k, ids, counts);
    if (mean_probs) moe_ref_mean_probs(layer, tokens, logits, mean_probs);
}

moe_status moe_ref_rule(const moe_layer *layer, int64_t tokens, const double *logits,
                        const float *key_bias, int *ids, double *weights) {
    const moe_rule_reference *rule = moe_rule_reference_of(layer);
    if (rule->assign) {
        MOE_TRY(rule->assign(layer, tokens, logits, ids));
        moe_ref_weights(layer, tokens, logits, ids, weights);
        return MOE_OK;
    }
    moe_ref_route(layer, tokens, logits, key_bias, ids, weights, NULL, NULL);
    return MOE_OK;
}

/* Slots of one choice that come before others of the same expert: larger weights, then earlier
 * tokens. */
static int64_t better_slots(const moe_layer *layer, int64_t tokens, const int *ids,
                            const float *weights, int64_t slot) {
    int64_t better = 0;
    for (int64_t t = 0; t < tokens; t++) {
        int64_t other = t * layer->k + slot % layer->k;
        if (ids[other] != ids[slot]) continue;
        better += weights[other] > weights[slot] ||
                  (weights[other] == weights[slot] && other < slot);
    }
    return better;
}

void moe_ref_capacity(const moe_layer *layer, int64_t tokens, const int *ids, const float *weights,
                      unsigned char *kept) {
    int64_t used[MOE_MAX_EXPERTS] = {0}, room = moe_layer_capacity(layer, tokens);
    for (int64_t s = 0; layer->capacity.factor == 0 && s < tokens * layer->k; s++)
        kept[s] = ids[s] >= 0 && ids[s] < moe_layer_held(layer);
    if (layer->capacity.factor == 0) return; /* whatever the number of experts */
    for (int64_t j = 0; j < layer->k; j++) {
        int64_t before[MOE_MAX_EXPERTS];
        memcpy(before, used, sizeof before);
        for (int64_t t = 0; t < tokens; t++) {
            int64_t slot = t * layer->k + j;
            kept[slot] = ids[slot] >= 0 && ids[slot] < moe_layer_held(layer);
            if (!kept[slot]) continue;
            int64_t rank = used[ids[slot]]++;
            if (layer->priority == MOE_PRIORITY_GATE)
                rank = before[ids[slot]] + better_slots(layer, tokens, ids, weights, slot);
            kept[slot] = rank < room;
        }
    }
}

void moe_ref_drop(const moe_layer *layer, int64_t n, double *weights) {
    double sum = 0;
    if (layer->drop != MOE_DROP_RENORM) return;
    for (int64_t i = 0; i < n; i++) sum += weights[i];
    for (int64_t i = 0; i < n; i++) weights[i] /= fmax(sum, 0x1p-23);
}
