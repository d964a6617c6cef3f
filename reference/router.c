/* router.c - logits, selection, weights and capacity of the reference layer.
 *
 * A router is the choices of moe_router, one after the other: scores of the logits, keys to select
 * by, groups of experts, the k largest keys, weights. Each has a function here. Where the order of
 * keys is that of the logits, the logits are compared: the same choice in exact arithmetic, and no
 * ties by rounding. Capacity is the choice-major order of Mesh TensorFlow and Tutel: all first
 * choices are placed before any second choice. */
#include "balance.h"
#include "core/number.h"
#include "core/router.h"
#include "matmul.h"
#include "peer.h"
#include "reference.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* See reference.h: a total order on all logits and keys, and no inf - inf. fmax and fmin drop a
 * NaN. */
double moe_ref_finite(double logit) { return fmin(fmax(logit, -FLT_MAX), FLT_MAX); }

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

static moe_status logits_of_keys(const moe_layer *layer, int64_t tokens, const moe_host_layer *in,
                                 double *logits) {
    double *queries = malloc((size_t)(tokens * moe_layer_queries(layer)) * sizeof *queries);
    if (!queries)
        return moe_fail(MOE_E_MEMORY, "no memory for the queries of %lld tokens", (long long)tokens);
    moe_status status = router_products(layer, tokens, in, queries);
    if (!status) moe_peer_logits(layer, tokens, in->router_keys, queries, logits);
    free(queries);
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
    return layer->router.rule == MOE_RULE_PEER ? logits_of_keys(layer, tokens, in, logits)
                                               : router_products(layer, tokens, in, logits);
}

/* ------------------------------------------------------------------------------ one token */

double moe_ref_softmax_sum(const moe_layer *layer, const double *logits, double *largest) {
    double sum = 0;
    *largest = -FLT_MAX;
    for (int64_t e = 0; e < layer->e; e++) *largest = fmax(*largest, moe_ref_finite(logits[e]));
    for (int64_t e = 0; e < layer->e; e++) sum += exp(moe_ref_finite(logits[e]) - *largest);
    return sum;
}

static double sigmoid(double l) { return l < 0 ? exp(l) / (1 + exp(l)) : 1 / (1 + exp(-l)); }
static double softplus(double l) { return fmax(l, 0) + log1p(exp(-fabs(l))); }

/* What each of the token's logits scores. */
static void make_scores(const moe_layer *layer, const double *logits, double *scores) {
    double largest, sum = moe_ref_softmax_sum(layer, logits, &largest);
    for (int64_t e = 0; e < layer->e; e++) {
        double logit = moe_ref_finite(logits[e]);
        switch (layer->router.score) {
        case MOE_SCORE_SOFTMAX: scores[e] = exp(logit - largest) / sum; break;
        case MOE_SCORE_SIGMOID: scores[e] = sigmoid(logit); break;
        case MOE_SCORE_SQRTSOFTPLUS: scores[e] = sqrt(softplus(logit)); break;
        default: scores[e] = logit;
        }
    }
}

/* The places of the n largest values in order; of equal ones, the lower place first. A later one
 * passes only those that it beats. */
static void choose(const double *values, int64_t count, int64_t n, int *places) {
    double best[MOE_MAX_EXPERTS];
    int64_t found = 0;
    for (int i = 0; i < count; i++) {
        int64_t at = found;
        while (at > 0 && values[i] > best[at - 1]) at--;
        if (at == n) continue;
        if (found < n) found++;
        memmove(best + at + 1, best + at, (size_t)(found - 1 - at) * sizeof *best);
        memmove(places + at + 1, places + at, (size_t)(found - 1 - at) * sizeof *places);
        best[at] = values[i];
        places[at] = i;
    }
}

static double group_score(const moe_router *router, const double *keys, int64_t size) {
    int best[2];
    bool two = router->group_rule == MOE_GROUP_SUM2;
    choose(keys, size, two ? 2 : 1, best);
    return two ? keys[best[0]] + keys[best[1]] : keys[best[0]];
}

/* Masks the keys outside of the best groups. */
static void keep_groups(const moe_layer *layer, const moe_ref_doubt *doubt, double *keys) {
    const moe_router *router = &layer->router;
    int64_t size = layer->e / router->groups;
    double score[MOE_MAX_GROUPS];
    bool kept[MOE_MAX_GROUPS] = {false}, favoured[MOE_MAX_GROUPS] = {false};
    int best[MOE_MAX_GROUPS];
    for (int64_t g = 0; g < router->groups; g++)
        score[g] = group_score(router, keys + g * size, size);
    for (int64_t j = 0; doubt && j < layer->k; j++) favoured[doubt->ids[j] / size] = true;
    for (int64_t g = 0; g < router->groups; g++)
        if (favoured[g]) score[g] += doubt->slack;
    choose(score, router->groups, router->groups_kept, best);
    for (int64_t i = 0; i < router->groups_kept; i++) kept[best[i]] = true;
    for (int64_t e = 0; e < layer->e; e++)
        if (!kept[e / size]) keys[e] = router->zero_fill ? 0 : -INFINITY;
}

