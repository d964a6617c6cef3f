/* stages.c - one token's way through the choices of a router that picks k experts.
 *
 * Scores of the logits, keys to select by, groups of experts, the k largest keys, weights: each has
 * a function here, and a row of a table where there are several. Where the order of keys is that of
 * the logits, the logits are compared: the same choice in exact arithmetic, no ties by rounding. */
#include "stages.h"

#include "core/router.h"
#include "logit.h"

#include <float.h>
#include <math.h>
#include <string.h>

/* ---------------------------------------------------------------------------------- scores */

/* A token's logits: the largest, and the sum of exp(logit - largest). */
typedef struct token_sums {
    double largest, sum;
} token_sums;

static double logit_itself(double l, token_sums over) {
    (void)over;
    return l;
}

static double softmax(double l, token_sums over) { return exp(l - over.largest) / over.sum; }

static double sigmoid(double l, token_sums over) {
    (void)over;
    return moe_ref_sigmoid(l);
}

static double sqrtsoftplus(double l, token_sums over) {
    (void)over;
    return sqrt(fmax(l, 0) + log1p(exp(-fabs(l))));
}

static double (*const scores_of[MOE_SCORE_COUNT])(double logit, token_sums over) = {
    [MOE_SCORE_LOGIT] = logit_itself,
    [MOE_SCORE_SOFTMAX] = softmax,
    [MOE_SCORE_SIGMOID] = sigmoid,
    [MOE_SCORE_SQRTSOFTPLUS] = sqrtsoftplus,
};

void moe_stage_scores(const moe_layer *layer, const double *logits, double *scores) {
    token_sums over;
    over.sum = moe_ref_softmax_sum(layer, logits, &over.largest);
    for (int64_t e = 0; e < layer->e; e++)
        scores[e] = scores_of[layer->router.score](moe_ref_finite(logits[e]), over);
}

/* ------------------------------------------------------------------------------- selection */

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
        moe_stage_scores(layer, logits, keys);
    for (int64_t e = 0; layer->router.key_bias && key_bias && e < layer->e; e++)
        keys[e] = moe_ref_finite(keys[e] + (double)key_bias[e]);
    if (layer->router.groups) keep_groups(layer, doubt, keys);
}

void moe_ref_choose(const moe_layer *layer, const double *keys, int *ids) {
    choose(keys, layer->e, layer->k, ids);
}

void moe_stage_choose(const moe_layer *layer, const double *logits, const float *key_bias,
                      int *ids) {
    double keys[MOE_MAX_EXPERTS];
    moe_ref_keys(layer, logits, key_bias, NULL, keys);
    moe_ref_choose(layer, keys, ids);
}

void moe_ref_complete(const moe_layer *layer, const double *logits, const int *ids, int *full) {
    memcpy(full, ids, (size_t)layer->k * sizeof *full);
    if (!layer->router.second || ids[0] < 0 || ids[1] >= 0) return;
    full[1] = ids[0] == 0;
    for (int e = 0; e < layer->e; e++)
        if (e != ids[0] && moe_ref_finite(logits[e]) > moe_ref_finite(logits[full[1]])) full[1] = e;
}

/* --------------------------------------------------------------------------------- weights */

static void scores_of_chosen(const moe_layer *layer, const double *logits, const int *ids,
                             double slack, double *weights) {
    double scores[MOE_MAX_EXPERTS];
    (void)slack;
    moe_stage_scores(layer, logits, scores);
    for (int64_t j = 0; j < layer->k; j++) weights[j] = ids[j] < 0 ? 0 : scores[ids[j]];
}

static void softmax_of_chosen(const moe_layer *layer, const double *logits, const int *ids,
                              double slack, double *weights) {
    (void)slack;
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

static void sigmoids_of_chosen(const moe_layer *layer, const double *logits, const int *ids,
                               double slack, double *weights) {
    (void)slack;
    for (int64_t j = 0; j < layer->k; j++)
        weights[j] = ids[j] < 0 ? 0 : moe_ref_sigmoid(moe_ref_finite(logits[ids[j]]));
}

/* The weight of choice j: its softmax among the experts that no earlier choice took and that are
 * not far below it (Phi-3.5-MoE's inference; 0 is not far below 0). */
static double sparsemixer_of(const moe_layer *layer, const double *logits, const int *ids,
                             int64_t j, double slack) {
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

static void sparsemixer(const moe_layer *layer, const double *logits, const int *ids, double slack,
                        double *weights) {
    for (int64_t j = 0; j < layer->k; j++)
        weights[j] = ids[j] < 0 ? 0 : sparsemixer_of(layer, logits, ids, j, slack);
}

/* Before renorm and scale. */
static void (*const weights_of[MOE_WEIGH_COUNT])(const moe_layer *layer, const double *logits,
                                                 const int *ids, double slack, double *weights) = {
    [MOE_WEIGH_SCORE] = scores_of_chosen,
    [MOE_WEIGH_SOFTMAX] = softmax_of_chosen,
    [MOE_WEIGH_SIGMOID] = sigmoids_of_chosen,
    [MOE_WEIGH_SPARSEMIXER] = sparsemixer,
};

void moe_stage_weigh(const moe_layer *layer, const double *logits, const int *ids, double slack,
                     double *weights) {
    const moe_router *router = &layer->router;
    const moe_weigh weigh = moe_router_among_chosen(router) ? MOE_WEIGH_SOFTMAX : router->weigh;
    double factor = router->scale, sum = router->epsilon;
    weights_of[weigh](layer, logits, ids, slack, weights);
    for (int64_t j = 0; j < layer->k; j++) sum += weights[j];
    if (router->renorm) factor /= sum;
    for (int64_t j = 0; j < layer->k; j++) weights[j] *= factor;
}

void moe_ref_hash(const moe_layer *layer, int64_t tokens, const moe_host_layer *in, int *ids) {
    for (int64_t s = 0; s < tokens * layer->k; s++) {
        int token = in->token_ids[s / layer->k], id = -1;
        if (token >= 0 && token < in->vocab)
            id = in->expert_table[(int64_t)token * layer->k + s % layer->k];
        ids[s] = id >= 0 && id < layer->e ? id : -1;
    }
}
