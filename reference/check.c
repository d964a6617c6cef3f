/* check.c - judging what a routing or index kernel made. */
#include "check.h"

#include "balance.h"
#include "core/args.h"
#include "core/router.h"
#include "peer.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Records the first fault; false, so that it can be the operand of return. */
static bool bad(moe_verdict *verdict, const char *format, ...) MOE_PRINTF(2, 3);
static bool bad(moe_verdict *verdict, const char *format, ...) {
    va_list args;
    va_start(args, format);
    vsnprintf(verdict->text, sizeof verdict->text, format, args);
    va_end(args);
    verdict->ok = false;
    return false;
}

#define LL(value) ((long long)(value))

/* ----------------------------------------------------------------------------------- route */

typedef struct route_check {
    const moe_layer *layer;
    int64_t tokens;
    const double *logits;
    const moe_host_layer *in; /* or NULL */
    const float *key_bias;    /* or NULL */
    const int *ids;           /* [T,k] those of `got`, with second ones that a law left out */
    double logit_error, tolerance;
    const moe_route_result *got;
    moe_verdict *verdict;
} route_check;

static bool ids_are_distinct(const route_check *c, int64_t t) {
    const int *ids = c->ids + t * c->layer->k;
    const int64_t picks = moe_layer_picks(c->layer); /* heads may choose the same */
    for (int64_t j = 0; j < c->layer->k; j++) {
        if (ids[j] < 0 || ids[j] >= c->layer->e)
            return bad(c->verdict, "ids[%lld,%lld] is %d, not in 0..%lld", LL(t), LL(j), ids[j],
                       LL(c->layer->e - 1));
        for (int64_t i = j / picks * picks; i < j; i++)
            if (ids[i] == ids[j])
                return bad(c->verdict, "ids[%lld,%lld] is %d, as ids[%lld,%lld] is already", LL(t),
                           LL(j), ids[j], LL(t), LL(i));
    }
    return true;
}

static bool logits_are_finite(const route_check *c, int64_t t) {
    const int64_t width = moe_layer_logits(c->layer);
    for (int64_t i = 0; i < width; i++)
        if (!isfinite(c->logits[t * width + i])) return false;
    return true;
}

/* How far two keys of a token may be apart and still come out in either order: twice the error of
 * one. No score rises faster than its logit; its few fp32 operations round by 2^-22 or so. */
static double key_slack(const route_check *c, const double *keys) {
    double largest = 1;
    if (moe_router_selects_logits(&c->layer->router)) return 2 * c->logit_error;
    for (int64_t e = 0; e < c->layer->e; e++)
        if (isfinite(keys[e])) largest = fmax(largest, fabs(keys[e]));
    return 2 * (c->logit_error + largest * 0x1p-22);
}

/* Where errors cannot explain a difference, a tie must go to the lower id. */
static bool choice_is_best(const route_check *c, int64_t t) {
    const int *ids = c->ids + t * c->layer->k;
    const double *logits = c->logits + t * c->layer->e;
    double keys[MOE_MAX_EXPERTS];
    int best[MOE_MAX_SLOTS];
    moe_ref_keys(c->layer, logits, c->key_bias, NULL, keys);
    double slack = key_slack(c, keys);
    moe_ref_keys(c->layer, logits, c->key_bias, &(moe_ref_doubt){ids, 2 * slack}, keys);
    moe_ref_choose(c->layer, keys, best);
    double least = keys[best[c->layer->k - 1]];
    for (int64_t j = 0; j < c->layer->k; j++) {
        double key = keys[ids[j]];
        if (key < least - slack)
            return bad(c->verdict,
                       "ids[%lld,%lld] is %d with key %.9g, below the k-th best, %.9g of expert %d",
                       LL(t), LL(j), ids[j], key, least, best[c->layer->k - 1]);
        if (j > 0 && key > keys[ids[j - 1]] + slack)
            return bad(c->verdict,
                       "ids[%lld,%lld] is %d with key %.9g, above %.9g of expert %d before it",
                       LL(t), LL(j), ids[j], key, keys[ids[j - 1]], ids[j - 1]);
        if (slack == 0 && ids[j] != best[j])
            return bad(c->verdict, "ids[%lld,%lld] is %d, should be %d: keys %.9g and %.9g", LL(t),
                       LL(j), ids[j], best[j], key, keys[best[j]]);
    }
    return true;
}