void moe_ref_keys(const moe_layer *layer, const double *logits, const float *key_bias,
                  const moe_ref_doubt *doubt, double *keys) {
    if (moe_router_selects_logits(&layer->router))
        for (int64_t e = 0; e < layer->e; e++) keys[e] = moe_ref_finite(logits[e]);
    else
        make_scores(layer, logits, keys);
    for (int64_t e = 0; layer->router.key_bias && key_bias && e < layer->e; e++)
        keys[e] = moe_ref_finite(keys[e] + (double)key_bias[e]);
    if (layer->router.groups) keep_groups(layer, doubt, keys);
}

void moe_ref_choose(const moe_layer *layer, const double *keys, int *ids) {
    choose(keys, layer->e, layer->k, ids);
}

static void token_ids(const moe_layer *layer, const double *logits, const float *key_bias,
                      int *ids) {
    double keys[MOE_MAX_EXPERTS];
    if (layer->router.rule == MOE_RULE_PEER) {
        moe_peer_choose(layer, logits, ids);
        return;
    }
    moe_ref_keys(layer, logits, key_bias, NULL, keys);
    moe_ref_choose(layer, keys, ids);
}

static void softmax_of_chosen(const moe_layer *layer, const double *logits, const int *ids,
                              double *weights) {
    double largest = -FLT_MAX, sum = 0;
    for (int64_t j = 0; j < layer->k; j++)
        if (ids[j] >= 0) largest = fmax(largest, moe_ref_finite(logits[ids[j]]));
    for (int64_t j = 0; j < layer->k; j++) {
        weights[j] = ids[j] < 0 ? 0 : exp(moe_ref_finite(logits[ids[j]]) - largest);
        sum += weights[j];
    }
    for (int64_t j = 0; j < layer->k; j++)
        if (ids[j] >= 0) weights[j] /= sum;
}

/* The weight of choice j: its softmax among the experts that no earlier choice took and that are
 * not far below it (Phi-3.5-MoE's inference; 0 is not far below 0). */
static double sparsemixer(const moe_layer *layer, const double *logits, const int *ids, int64_t j,
                          double slack) {
    double mine = moe_ref_finite(logits[ids[j]]), sum = 0;
    for (int64_t e = 0; e < layer->e; e++) {
        double other = moe_ref_finite(logits[e]);
        bool taken = false;
        for (int64_t i = 0; i < j; i++) taken |= ids[i] == e;
        double far = 2 * layer->router.jitter * fmax(fabs(other), mine) + slack;
        if (!taken && (other == mine || mine - other <= far)) sum += exp(other - mine);
    }
    return 1 / sum;
}

/* The weights before renorm and scale. */
static void raw_weights(const moe_layer *layer, const double *logits, const int *ids, double slack,
                        double *weights) {
    double scores[MOE_MAX_EXPERTS];
    if (layer->router.weigh == MOE_WEIGH_SOFTMAX) {
        softmax_of_chosen(layer, logits, ids, weights);
        return;
    }
    make_scores(layer, logits, scores);
    for (int64_t j = 0; j < layer->k; j++) {
        weights[j] = 0;
        if (ids[j] < 0) continue;
        switch (layer->router.weigh) {
        case MOE_WEIGH_SIGMOID: weights[j] = sigmoid(moe_ref_finite(logits[ids[j]])); break;
        case MOE_WEIGH_SPARSEMIXER: weights[j] = sparsemixer(layer, logits, ids, j, slack); break;
        default: weights[j] = scores[ids[j]];
        }
    }
}

void moe_ref_complete(const moe_layer *layer, const double *logits, const int *ids, int *full) {
    memcpy(full, ids, (size_t)layer->k * sizeof *full);
    if (!layer->router.second || ids[0] < 0 || ids[1] >= 0) return;
    full[1] = ids[0] == 0;
    for (int e = 0; e < layer->e; e++)
        if (e != ids[0] && moe_ref_finite(logits[e]) > moe_ref_finite(logits[full[1]])) full[1] = e;
}

