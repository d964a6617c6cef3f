/* router.c - logits, selection, weights and capacity of the reference layer.
 *
 *   softmax>topk>renorm   p = softmax(l); weights p_i / sum of the chosen p   (Mixtral, Qwen3,
 * DBRX) softmax>topk          p = softmax(l); weights p_i                         (OLMoE, Switch)
 *   topk>softmax          weights softmax over the chosen l                   (gpt-oss, Granite)
 *
 * The first and the last are the same function of the logits in exact arithmetic. Softmax is
 * monotone, so selection looks at logits only. Capacity is the choice-major order of Mesh
 * TensorFlow and Tutel: all first choices are placed before any second choice. */
#include "matmul.h"
#include "number.h"
#include "reference.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* See reference.h: a total order on all logits, and no inf - inf. fmax and fmin drop a NaN. */
static double finite_logit(double logit) { return fmin(fmax(logit, -FLT_MAX), FLT_MAX); }

static moe_status router_gemm(const moe_layer *layer, int64_t tokens, const moe_host_layer *in,
                              double *logits) {
    const int64_t start[2] = {0, tokens};
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
        moe_load_block(layer->x, in->x, t * layer->d, layer->d, row);
        for (int64_t i = 0; i < layer->d; i++) x[t * layer->d + i] = (double)row[i];
        rows[t] = x + t * layer->d;
        out[t] = logits + t * layer->e;
    }
    moe_matmul_run(&(moe_matmul){.dtype = layer->w,
                                 .weight = in->router_weight,
                                 .groups = 1,
                                 .outputs = layer->e,
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

moe_status moe_ref_logits(const moe_layer *layer, int64_t tokens, const moe_host_layer *in,
                          double *logits) {
    if (tokens == 0) return MOE_OK;
    if (in->logits) {
        for (int64_t i = 0; i < tokens * layer->e; i++) logits[i] = (double)in->logits[i];
        return MOE_OK;
    }
    MOE_TRY(router_gemm(layer, tokens, in, logits));
    if (layer->bias & MOE_BIAS_ROUTER)
        for (int64_t i = 0; i < tokens * layer->e; i++)
            logits[i] += (double)in->router_bias[i % layer->e];
    return MOE_OK;
}

/* Inserts expert by expert into the list of the best k so far. A later expert has a higher id, so
 * it passes only those that it beats. */
static void choose(const moe_layer *layer, const double *logits, int *ids) {
    double best[MOE_MAX_TOPK];
    int count = 0;
    for (int e = 0; e < layer->e; e++) {
        double logit = finite_logit(logits[e]);
        int at = count;
        while (at > 0 && logit > best[at - 1]) at--;
        if (at == layer->k) continue;
        if (count < layer->k) count++;
        memmove(best + at + 1, best + at, (size_t)(count - 1 - at) * sizeof *best);
        memmove(ids + at + 1, ids + at, (size_t)(count - 1 - at) * sizeof *ids);
        best[at] = logit;
        ids[at] = e;
    }
}

/* The largest of a token's logits and the sum of exp(l - largest). */
static double softmax_sum(const moe_layer *layer, const double *logits, double *largest) {
    double sum = 0;
    *largest = -FLT_MAX;
    for (int64_t e = 0; e < layer->e; e++) *largest = fmax(*largest, finite_logit(logits[e]));
    for (int64_t e = 0; e < layer->e; e++) sum += exp(finite_logit(logits[e]) - *largest);
    return sum;
}

static void token_weights(const moe_layer *layer, const double *logits, const int *ids,
                          double *weights) {
    double largest = -FLT_MAX, sum = 0;
    if (layer->router == MOE_ROUTER_SOFTMAX_TOPK) {
        sum = softmax_sum(layer, logits, &largest);
    } else {
        for (int64_t j = 0; j < layer->k; j++)
            largest = fmax(largest, finite_logit(logits[ids[j]]));
        for (int64_t j = 0; j < layer->k; j++) sum += exp(finite_logit(logits[ids[j]]) - largest);
    }
    for (int64_t j = 0; j < layer->k; j++)
        weights[j] = exp(finite_logit(logits[ids[j]]) - largest) / sum;
}

void moe_ref_weights(const moe_layer *layer, int64_t tokens, const double *logits, const int *ids,
                     double *weights) {
#pragma omp parallel for
    for (int64_t t = 0; t < tokens; t++)
        token_weights(layer, logits + t * layer->e, ids + t * layer->k, weights + t * layer->k);
}

static void count_ids(const moe_layer *layer, int64_t slots, const int *ids, int *counts) {
    memset(counts, 0, (size_t)layer->e * sizeof *counts);
    for (int64_t s = 0; s < slots; s++) counts[ids[s]]++;
}

static void average_probs(const moe_layer *layer, int64_t tokens, const double *logits,
                          double *mean) {
    for (int64_t e = 0; e < layer->e; e++) mean[e] = 0;
    for (int64_t t = 0; t < tokens; t++, logits += layer->e) {
        double largest, sum = softmax_sum(layer, logits, &largest);
        for (int64_t e = 0; e < layer->e; e++)
            mean[e] += exp(finite_logit(logits[e]) - largest) / sum / (double)tokens;
    }
}

void moe_ref_route(const moe_layer *layer, int64_t tokens, const double *logits, int *ids,
                   double *weights, int *counts, double *mean_probs) {
#pragma omp parallel for
    for (int64_t t = 0; t < tokens; t++) choose(layer, logits + t * layer->e, ids + t * layer->k);
    moe_ref_weights(layer, tokens, logits, ids, weights);
    if (counts) count_ids(layer, tokens * layer->k, ids, counts);
    if (mean_probs) average_probs(layer, tokens, logits, mean_probs);
}

void moe_ref_capacity(const moe_layer *layer, int64_t tokens, const int *ids, unsigned char *kept) {
    int64_t used[MOE_MAX_EXPERTS] = {0}, room = moe_layer_capacity(layer, tokens);
    for (int64_t j = 0; j < layer->k; j++) {
        for (int64_t t = 0; t < tokens; t++) {
            int64_t slot = t * layer->k + j;
            bool mine = ids[slot] >= 0 && ids[slot] < layer->e;
            kept[slot] = mine && used[ids[slot]]++ < room;
        }
    }
}