/* The same of one head's choice: a logit is a sum of two products, and itself rounded. */
static bool head_is_best(const route_check *c, int64_t t, int64_t head, const int *best) {
    const int64_t n = moe_layer_picks(c->layer), first = head * n;
    const double *sides = c->logits + t * moe_layer_logits(c->layer) +
                          head * 2 * c->layer->router.keys;
    const int *ids = c->got->ids + t * c->layer->k + first;
    const double least = moe_peer_logit(c->layer, sides, best[first + n - 1]);
    double before = moe_peer_logit(c->layer, sides, best[first]);
    for (int64_t j = 0; j < n; j++) {
        double key = moe_peer_logit(c->layer, sides, ids[j]);
        double slack = 4 * c->logit_error + 0x1p-22 * fmax(fabs(key), fabs(least));
        if (key < least - slack)
            return bad(c->verdict,
                       "ids[%lld,%lld] is %d with logit %.9g, below the last of head %lld, %.9g of "
                       "expert %d",
                       LL(t), LL(first + j), ids[j], key, LL(head), least, best[first + n - 1]);
        if (key > before + slack)
            return bad(c->verdict, "ids[%lld,%lld] is %d with logit %.9g, above %.9g before it",
                       LL(t), LL(first + j), ids[j], key, before);
        before = key;
    }
    return true;
}

static bool heads_are_best(const route_check *c, int64_t t) {
    int best[MOE_MAX_SLOTS];
    moe_peer_choose(c->layer, c->logits + t * moe_layer_logits(c->layer), best);
    for (int64_t head = 0; head < c->layer->router.heads; head++)
        if (!head_is_best(c, t, head, best)) return false;
    return true;
}

/* Slot (t,j) says whether expert j has taken token t. */
static bool takings_are_slots(const route_check *c) {
    int64_t e = c->layer->e;
    for (int64_t s = 0; s < c->tokens * e; s++)
        if (c->got->ids[s] != -1 && c->got->ids[s] != s % e)
            return bad(c->verdict, "ids[%lld,%lld] is %d, should be %lld or -1", LL(s / e),
                       LL(s % e), c->got->ids[s], LL(s % e));
    return true;
}

static bool ids_are_of_the_table(const route_check *c) {
    int64_t k = c->layer->k;
    for (int64_t t = 0; t < c->tokens; t++) {
        int want[MOE_MAX_TOPK];
        const moe_host_layer one = {.token_ids = c->in->token_ids + t,
                                    .expert_table = c->in->expert_table, .vocab = c->in->vocab};
        moe_ref_hash(c->layer, 1, &one, want);
        for (int64_t j = 0; j < k; j++)
            if (c->got->ids[t * k + j] != want[j])
                return bad(c->verdict, "ids[%lld,%lld] is %d, and the table has %d for token id %d",
                           LL(t), LL(j), c->got->ids[t * k + j], want[j], c->in->token_ids[t]);
    }
    return true;
}

/* Whether the second expert stays or not, as far as errors tell: of its weight, and of fp32. */
static bool second_is_right(const route_check *c, int64_t t) {
    const double *logits = c->logits + t * c->layer->e;
    double weights[2];
    moe_ref_weights(c->layer, 1, logits, c->ids + 2 * t, weights);
    double law = moe_ref_second_law(c->layer, logits, c->ids + 2 * t, weights);
    double drawn = moe_ref_second_draw(c->in, t), slack = law * (4 * c->logit_error + 0x1p-20);
    bool stays = c->got->ids[2 * t + 1] >= 0, random = c->in && c->in->seed;
    if (stays == (!random || drawn < law) || (random && fabs(drawn - law) <= slack)) return true;
    return bad(c->verdict, "ids[%lld,1] is %d, and %.9g was drawn where less than %.9g stays", LL(t),
               c->got->ids[2 * t + 1], drawn, law);
}

