/* op_search.h - the search for the kernels of one op, as its files share it. */
#ifndef MOE_OP_SEARCH_H
#define MOE_OP_SEARCH_H

#include "judge/op_case.h"
#include "tune/tune.h"

typedef struct op_search {
    moe_tuner *tuner;
    moe_op_result *result;
    moe_candidates all;
    moe_search *search;
    moe_op_case *c; /* opened when the first candidate has to run */
    moe_finalist *tried; /* [all.count]; outcome COUNT: not tried */
    unsigned char *strikes; /* [all.count] runs that ended the tuner */
    bool *revised;          /* [all.count] predicted anew from the compiled code */
    double best;         /* ns */
    double deadline, start, run_seconds; /* of the default, in real time */
    int64_t limit;       /* candidates to try */
} op_search;

/* op_candidate.c: one candidate, from its compiled code to its row. */

/* What comes of a candidate whose compile has ended. */
moe_status op_search_try(op_search *s, int64_t index, const moe_built *built);

/* Stores that it failed, and why. */
moe_status op_search_fail(op_search *s, int64_t index, moe_outcome outcome, double err,
                          const char *log);

/* Takes a record that is stored, now or before, into account. */
void op_search_count(op_search *s, int64_t index, bool resumed);

/* What a candidate is called while it runs. */
uint64_t op_search_name(const op_search *s, int64_t index);

moe_status op_search_open_case(op_search *s);
moe_measurement op_search_summarise(const op_search *s, const moe_samples *samples, double err);

/* op_race.c: candidates against each other, where times are measured. */

moe_status op_search_race(op_search *s);

/* Puts the winner in front of the others, which stand by time. */
void op_search_finalists(op_search *s);

#endif
