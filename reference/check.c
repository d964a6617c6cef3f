/* check.c - judging what a routing or index kernel made. */
#include "check.h"

#include "core/args.h"
#include "core/router.h"
#include "rules.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ----------------------------------------------------------------------------------- route */

/* Rules that look at all tokens are judged where all are at hand, as their counts tell. */
static moe_status judge_rule(const moe_route_check *c) {
    const moe_rule_reference *rule = moe_rule_reference_of(c->layer);
    return rule->judge_all && c->got->counts && c->tokens ? rule->judge_all(c) : MOE_OK;
}

/* Root mean square of the weights wanted; 1 where there are none. */
static double weights_rms(const double *want, int64_t n) {
    double squares = 0;
    for (int64_t i = 0; i < n; i++) squares += want[i] * want[i];
    return squares > 0 ? sqrt(squares / (double)n) : 1;
}

/* How far below a choice sparsemixer may take an expert that is near for one that is not, or the
 * other way round: twice the error of a difference of logits at unit scale. */
static double weight_slack(const moe_route_check *c) { return 4 * (c->logit_error + 0x1p-22); }

/* What a token's limits become when weights are divided by their sum: a weight is largest beside
 * the least others. */
static void divide_limits(const moe_router *router, int64_t k, double *least, double *most) {
    double low = router->epsilon, high = router->epsilon;
    for (int64_t j = 0; j < k; j++) low += least[j], high += most[j];
    for (int64_t j = 0; j < k; j++) {
        double mine = least[j];
        least[j] *= router->scale / (high - most[j] + mine);
        most[j] *= router->scale / (low - mine + most[j]);
    }
}

/* The least and the most that each weight may be; but for sparsemixer's they are the same. */
static void make_limits(const moe_route_check *c, double *least, double *most) {
    moe_layer plain = *c->layer;
    const bool divided = moe_weigh_table[plain.router.weigh].jumps && plain.router.renorm;
    const double slack = weight_slack(c);
    if (divided) plain.router.renorm = false, plain.router.scale = 1;
    moe_ref_doubted_weights(&plain, c->tokens, c->logits, c->got->ids, slack, least);
    moe_ref_doubted_weights(&plain, c->tokens, c->logits, c->got->ids, -slack, most);
    for (int64_t s = 0; divided && s < c->tokens * plain.k; s += plain.k)
        divide_limits(&c->layer->router, plain.k, least + s, most + s);
}

static double outside(double got, double least, double most) {
    if (got >= least && got <= most) return 0;
    return fabs(got < least ? got - least : got - most);
}

/* All weights from `least` to `most` are right. */
static bool weights_are_right(const moe_route_check *c, const double *least, const double *most) {
    int64_t k = c->layer->k, worst = 0;
    double rms = weights_rms(most, c->tokens * k);
    for (int64_t s = 0; s < c->tokens * k; s++) {
        if (!moe_logits_are_finite(c, s / k)) continue;
        double error = outside((double)c->got->weights[s], least[s], most[s]) / rms;
        if (isnan(error)) error = INFINITY;
        if (error > c->verdict->error) c->verdict->error = error, worst = s;
    }
    if (c->verdict->error <= c->tolerance) return true;
    return moe_bad(c->verdict,
                   "weights[%lld,%lld] is %.9g, should be %.9g (error %.3g of RMS, allowed %.3g)",
                   LL(worst / k), LL(worst % k), (double)c->got->weights[worst], most[worst],
                   c->verdict->error, c->tolerance);
}

static moe_status judge_counts(const moe_route_check *c) {
    const int64_t experts = c->layer->e;
    if (!c->got->counts) return MOE_OK;
    int *counts = calloc((size_t)experts, sizeof *counts);
    if (!counts) return moe_fail(MOE_E_MEMORY, "no memory to count for %lld experts", LL(experts));
    for (int64_t s = 0; s < c->tokens * c->layer->k; s++)
        if (c->got->ids[s] >= 0) counts[c->got->ids[s]]++;
    for (int64_t e = 0; e < experts && c->verdict->ok; e++)
        if (c->got->counts[e] != counts[e])
            moe_bad(c->verdict, "counts[%lld] is %d, should be %d", LL(e), c->got->counts[e],
                    counts[e]);
    free(counts);
    return MOE_OK;
}

/* A mean of probabilities is off by the relative error of one weight and by half a unit of the
 * fixed point sum for each token. */
static bool prob_is_right(const moe_route_check *c, const char *what, int64_t e, double got,
                          double want) {
    double allowed = c->tolerance * (want + 1 / (double)c->layer->e) + 0x1p-31;
    if (fabs(got - want) <= allowed) return true;
    return moe_bad(c->verdict, "%s[%lld] makes a mean of %.9g, should be %.9g", what, LL(e), got,
                   want);
}

