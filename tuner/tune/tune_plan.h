/* tune_plan.h - how a tune spends its budget: what an op costs before its first candidate, with
 * each, and behind the last one. Estimates; the deadlines of a session hold whatever they say. */
#ifndef MOE_TUNE_PLAN_H
#define MOE_TUNE_PLAN_H

#include "tune/session.h"

/* Seconds of real time, but for the limit. */
typedef struct moe_op_plan {
    int64_t limit;  /* candidates to try */
    double setup;   /* inputs and the reference, made and copied */
    double compile; /* a candidate's share of the compilers */
    double measure; /* of a candidate: loaded, verified and timed */
    double races;   /* the best against each other */
} moe_op_plan;

/* Shares `seconds` out to `count` ops, of which only `op` is read. Limits follow from the budget
 * and the device alone, so that a second run asks for the same candidates, which all have rows, and
 * is over at once. */
void moe_tune_plan(const moe_tuner *tuner, const moe_op_result *op, int64_t count, double seconds,
                   moe_op_plan *out);

/* What an op takes by its plan. */
double moe_op_plan_seconds(const moe_op_plan *plan);

/* What the race of whole pipelines takes at a workload. */
double moe_layer_plan_seconds(const moe_tuner *tuner, const moe_layer_result *layer);

#endif