static bool ids_are_right(const route_check *c) {
    if (c->layer->router.rule == MOE_RULE_EXPERT_CHOICE) return takings_are_slots(c);
    if (c->layer->router.pick == MOE_PICK_HASH) return ids_are_of_the_table(c);
    bool each = c->layer->router.rule == MOE_RULE_TOPK; /* token chooses for itself, */
    bool heads = c->layer->router.rule == MOE_RULE_PEER; /* or its heads do */
    for (int64_t t = 0; t < c->tokens; t++) {
        if (!ids_are_distinct(c, t)) return false;
        if (!logits_are_finite(c, t)) continue;
        if (each && !choice_is_best(c, t)) return false;
        if (heads && !heads_are_best(c, t)) return false;
        if (c->layer->router.second && !second_is_right(c, t)) return false;
    }
    return true;
}

bool moe_check_shares(const moe_layer *layer, int64_t tokens, const int *ids, moe_verdict *out) {
    int64_t counts[MOE_MAX_EXPERTS] = {0};
    for (int64_t t = 0; t < tokens; t++) counts[ids[t]]++;
    for (int64_t e = 0; e < layer->e; e++) {
        int64_t share = moe_balance_share(tokens, layer->e, e);
        if (counts[e] != share)
            return bad(out, "expert %lld has %lld tokens, should have %lld", LL(e), LL(counts[e]),
                       LL(share));
    }
    return true;
}

/* No better assignment is known than a finer auction's; a kernel's may be worse than the best by
 * epsilon a token, and by the errors of the logits it compares. */
enum { FINER = 4, FINER_ROUNDS = 1000 };

static moe_status judge_balance(const route_check *c) {
    const moe_layer *layer = c->layer;
    double epsilon = moe_balance_epsilon(layer, c->tokens, c->logits), n = (double)c->tokens;
    moe_balance fine;
    if (!moe_check_shares(layer, c->tokens, c->got->ids, c->verdict)) return MOE_OK;
    int *ids = malloc((size_t)c->tokens * sizeof *ids + 1);
    if (!ids) return moe_fail(MOE_E_MEMORY, "no memory to judge %lld tokens", LL(c->tokens));
    moe_status status = moe_balance_assign(layer, c->tokens, c->logits, epsilon / FINER,
                                           FINER_ROUNDS, ids, &fine);
    double total = moe_balance_total(layer, c->tokens, c->logits, c->got->ids);
    double least = fine.total - n * (epsilon + 2 * c->logit_error);
    if (!status && total < least - 1e-6 * fabs(least))
        bad(c->verdict, "the logits of the assignment add up to %.9g, should be %.9g at least",
            total, least);
    free(ids);
    return status;
}

/* An expert's tokens must be its C most probable ones, as far as the errors of probabilities tell:
 * of the logit itself, of all in the softmax, and of a few fp32 operations. */
