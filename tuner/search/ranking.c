/* ranking.c - how well predicted times order candidates whose times are known. */
#include "search/ranking.h"

#include <math.h>
#include <stdlib.h>

typedef struct pair {
    double predicted, known;   /* ns */
    double place[2];           /* by each, from 1 */
} pair;

static int by_predicted(const void *a, const void *b) {
    double x = ((const pair *)a)->predicted, y = ((const pair *)b)->predicted;
    return (x > y) - (x < y);
}

static int by_known(const void *a, const void *b) {
    double x = ((const pair *)a)->known, y = ((const pair *)b)->known;
    return (x > y) - (x < y);
}

/* Places of sorted pairs by one of the two times; a run of equals shares the mean of its places. */
static void place(pair *pairs, int64_t n, int (*compare)(const void *, const void *), int which) {
    qsort(pairs, (size_t)n, sizeof *pairs, compare);
    for (int64_t i = 0, end; i < n; i = end) {
        for (end = i + 1; end < n && !compare(&pairs[i], &pairs[end]);) end++;
        for (int64_t j = i; j < end; j++) pairs[j].place[which] = (double)(i + 1 + end) / 2;
    }
}

/* Pearson's correlation of the places. */
static double correlate(const pair *pairs, int64_t n) {
    double mean = (double)(n + 1) / 2, xx = 0, yy = 0, xy = 0;
    for (int64_t i = 0; i < n; i++) {
        double x = pairs[i].place[0] - mean, y = pairs[i].place[1] - mean;
        xx += x * x;
        yy += y * y;
        xy += x * y;
    }
    return n >= 3 && xx > 0 && yy > 0 ? xy / sqrt(xx * yy) : 0;
}

/* The least known time of the first `n` by prediction, of pairs sorted by known time. */
static double least_of_first(const pair *pairs, int64_t count, int64_t n) {
    for (int64_t i = 0; i < count; i++)
        if (pairs[i].place[0] <= (double)n) return pairs[i].known;
    return 0;
}

static bool is_time(double ns) { return isfinite(ns) && ns > 0; }

moe_status moe_ranking_of(const double *predicted, const double *known, int64_t n,
                          moe_ranking *out) {
    pair *pairs = malloc((size_t)(n + 1) * sizeof *pairs);
    int64_t used = 0;
    *out = (moe_ranking){0};
    if (!pairs) return moe_fail(MOE_E_MEMORY, "no memory to rank %lld times", (long long)n);
    for (int64_t i = 0; i < n; i++)
        if (is_time(predicted[i]) && is_time(known[i]))
            pairs[used++] = (pair){predicted[i], known[i], {0, 0}};
    place(pairs, used, by_predicted, 0);
    place(pairs, used, by_known, 1);
    out->count = used;
    out->correlation = correlate(pairs, used);
    if (used) out->best = (int64_t)ceil(pairs[0].place[0]);
    if (used) out->regret = least_of_first(pairs, used, MOE_RANKING_FIRST) / pairs[0].known;
    free(pairs);
    return MOE_OK;
}