static bool probs_are_right(const moe_route_check *c, const double *want) {
    for (int64_t t = 0; t < c->tokens; t++)
        if (!moe_logits_are_finite(c, t)) return true; /* they are in every mean */
    for (int64_t e = 0; e < c->layer->e; e++) {
        const moe_route_result *got = c->got;
        double sum = got->prob_sums ? (double)got->prob_sums[e] * 0x1p-32 : 0;
        double mean = c->tokens ? sum / (double)c->tokens : sum;
        if (got->prob_sums && !prob_is_right(c, "prob_sums", e, mean, want[e])) return false;
        if (got->mean_probs &&
            !prob_is_right(c, "mean_probs", e, (double)got->mean_probs[e], want[e]))
            return false;
    }
    return true;
}

moe_status moe_check_route(const moe_layer *layer, int64_t tokens, const double *logits,
                           const moe_host_layer *in, double logit_error, double tolerance,
                           const moe_route_result *got, moe_verdict *out) {
    int64_t slots = tokens * layer->k;
    int *ids = malloc((size_t)slots * sizeof *ids + 1);
    const moe_route_check c = {layer, tokens, logits, in, in ? in->router_bias : NULL, ids,
                               logit_error, tolerance, got, out};
    double *least = malloc((size_t)slots * sizeof *least + 1);
    double *most = malloc((size_t)slots * sizeof *most + 1);
    double *probs = malloc((size_t)layer->e * sizeof *probs);
    moe_status status = MOE_OK;
    *out = (moe_verdict){.ok = true};
    if (ids) memcpy(ids, got->ids, (size_t)slots * sizeof *ids);
    for (int64_t t = 0; ids && layer->router.second && t < tokens; t++)
        moe_ref_complete(layer, logits + t * layer->e, got->ids + 2 * t, ids + 2 * t);
    if (!ids || !least || !most || !probs) {
        status = moe_fail(MOE_E_MEMORY, "no memory to check the routing of %lld tokens",
                          (long long)tokens);
    } else if (moe_rule_reference_of(layer)->ids_are_right(&c)) {
        make_limits(&c, least, most);
        status = judge_rule(&c);
        bool good = !status && out->ok && weights_are_right(&c, least, most);
        if (good) status = judge_counts(&c);
        if (good && !status && out->ok && (got->prob_sums || got->mean_probs)) {
            moe_ref_mean_probs(layer, tokens, logits, probs);
            probs_are_right(&c, probs);
        }
    }
    free(ids);
    free(least);
    free(most);
    free(probs);
    return status;
}

bool moe_check_all_ids(const moe_layer *layer, int64_t tokens, const int *ids, moe_verdict *out) {
    const moe_rule_reference *rule = moe_rule_reference_of(layer);
    return !rule->shares || rule->shares(layer, tokens, ids, out);
}

/* ------------------------------------------------------------------------------------ maps */

typedef struct maps_check {
    const moe_layer *layer;
    int64_t tokens, row_align;
    const int *ids;
    const moe_maps *got;
    const unsigned char *kept; /* [T,k] */
    const int64_t *rows;       /* [e] kept rows */
    const int64_t *counts;     /* [e] slots before any drop */
    moe_verdict *verdict;
} maps_check;

static bool starts_are_right(const maps_check *c) {
    const int *start = c->got->expert_start;
    if (start[0] != 0) return moe_bad(c->verdict, "expert_start[0] is %d, should be 0", start[0]);
    for (int64_t e = 0; e < moe_layer_listed(c->layer); e++) {
        int64_t end = start[e] + c->rows[e];
        int64_t next = (end + c->row_align - 1) / c->row_align * c->row_align;
        if (c->got->expert_rows[e] != c->rows[e])
            return moe_bad(c->verdict, "expert_rows[%lld] is %d, should be %lld", LL(e),
                           c->got->expert_rows[e], LL(c->rows[e]));
        if (start[e + 1] != next)
            return moe_bad(c->verdict, "expert_start[%lld] is %d, should be %lld", LL(e + 1),
                           start[e + 1], LL(next));
    }
    int64_t listed = moe_layer_listed(c->layer);
    if (start[listed] > c->got->rows)
        return moe_bad(c->verdict, "expert_start[%lld] is %d, beyond the %lld rows there are",
                       LL(listed), start[listed], LL(c->got->rows));
    return true;
}