static moe_status judge_taking(const route_check *c) {
    const moe_layer *layer = c->layer;
    int64_t e = layer->e, room = moe_layer_capacity(layer, c->tokens), cells = c->tokens * e;
    if (room > c->tokens) room = c->tokens;
    double slack = 4 * c->logit_error + 0x1p-19, *p = malloc((size_t)cells * sizeof *p + 1);
    int *every = malloc((size_t)cells * sizeof *every + 1);
    if (!p || !every) {
        free(p);
        free(every);
        return moe_fail(MOE_E_MEMORY, "no memory to judge %lld tokens", LL(c->tokens));
    }
    for (int64_t s = 0; s < cells; s++) every[s] = (int)(s % e);
    moe_ref_weights(layer, c->tokens, c->logits, every, p);
    for (int64_t i = 0; i < e && c->verdict->ok; i++) {
        double least = INFINITY, most = -INFINITY;
        int64_t taken = 0;
        for (int64_t s = i; s < cells; s += e) {
            bool mine = c->got->ids[s] >= 0;
            taken += mine;
            if (!logits_are_finite(c, s / e)) continue;
            if (mine) least = fmin(least, p[s]);
            if (!mine) most = fmax(most, p[s]);
        }
        if (taken != room)
            bad(c->verdict, "expert %lld has taken %lld tokens, should have %lld", LL(i),
                LL(taken), LL(room));
        else if (least < most * (1 - slack) - 1e-37)
            bad(c->verdict, "expert %lld has taken a token of probability %.9g and left one of %.9g",
                LL(i), least, most);
    }
    free(p);
    free(every);
    return MOE_OK;
}

/* Rules that look at all tokens are judged where all are at hand, as their counts tell. */
static moe_status judge_rule(const route_check *c) {
    bool all = c->got->counts && c->tokens;
    if (!all) return MOE_OK;
    switch (c->layer->router.rule) {
    case MOE_RULE_BASE: return judge_balance(c);
    case MOE_RULE_EXPERT_CHOICE: return judge_taking(c);
    default: return MOE_OK;
    }
}

/* Root mean square of the weights wanted; 1 where there are none. */
static double weights_rms(const double *want, int64_t n) {
    double squares = 0;
    for (int64_t i = 0; i < n; i++) squares += want[i] * want[i];
    return squares > 0 ? sqrt(squares / (double)n) : 1;
}

/* How far below a choice sparsemixer may take an expert that is near for one that is not, or the
 * other way round: twice the error of a difference of logits at unit scale. */
static double weight_slack(const route_check *c) { return 4 * (c->logit_error + 0x1p-22); }

