/* search.c - which candidates to try, in what order. */
#include "search/search.h"

#include "search/ranking.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { SWEEPS = 6, FEW = 6 };

/* Shares of a predicted time: closer ones are equal, and how far apart equal ones are
 * put, the last of many at most. */
static const double EQUAL = 0.005, SPREAD = 0.01, MOST_SPREAD = 0.1;

struct moe_search {
    const moe_strategy *strategy;
    const moe_landscape *landscape;
    int64_t limit, asked, reported;
    double *cost; /* predicted times; the landscape's, or revised */
    double *rank; /* the same with equal ones spread: in this order the prediction is trusted */
    int64_t *by_cost; /* all candidates by rank */
    int64_t *shuffled; /* all candidates, at random */
    int64_t next_cheap, next_random;
    bool *was_asked;
    bool *for_cost; /* asked for because of its prediction */
    double *time; /* of the reported ones; NAN: not yet */
    int64_t *done; /* reported candidates in order */
    double *effect; /* of each value of a choice: log of the factor on the predicted time */
    double *sum, *number; /* by value, for the fit */
    int64_t fitted; /* reports that the effects know */
};

/* ------------------------------------------------------------------------------- strategies */

/* A candidate of unknown cost is taken for worse than all that are known. */
static double cost_of(const moe_search *search, int64_t index) {
    double cost = search->cost[index];
    return cost > 0 ? cost : 1e30;
}

/* The first candidate of an order that was not asked for yet. */
static bool next_in(const moe_search *search, const int64_t *order, int64_t *at, int64_t *index) {
    for (; *at < search->landscape->count; ++*at) {
        if (search->was_asked[order[*at]]) continue;
        *index = order[*at];
        return true;
    }
    return false;
}

static bool next_exhaustive(moe_search *search, int64_t *index) {
    bool found = next_in(search, search->by_cost, &search->next_cheap, index);
    if (found) search->for_cost[*index] = true;
    return found;
}

static bool next_random(moe_search *search, int64_t *index) {
    return next_in(search, search->shuffled, &search->next_random, index);
}

/* ------------------------------------------------- the prediction, corrected by what came out */

static double effects_of(const moe_search *search, int64_t index) {
    const moe_landscape *land = search->landscape;
    double sum = 0;
    for (int c = 0; c < land->choices; c++) {
        int value = land->choice[index * land->choices + c];
        if (value >= 0) sum += search->effect[value];
    }
    return sum;
}

/* What a candidate promises: the log of its time, by all that is known. */
static double promise(const moe_search *search, int64_t index) {
    return log(cost_of(search, index)) + effects_of(search, index);
}

/* log(time / predicted time), less what the effects already explain. */
static double residual(const moe_search *search, int64_t index) {
    return log(search->time[index] / cost_of(search, index)) -
           effects_of(search, index);
}

/* One choice's effects, the others held: means of what is left over, drawn towards 0 where a value
 * was tried seldom. */
static void fit_choice(moe_search *search, int choice, double base) {
    const moe_landscape *land = search->landscape;
    memset(search->sum, 0, (size_t)land->values * sizeof *search->sum);
    memset(search->number, 0, (size_t)land->values * sizeof *search->number);
    for (int64_t i = 0; i < search->reported; i++) {
        int64_t index = search->done[i];
        int value = land->choice[index * land->choices + choice];
        if (value < 0 || !isfinite(search->time[index])) continue;
        search->sum[value] += residual(search, index) - base + search->effect[value];
        search->number[value]++;
    }
    for (int v = 0; v < land->values; v++)
        if (search->number[v]) search->effect[v] = search->sum[v] / (search->number[v] + 1);
}

/* The mean of all residuals is a wrong unit of the prediction and tells nothing of rank. */
static double mean_residual(const moe_search *search) {
    double sum = 0, number = 0;
    for (int64_t i = 0; i < search->reported; i++) {
        if (!isfinite(search->time[search->done[i]])) continue;
        sum += residual(search, search->done[i]);
        number++;
    }
    return number ? sum / number : 0;
}

static void fit(moe_search *search) {
    if (search->fitted == search->reported) return;
    memset(search->effect, 0, (size_t)search->landscape->values * sizeof *search->effect);
    for (int sweep = 0; sweep < SWEEPS; sweep++) {
        double base = mean_residual(search);
        for (int c = 0; c < search->landscape->choices; c++) fit_choice(search, c, base);
    }
    search->fitted = search->reported;
}