/* Of all that the token chose, whether it kept it or not. */
static void all_weights(const moe_layer *layer, const double *logits, const int *ids, double slack,
                        double *weights) {
    const moe_router *router = &layer->router;
    if (router->rule == MOE_RULE_PEER) {
        moe_peer_weights(layer, logits, ids, weights);
        return;
    }
    double factor = router->scale, sum = router->epsilon;
    /* A softmax over all cancels out: where the chosen are far below the largest, what is left is
     * the softmax over the chosen and not 0/0. */
    if (router->renorm && router->score == MOE_SCORE_SOFTMAX && router->epsilon == 0)
        softmax_of_chosen(layer, logits, ids, weights);
    else
        raw_weights(layer, logits, ids, slack, weights);
    for (int64_t j = 0; j < layer->k; j++) sum += weights[j];
    if (router->renorm) factor /= sum;
    for (int64_t j = 0; j < layer->k; j++) weights[j] *= factor;
}

static void token_weights(const moe_layer *layer, const double *logits, const int *ids,
                          double slack, double *weights) {
    int full[MOE_MAX_SLOTS];
    moe_ref_complete(layer, logits, ids, full);
    all_weights(layer, logits, full, slack, weights);
    for (int64_t j = 0; j < layer->k; j++)
        if (ids[j] < 0) weights[j] = 0;
}

/* ------------------------------------------------------------------------------ all tokens */

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
#pragma omp parallel for
    for (int64_t t = 0; t < tokens; t++)
        token_ids(layer, logits + t * moe_layer_logits(layer), key_bias, ids + t * layer->k);
    moe_ref_weights(layer, tokens, logits, ids, weights);
    if (counts) count_ids(layer, tokens * layer->k, ids, counts);
    if (mean_probs) moe_ref_mean_probs(layer, tokens, logits, mean_probs);
}

void moe_ref_hash(const moe_layer *layer, int64_t tokens, const moe_host_layer *in, int *ids) {
    for (int64_t s = 0; s < tokens * layer->k; s++) {
        int token = in->token_ids[s / layer->k], id = -1;
        if (token >= 0 && token < in->vocab)
            id = in->expert_table[(int64_t)token * layer->k + s % layer->k];
        ids[s] = id >= 0 && id < layer->e ? id : -1;
    }
}

/* A token, and how probable it makes an expert. */
typedef struct candidate {
    double probability;
    int64_t token;
} candidate;

static int compare_candidates(const void *x, const void *y) {
    const candidate *a = x, *b = y;
    if (a->probability != b->probability) return a->probability < b->probability ? 1 : -1;
    return (a->token > b->token) - (a->token < b->token);
}

static moe_status expert_choice(const moe_layer *layer, int64_t tokens, const double *logits,
                                int *ids) {
    int64_t room = moe_layer_capacity(layer, tokens), e = layer->e;
    double scores[MOE_MAX_EXPERTS], *all = malloc((size_t)(tokens * e + 1) * sizeof *all);
    candidate *list = malloc((size_t)(tokens + 1) * sizeof *list);
    moe_status status = MOE_OK;
    if (!all || !list)
        status = moe_fail(MOE_E_MEMORY, "no memory for the choice of %lld tokens",
                          (long long)tokens);
    for (int64_t t = 0; t < tokens && !status; t++) {
        make_scores(layer, logits + t * e, scores);
        memcpy(all + t * e, scores, (size_t)e * sizeof *all);
    }
    for (int64_t i = 0; i < tokens * e; i++) ids[i] = -1;
    for (int64_t i = 0; i < e && !status; i++) {
        for (int64_t t = 0; t < tokens; t++) list[t] = (candidate){all[t * e + i], t};
        qsort(list, (size_t)tokens, sizeof *list, compare_candidates);
        for (int64_t r = 0; r < room && r < tokens; r++) ids[list[r].token * e + i] = (int)i;
    }
    free(all);
    free(list);
    return status;
}

moe_status moe_ref_rule(const moe_layer *layer, int64_t tokens, const double *logits,
                        const float *key_bias, int *ids, double *weights) {
    moe_balance balance;
    if (layer->router.rule == MOE_RULE_BASE) {
        double epsilon = moe_balance_epsilon(layer, tokens, logits);
        MOE_TRY(moe_balance_assign(layer, tokens, logits, epsilon, MOE_BALANCE_ROUNDS, ids,
                                   &balance));
        moe_ref_weights(layer, tokens, logits, ids, weights);
        return MOE_OK;
    }
    if (layer->router.rule == MOE_RULE_EXPERT_CHOICE) {
        MOE_TRY(expert_choice(layer, tokens, logits, ids));
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