/* What a token's limits become when weights are divided by their sum: a weight is largest beside the
 * least others. */
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
static void make_limits(const route_check *c, double *least, double *most) {
    moe_layer plain = *c->layer;
    const bool divided = plain.router.weigh == MOE_WEIGH_SPARSEMIXER && plain.router.renorm;
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
static bool weights_are_right(const route_check *c, const double *least, const double *most) {
    int64_t k = c->layer->k, worst = 0;
    double rms = weights_rms(most, c->tokens * k);
    for (int64_t s = 0; s < c->tokens * k; s++) {
        if (!logits_are_finite(c, s / k)) continue;
        double error = outside((double)c->got->weights[s], least[s], most[s]) / rms;
        if (isnan(error)) error = INFINITY;
        if (error > c->verdict->error) c->verdict->error = error, worst = s;
    }
    if (c->verdict->error <= c->tolerance) return true;
    return bad(c->verdict,
               "weights[%lld,%lld] is %.9g, should be %.9g (error %.3g of RMS, allowed %.3g)",
               LL(worst / k), LL(worst % k), (double)c->got->weights[worst], most[worst],
               c->verdict->error, c->tolerance);
}

static moe_status judge_counts(const route_check *c) {
    const int64_t experts = c->layer->e;
    if (!c->got->counts) return MOE_OK;
    int *counts = calloc((size_t)experts, sizeof *counts);
    if (!counts) return moe_fail(MOE_E_MEMORY, "no memory to count for %lld experts", LL(experts));
    for (int64_t s = 0; s < c->tokens * c->layer->k; s++)
        if (c->got->ids[s] >= 0) counts[c->got->ids[s]]++;
    for (int64_t e = 0; e < experts && c->verdict->ok; e++)
        if (c->got->counts[e] != counts[e])
            bad(c->verdict, "counts[%lld] is %d, should be %d", LL(e), c->got->counts[e],
                counts[e]);
    free(counts);
    return MOE_OK;
}

/* A mean of probabilities is off by the relative error of one weight and by half a unit of the
 * fixed point sum for each token. */
static bool prob_is_right(const route_check *c, const char *what, int64_t e, double got,
                          double want) {
    double allowed = c->tolerance * (want + 1 / (double)c->layer->e) + 0x1p-31;
    if (fabs(got - want) <= allowed) return true;
    return bad(c->verdict, "%s[%lld] makes a mean of %.9g, should be %.9g", what, LL(e), got, want);
}

static bool probs_are_right(const route_check *c, const double *want) {
    for (int64_t t = 0; t < c->tokens; t++)
        if (!logits_are_finite(c, t)) return true; /* they are in every mean */
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
    const route_check c = {layer, tokens, logits, in, in ? in->router_bias : NULL, ids, logit_error,
                           tolerance, got, out};
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
    } else if (ids_are_right(&c)) {
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
    if (start[0] != 0) return bad(c->verdict, "expert_start[0] is %d, should be 0", start[0]);
    for (int64_t e = 0; e < moe_layer_listed(c->layer); e++) {
        int64_t end = start[e] + c->rows[e];
        int64_t next = (end + c->row_align - 1) / c->row_align * c->row_align;
        if (c->got->expert_rows[e] != c->rows[e])
            return bad(c->verdict, "expert_rows[%lld] is %d, should be %lld", LL(e),
                       c->got->expert_rows[e], LL(c->rows[e]));
        if (start[e + 1] != next)
            return bad(c->verdict, "expert_start[%lld] is %d, should be %lld", LL(e + 1),
                       start[e + 1], LL(next));
    }
    int64_t listed = moe_layer_listed(c->layer);
    if (start[listed] > c->got->rows)
        return bad(c->verdict, "expert_start[%lld] is %d, beyond the %lld rows there are",
                   LL(listed), start[listed], LL(c->got->rows));
    return true;
}

static bool slots_are_right(const maps_check *c) {
    for (int64_t s = 0; s < c->tokens * c->layer->k; s++) {
        int row = c->got->slot_rows[s], expert = c->ids[s];
        if (!c->kept[s]) {
            if (row == -1) continue;
            return bad(c->verdict, "slot_rows[%lld] is %d, should be -1: expert %d has no room",
                       LL(s), row, expert);
        }
        int64_t start = c->got->expert_start[expert];
        if (row < start || row >= start + c->rows[expert])
            return bad(c->verdict, "slot_rows[%lld] is %d, should be in %lld..%lld of expert %d",
                       LL(s), row, LL(start), LL(start + c->rows[expert] - 1), expert);
        if (c->got->row_slots[row] != s)
            return bad(c->verdict, "row_slots[%d] is %d, but slot_rows[%lld] is %d", row,
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
                return bad(c->verdict, "row_slots[%lld] is %d, should be %lld for a shared expert",
                           LL(row), c->got->row_slots[row], LL(t * c->layer->k));
        }
    return true;
}

static bool gaps_are_right(const maps_check *c) {
    for (int64_t e = 0; e < moe_layer_listed(c->layer); e++) {
        const int *start = c->got->expert_start + e;
        for (int64_t row = start[0] + c->rows[e]; row < start[1]; row++)
            if (c->got->row_slots[row] != -1)
                return bad(c->verdict, "row_slots[%lld] is %d, should be -1 behind expert %lld",
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
                return bad(c->verdict,
                           "tile_start[%d,%lld] (tiles of %lld rows) is %d, should be %lld", table,
                           LL(e), LL(size), start[e], LL(tiles));
            if (e < listed) tiles += (c->rows[e] + size - 1) / size;
        }
    }
    return true;
}

static bool given_counts_are_right(const maps_check *c) {
    for (int64_t e = 0; c->got->counts && e < moe_layer_held(c->layer); e++)
        if (c->got->counts[e] != c->counts[e])
            return bad(c->verdict, "counts[%lld] is %d, should be %lld", LL(e), c->got->counts[e],
                       LL(c->counts[e]));
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