/* The untried candidate of the best corrected prediction. */
static bool next_corrected(moe_search *search, int64_t *index) {
    double least = INFINITY;
    bool found = false;
    fit(search);
    for (int64_t i = 0; i < search->landscape->count; i++) {
        if (search->was_asked[i]) continue;
        double time = promise(search, i);
        if (found && !(time < least)) continue;
        found = true;
        least = time;
        *index = i;
    }
    if (found) search->for_cost[*index] = true;
    return found;
}

/* A third of the trials are learning: the best by prediction and random ones in turn. Of the others
 * one in four is random, and the rest are the best by the prediction as corrected so far. */
static bool next_halving(moe_search *search, int64_t *index) {
    int64_t tried = search->asked - search->landscape->default_count;
    bool learning = tried < search->limit / 3 || search->reported < FEW;
    if (learning) return (tried % 2 ? next_random : next_exhaustive)(search, index);
    return (tried % 4 == 3 ? next_random : next_corrected)(search, index);
}

/* Those that the prediction puts first, then what tells how good the others are. */
static bool next_survey(moe_search *search, int64_t *index) {
    int64_t tried = search->asked - search->landscape->default_count;
    return (tried < MOE_RANKING_FIRST ? next_exhaustive : next_random)(search, index);
}

const moe_strategy moe_strategies[] = {
    {"exhaustive", "every candidate, best predicted first", next_exhaustive},
    {"random", "candidates at random", next_random},
    {"halving", "random ones, and the best predicted, corrected by what came out", next_halving},
    {"survey", "the best predicted, then random ones: shows what predictions are worth",
     next_survey},
    {NULL, NULL, NULL},
};

const moe_strategy *moe_strategy_find(const char *name) {
    for (const moe_strategy *s = moe_strategies; s->name; s++)
        if (!strcmp(s->name, name)) return s;
    return NULL;
}

const moe_strategy *moe_strategy_default(int64_t count, int64_t limit) {
    return moe_strategy_find(count <= limit ? "exhaustive" : "halving");
}

/* ----------------------------------------------------------------------------------- search */

