/* balance.c - the balanced assignment by auction, in double.
 *
 * Tokens have prices, 0 at first, and mostly an owner. In a round, an expert that lacks n tokens
 * looks at those it does not own and bids for the n of most value to it, logit - price. It bids as
 * much more than the price as makes each worth the value of the next best one, and epsilon more.
 * Then each token goes to its highest bidder at that price. A token once owned stays owned, so in
 * the end all are, and every expert has its share.
 *
 * Why the end is near the best: what an expert bids for is worth v - epsilon to it afterwards,
 * where v is the most that anything it has not bid for is worth. From round to round v does not
 * rise: an expert that lost m tokens lacks m at least. So whatever it owns in the end is worth what
 * it does not own, less epsilon. Exchanging tokens for those of the best assignment then gains at
 * most epsilon a token; prices cancel out, since both give away all tokens. */
#include "balance.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { NOBODY = -1 };

typedef struct auction {
    int64_t tokens, experts;
    const double *logits; /* [T,e] */
    double least;         /* of those that are finite */
    double epsilon;
    double *price, *bid; /* [T] */
    int *owner, *bidder; /* [T] */
    int64_t *owned;      /* [e] */
    struct offer *offer; /* [T] what an expert may bid for */
    bool quick;          /* only tokens that nobody has are offered */
} auction;

typedef struct offer {
    double value;
    int64_t token;
} offer;

int64_t moe_balance_share(int64_t tokens, int64_t experts, int64_t expert) {
    return tokens / experts + (expert < tokens % experts);
}

double moe_balance_epsilon(const moe_layer *layer, int64_t tokens, const double *logits) {
    double least = INFINITY, most = -INFINITY;
    for (int64_t i = 0; i < tokens * layer->e; i++) {
        if (!isfinite(logits[i])) continue;
        least = fmin(least, logits[i]);
        most = fmax(most, logits[i]);
    }
    return most > least ? fmax((most - least) / 50, 1e-4) : 1e-4;
}

/* The smallest finite logit; 0 where there is none. */
static double least_of(const double *logits, int64_t n) {
    double least = INFINITY;
    for (int64_t i = 0; i < n; i++)
        if (isfinite(logits[i])) least = fmin(least, logits[i]);
    return isfinite(least) ? least : 0;
}

static double worth(const auction *a, int64_t expert, int64_t token) {
    double logit = a->logits[token * a->experts + expert];
    return isfinite(logit) ? logit : a->least;
}

static double sum_of(const auction *a, const int *experts) {
    double sum = 0;
    for (int64_t t = 0; t < a->tokens; t++) sum += worth(a, experts[t], t);
    return sum;
}

/* Most value first; of equal ones the lower token. */
static int compare_offers(const void *x, const void *y) {
    const offer *a = x, *b = y;
    if (a->value != b->value) return a->value < b->value ? 1 : -1;
    return (a->token > b->token) - (a->token < b->token);
}

/* Puts the n best of `count` offers in front: quickselect, with the middle one as the pivot. */
static void select_best(offer *o, int64_t count, int64_t n) {
    int64_t low = 0, high = count - 1;
    while (low < high && n > 0) {
        const offer pivot = o[(low + high) / 2];
        int64_t i = low, j = high;
        while (i <= j) {
            while (compare_offers(&o[i], &pivot) < 0) i++;
            while (compare_offers(&o[j], &pivot) > 0) j--;
            if (i > j) break;
            const offer swapped = o[i];
            o[i++] = o[j];
            o[j--] = swapped;
        }
        if (n - 1 <= j)
            high = j;
        else if (n - 1 >= i)
            low = i;
        else
            return;
    }
}

static void place_bids(auction *a, int expert, int64_t lacking, int64_t offers) {
    int64_t seen = lacking + 1 < offers ? lacking + 1 : offers;
    select_best(a->offer, offers, seen);
    double next = INFINITY; /* value of the last one seen: the best that is not bid for */
    for (int64_t i = 0; i < seen; i++) next = fmin(next, a->offer[i].value);
    qsort(a->offer, (size_t)seen, sizeof *a->offer, compare_offers);
    for (int64_t i = 0; i < seen && i < lacking; i++) {
        int64_t token = a->offer[i].token;
        double bid = worth(a, expert, token) - next + a->epsilon;
        if (a->bidder[token] != NOBODY && bid <= a->bid[token]) continue;
        a->bid[token] = bid;
        a->bidder[token] = expert;
    }
}

static void bid(auction *a, int expert) {
    int64_t lacking = moe_balance_share(a->tokens, a->experts, expert) - a->owned[expert];
    int64_t offers = 0;
    for (int64_t t = 0; t < a->tokens && lacking; t++) {
        if (a->quick ? a->owner[t] != NOBODY : a->owner[t] == expert) continue;
        a->offer[offers++] = (offer){worth(a, expert, t) - a->price[t], t};
    }
    if (offers) place_bids(a, expert, lacking, offers);
}

/* Gives each token to its highest bidder; returns how many had no owner before. */
static int64_t award(auction *a) {
    int64_t found = 0;
    for (int64_t t = 0; t < a->tokens; t++) {
        int bidder = a->bidder[t];
        if (bidder == NOBODY) continue;
        if (a->owner[t] == NOBODY)
            found++;
        else
            a->owned[a->owner[t]]--;
        a->owned[bidder]++;
        a->owner[t] = bidder;
        a->price[t] = a->bid[t];
        a->bidder[t] = NOBODY;
    }
    return found;
}

static void run(auction *a, int64_t rounds, moe_balance *out) {
    for (int64_t missing = a->tokens; missing; out->rounds++) {
        a->quick = out->rounds >= rounds;
        for (int e = 0; e < (int)a->experts; e++) bid(a, e);
        missing -= award(a);
    }
    out->finished = !a->quick;
    out->total = sum_of(a, a->owner);
}

static void start(auction *a) {
    for (int64_t t = 0; t < a->tokens; t++) {
        a->price[t] = 0;
        a->owner[t] = a->bidder[t] = NOBODY;
    }
}

moe_status moe_balance_assign(const moe_layer *layer, int64_t tokens, const double *logits,
                              double epsilon, int64_t rounds, int *experts, moe_balance *out) {
    size_t n = (size_t)tokens + 1;
    auction a = {
        .tokens = tokens, .experts = layer->e, .logits = logits,
        .least = least_of(logits, tokens * layer->e), .epsilon = epsilon,
        .price = malloc(n * sizeof(double)), .bid = malloc(n * sizeof(double)), .owner = experts,
        .bidder = malloc(n * sizeof(int)), .owned = calloc((size_t)layer->e, sizeof(int64_t)),
        .offer = malloc(n * sizeof(offer)),
    };
    moe_status status = MOE_OK;
    *out = (moe_balance){0};
    if (a.price && a.bid && a.bidder && a.owned && a.offer) {
        start(&a);
        run(&a, rounds, out);
    } else {
        status = moe_fail(MOE_E_MEMORY, "no memory to share out %lld tokens", (long long)tokens);
    }
    free(a.price);
    free(a.bid);
    free(a.bidder);
    free(a.owned);
    free(a.offer);
    return status;
}

double moe_balance_total(const moe_layer *layer, int64_t tokens, const double *logits,
                         const int *experts) {
    const auction a = {.tokens = tokens, .experts = layer->e, .logits = logits,
                       .least = least_of(logits, tokens * layer->e)};
    return sum_of(&a, experts);
}
