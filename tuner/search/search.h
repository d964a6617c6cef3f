/* search.h - which candidates to try, in what order.
 *
 * A strategy sees numbers only: how many candidates there are, what each is predicted to take,
 * which choices it is made of, and what the tried ones came to. It is asked for one candidate at a
 * time and may be asked for several before the first is reported, so that they compile in parallel.
 * Equal answers give equal questions: the seed is all the randomness there is.
 *
 *     while (moe_search_next(search, &i)) moe_search_report(search, i, time_of(i));
 *
 * Between the two, moe_search_revise tells what was learned of a candidate before it ran. */
#ifndef MOE_SEARCH_H
#define MOE_SEARCH_H

#include "core/status.h"

/* What a strategy may know of the candidates 0..count-1. */
typedef struct moe_landscape {
    int64_t count;
    const double *cost;      /* predicted time of each; 0: unknown, taken as the worst */
    const int64_t *defaults; /* candidates that are tried first in any case */
    int64_t default_count;
    int choices;        /* that a candidate is made of: parameters */
    const int *choice;  /* [count,choices] numbers 0..values-1; each means one value of one
                           parameter of one template; -1: the candidate has fewer choices */
    int values;
} moe_landscape;

typedef struct moe_search moe_search;

typedef struct moe_strategy {
    const char *name;
    const char *help;
    bool (*next)(moe_search *search, int64_t *index);
} moe_strategy;

/* All strategies, ended by a NULL name. */
extern const moe_strategy moe_strategies[];

/* NULL if there is none of that name. */
const moe_strategy *moe_strategy_find(const char *name);

/* The strategy for those who name none: everything where that is at most `limit`, else halving. */
const moe_strategy *moe_strategy_default(int64_t count, int64_t limit);

/* At most `limit` candidates are asked for, the defaults included. The landscape must outlive the
 * search. MOE_E_MEMORY. */
moe_status moe_search_open(const moe_strategy *strategy, const moe_landscape *landscape,
                           int64_t limit, uint64_t seed, moe_search **out);
void moe_search_close(moe_search *search);

/* The next candidate to try; false when the strategy has no more. */
bool moe_search_next(moe_search *search, int64_t *index);

/* A better prediction of a candidate that was asked for, from its compiled code. False: it is not
 * to be run now, as others that were not asked for promise more than it does and fill the limit; it
 * may be asked for again. Defaults and candidates asked for by chance stay. */
bool moe_search_revise(moe_search *search, int64_t index, double cost);

/* What the prediction's order goes by, [count]: times as they are known by now, equal ones spread.
 */
const double *moe_search_ranks(const moe_search *search);

/* What a candidate came to: its time, or INFINITY if it failed. */
void moe_search_report(moe_search *search, int64_t index, double time);

/* The same for a candidate that was tried before this search: it counts as asked for. */
void moe_search_resume(moe_search *search, int64_t index, double time);

/* The best reported candidates, best first; equal times by index. Returns how many were written. */
int64_t moe_search_best(const moe_search *search, int64_t *out, int64_t room);

#endif