static bool slots_are_right(const maps_check *c) {
    for (int64_t s = 0; s < c->tokens * c->layer->k; s++) {
        int row = c->got->slot_rows[s], expert = c->ids[s];
        if (!c->kept[s]) {
            if (row == -1) continue;
            return moe_bad(c->verdict, "slot_rows[%lld] is %d, should be -1: expert %d has no room",
                           LL(s), row, expert);
        }
        int64_t start = c->got->expert_start[expert];
        if (row < start || row >= start + c->rows[expert])
            return moe_bad(c->verdict,
                           "slot_rows[%lld] is %d, should be in %lld..%lld of expert %d", LL(s),
                           row, LL(start), LL(start + c->rows[expert] - 1), expert);
        if (c->got->row_slots[row] != s)
            return moe_bad(c->verdict, "row_slots[%d] is %d, but slot_rows[%lld] is %d", row,
                           c->got->row_slots[row], LL(s), row);
    }
    return true;
}

static bool shared_rows_are_right(const maps_check *c) {
    int64_t held = moe_layer_held(c->layer);
    for (int64_t e = held; e < moe_layer_listed(c->layer); e++)
        for (int64_t t = 0; t < c->tokens; t++) {
            int64_t row = c->got->expert_start[e] + t;
            if (c->got->row_slots[row] != t * c->layer->k)
                return moe_bad(c->verdict,
                               "row_slots[%lld] is %d, should be %lld for a shared expert", LL(row),
                               c->got->row_slots[row], LL(t * c->layer->k));
        }
    return true;
}

static bool gaps_are_right(const maps_check *c) {
    for (int64_t e = 0; e < moe_layer_listed(c->layer); e++) {
        const int *start = c->got->expert_start + e;
        for (int64_t row = start[0] + c->rows[e]; row < start[1]; row++)
            if (c->got->row_slots[row] != -1)
                return moe_bad(c->verdict, "row_slots[%lld] is %d, should be -1 behind expert %lld",
                               LL(row), c->got->row_slots[row], LL(e));
    }
    return true;
}

static bool tiles_are_right(const maps_check *c) {
    const int64_t listed = moe_layer_listed(c->layer);
    for (int table = 0; table < MOE_TILE_HEIGHTS; table++) {
        const int *start = c->got->tile_start + table * (listed + 1);
        int64_t size = moe_tile_heights[table], tiles = 0;
        for (int64_t e = 0; e <= listed; e++) {
            if (start[e] != tiles)
                return moe_bad(c->verdict,
                               "tile_start[%d,%lld] (tiles of %lld rows) is %d, should be %lld",
                               table, LL(e), LL(size), start[e], LL(tiles));
            if (e < listed) tiles += (c->rows[e] + size - 1) / size;
        }
    }
    return true;
}

static bool given_counts_are_right(const maps_check *c) {
    for (int64_t e = 0; c->got->counts && e < moe_layer_held(c->layer); e++)
        if (c->got->counts[e] != c->counts[e])
            return moe_bad(c->verdict, "counts[%lld] is %d, should be %lld", LL(e),
                           c->got->counts[e], LL(c->counts[e]));
    return true;
}

moe_status moe_check_maps(const moe_layer *layer, int64_t tokens, int64_t row_align, const int *ids,
                          const float *weights, const moe_maps *got, moe_verdict *out) {
    int64_t slots = tokens * layer->k;
    moe_status status = MOE_OK;
    unsigned char *kept = malloc((size_t)slots + 1);
    int64_t held = moe_layer_held(layer), listed = moe_layer_listed(layer);
    int64_t *rows = calloc((size_t)listed, sizeof *rows);
    int64_t *counts = calloc((size_t)listed, sizeof *counts);
    *out = (moe_verdict){.ok = true};
    if (!kept || !rows || !counts) {
        status = moe_fail(MOE_E_MEMORY, "no memory to check %lld slots", LL(slots));
        goto done;
    }
    moe_ref_capacity(layer, tokens, ids, weights, kept);
    for (int64_t s = 0; s < slots; s++) {
        bool mine = ids[s] >= 0 && ids[s] < held;
        if (mine) counts[ids[s]]++;
        if (kept[s]) rows[ids[s]]++;
    }
    for (int64_t e = held; e < listed; e++) rows[e] = tokens;
    const maps_check c = {layer, tokens, row_align, ids, got, kept, rows, counts, out};
    if (starts_are_right(&c) && slots_are_right(&c) && shared_rows_are_right(&c) &&
        gaps_are_right(&c) && tiles_are_right(&c))
        given_counts_are_right(&c);
done:
    free(kept);
    free(rows);
    free(counts);
    return status;
}
