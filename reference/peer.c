/* peer.c - product keys in double (Lample and others 2019; He 2024, "Mixture of a million
 * experts").
 *
 * Expert i*KEYS + j has the logit a_i + b_j of a head. A sum among the KEEP largest has an a_i
 * among the KEEP largest a and a b_j among the KEEP largest b, or KEEP sums with larger parts would
 * come before it; so KEEP^2 sums are enough. */
#include "peer.h"

#include "core/number.h"
#include "logit.h"

#include <float.h>
#include <math.h>
#include <string.h>

static int64_t half_of(const moe_layer *layer) { return layer->router.key_width / 2; }

void moe_peer_logits(const moe_layer *layer, int64_t tokens, const void *keys,
                     const double *queries, double *logits) {
    const int64_t sides = layer->router.heads * 2, n = layer->router.keys, half = half_of(layer);
#pragma omp parallel for
    for (int64_t key = 0; key < sides * n; key++) {
        float row[MOE_MAX_KEY_WIDTH / 2];
        moe_load_block(layer->w, keys, key * half, half, row);
        for (int64_t t = 0; t < tokens; t++) {
            const double *query = queries + (t * sides + key / n) * half;
            double sum = 0;
            for (int64_t i = 0; i < half; i++) sum += query[i] * (double)row[i];
            logits[t * sides * n + key] = sum;
        }
    }
}

double moe_peer_logit(const moe_layer *layer, const double *sides, int expert) {
    const int64_t keys = layer->router.keys;
    return moe_ref_finite(moe_ref_finite(sides[expert / keys]) +
                          moe_ref_finite(sides[keys + expert % keys]));
}

/* A value, and what it is of. */
typedef struct item {
    double value;
    int id;
} item;

/* Puts an item into the best n so far, in order; of equal values the lower id comes first. */
static void insert(item *best, int64_t *found, int64_t n, item it) {
    int64_t at = *found;
    while (at > 0 && (it.value > best[at - 1].value ||
                      (it.value == best[at - 1].value && it.id < best[at - 1].id)))
        at--;
    if (at == n) return;
    if (*found < n) ++*found;
    memmove(best + at + 1, best + at, (size_t)(*found - 1 - at) * sizeof *best);
    best[at] = it;
}

/* The best keys of a side [KEYS]. */
static void best_keys(const double *side, int64_t keys, int64_t n, item *best) {
    int64_t found = 0;
    for (int64_t i = 0; i < keys; i++)
        insert(best, &found, n, (item){moe_ref_finite(side[i]), (int)i});
}

static void choose_of_head(const moe_layer *layer, const double *sides, int *ids) {
    const int64_t keys = layer->router.keys, n = moe_layer_picks(layer);
    item first[MOE_MAX_TOPK], second[MOE_MAX_TOPK], best[MOE_MAX_TOPK];
    int64_t found = 0;
    best_keys(sides, keys, n, first);
    best_keys(sides + keys, keys, n, second);
    for (int64_t a = 0; a < n; a++)
        for (int64_t b = 0; b < n; b++) {
            int expert = first[a].id * (int)keys + second[b].id;
            insert(best, &found, n, (item){moe_peer_logit(layer, sides, expert), expert});
        }
    for (int64_t j = 0; j < n; j++) ids[j] = best[j].id;
}

void moe_peer_choose(const moe_layer *layer, const double *logits, int *ids) {
    for (int64_t head = 0; head < layer->router.heads; head++)
        choose_of_head(layer, logits + head * 2 * layer->router.keys,
                       ids + head * moe_layer_picks(layer));
}

static void relu_weights(const moe_layer *layer, const double *sides, const int *ids,
                         double *weights) {
    for (int64_t j = 0; j < moe_layer_picks(layer); j++)
        weights[j] = fmax(moe_peer_logit(layer, sides, ids[j]), 0);
}

static void softmax_weights(const moe_layer *layer, const double *sides, const int *ids,
                            double *weights) {
    const int64_t n = moe_layer_picks(layer);
    double most = -FLT_MAX, sum = 0;
    for (int64_t j = 0; j < n; j++) most = fmax(most, moe_peer_logit(layer, sides, ids[j]));
    for (int64_t j = 0; j < n; j++) {
        weights[j] = exp(moe_peer_logit(layer, sides, ids[j]) - most);
        sum += weights[j];
    }
    for (int64_t j = 0; j < n; j++) weights[j] /= sum;
}

void moe_peer_weights(const moe_layer *layer, const double *logits, const int *ids,
                      double *weights) {
    const int64_t n = moe_layer_picks(layer), width = 2 * layer->router.keys;
    bool relu = layer->router.weigh == MOE_WEIGH_RELU;
    for (int64_t head = 0; head < layer->router.heads; head++)
        (relu ? relu_weights : softmax_weights)(layer, logits + head * width, ids + head * n,
                                                weights + head * n);
}