/* splitmix64: small, and the same everywhere. */
static uint64_t random_bits(uint64_t *state) {
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

typedef struct ranked {
    double value;
    int64_t index;
} ranked;

static int compare(const void *a, const void *b) {
    const ranked *x = a, *y = b;
    if (x->value != y->value) return x->value < y->value ? -1 : 1;
    return (x->index > y->index) - (x->index < y->index);
}

/* Candidates of equal cost differ in what the prediction does not see. Each further one promises a
 * little less than the one before it: a first try of another that is nearly as good tells more.
 * None falls behind what is worse by more than predictions err. */
static void spread_equals(moe_search *search, const ranked *sorted) {
    int64_t count = search->landscape->count;
    for (int64_t i = 0, end; i < count; i = end)
        for (end = i; end < count && sorted[end].value <= sorted[i].value * (1 + EQUAL); end++)
            search->rank[sorted[end].index] *= 1 + fmin(SPREAD * (double)(end - i), MOST_SPREAD);
}

static void sort_by_rank(const moe_search *search, ranked *out) {
    int64_t count = search->landscape->count;
    for (int64_t i = 0; i < count; i++) out[i] = (ranked){search->rank[i], i};
    qsort(out, (size_t)count, sizeof *out, compare);
}

static bool make_orders(moe_search *search, uint64_t seed) {
    int64_t count = search->landscape->count;
    ranked *all = malloc((size_t)(count + 1) * sizeof *all);
    if (!all) return false;
    for (int64_t i = 0; i < count; i++) search->rank[i] = cost_of(search, i);
    sort_by_rank(search, all);
    spread_equals(search, all);
    sort_by_rank(search, all);
    for (int64_t i = 0; i < count; i++) {
        search->by_cost[i] = all[i].index;
        search->shuffled[i] = i;
    }
    free(all);
    for (int64_t i = count - 1; i > 0; i--) {
        int64_t other = (int64_t)(random_bits(&seed) % (uint64_t)(i + 1));
        int64_t kept = search->shuffled[i];
        search->shuffled[i] = search->shuffled[other];
        search->shuffled[other] = kept;
    }
    return true;
}

moe_status moe_search_open(const moe_strategy *strategy, const moe_landscape *landscape,
                           int64_t limit, uint64_t seed, moe_search **out) {
    size_t count = (size_t)landscape->count + 1, values = (size_t)landscape->values + 1;
    moe_search *search = calloc(1, sizeof *search);
    if (!search) return moe_fail(MOE_E_MEMORY, "no memory for a search");
    search->strategy = strategy;
    search->landscape = landscape;
    search->limit = limit;
    search->cost = malloc(count * sizeof *search->cost);
    search->rank = malloc(count * sizeof *search->rank);
    search->by_cost = malloc(count * sizeof *search->by_cost);
    search->shuffled = malloc(count * sizeof *search->shuffled);
    search->was_asked = calloc(count, sizeof *search->was_asked);
    search->for_cost = calloc(count, sizeof *search->for_cost);
    search->time = malloc(count * sizeof *search->time);
    search->done = malloc(count * sizeof *search->done);
    search->effect = calloc(values, sizeof *search->effect);
    search->sum = calloc(values, sizeof *search->sum);
    search->number = calloc(values, sizeof *search->number);
    bool room = search->effect && search->sum && search->number && search->cost &&
                search->rank && search->by_cost && search->shuffled && search->was_asked &&
                search->for_cost && search->time && search->done;
    if (room) memcpy(search->cost, landscape->cost, (count - 1) * sizeof *search->cost);
    if (!room || !make_orders(search, seed)) {
        moe_search_close(search);
        return moe_fail(MOE_E_MEMORY, "no memory for %zu candidates", count);
    }
    for (size_t i = 0; i < count; i++) search->time[i] = NAN;
    *out = search;
    return MOE_OK;
}

void moe_search_close(moe_search *search) {
    if (!search) return;
    free(search->cost);
    free(search->rank);
    free(search->by_cost);
    free(search->shuffled);
    free(search->was_asked);
    free(search->for_cost);
    free(search->time);
    free(search->done);
    free(search->effect);
    free(search->sum);
    free(search->number);
    free(search);
}

bool moe_search_next(moe_search *search, int64_t *index) {
    const moe_landscape *land = search->landscape;
    for (int64_t i = 0; i < land->default_count; i++) {
        if (search->was_asked[land->defaults[i]]) continue;
        *index = land->defaults[i];
        search->was_asked[*index] = true;
        search->asked++;
        return true;
    }
    if (search->asked >= search->limit || !search->strategy->next(search, index)) return false;
    search->was_asked[*index] = true;
    search->asked++;
    return true;
}

/* Moves a candidate to where its new cost belongs, among those that are still to come. */
static void sort_in(moe_search *search, int64_t index) {
    int64_t *order = search->by_cost, last = search->landscape->count - 1, at = 0;
    while (order[at] != index) at++;
    if (at < search->next_cheap) search->next_cheap--;
    memmove(order + at, order + at + 1, (size_t)(last - at) * sizeof *order);
    for (at = search->next_cheap; at < last; at++)
        if (!search->was_asked[order[at]] && search->rank[order[at]] > search->rank[index]) break;
    memmove(order + at + 1, order + at, (size_t)(last - at) * sizeof *order);
    order[at] = index;
}

/* True if candidates that were not asked for promise more than this one, and are enough to use the
 * limit up. */
static bool is_beyond_limit(const moe_search *search, int64_t index) {
    int64_t better = 0, room = search->limit - search->asked + 1; /* without this one */
    double own = promise(search, index);
    for (int64_t i = 0; i < search->landscape->count && better < room; i++)
        better += !search->was_asked[i] && promise(search, i) < own;
    return better >= room;
}

bool moe_search_revise(moe_search *search, int64_t index, double cost) {
    double before = cost_of(search, index);
    search->cost[index] = cost;
    search->rank[index] *= cost_of(search, index) / before;
    if (cost_of(search, index) <= before || !search->for_cost[index]) return true;
    if (!is_beyond_limit(search, index)) return true;
    search->was_asked[index] = search->for_cost[index] = false;
    search->asked--;
    sort_in(search, index);
    return false;
}

const double *moe_search_ranks(const moe_search *search) { return search->rank; }

void moe_search_report(moe_search *search, int64_t index, double time) {
    if (isnan(search->time[index])) search->done[search->reported++] = index;
    search->time[index] = time;
}

void moe_search_resume(moe_search *search, int64_t index, double time) {
    if (!search->was_asked[index]) search->asked++;
    search->was_asked[index] = true;
    moe_search_report(search, index, time);
}

int64_t moe_search_best(const moe_search *search, int64_t *out, int64_t room) {
    int64_t count = 0;
    for (int64_t i = 0; i < search->reported; i++) {
        ranked mine = {search->time[search->done[i]], search->done[i]};
        if (!isfinite(mine.value)) continue;
        int64_t at = count < room ? count++ : room;
        for (; at > 0; at--) {
            ranked before = {search->time[out[at - 1]], out[at - 1]};
            if (compare(&before, &mine) <= 0) break;
            if (at < room) out[at] = out[at - 1];
        }
        if (at < room) out[at] = mine.index;
    }
    return count;
}
