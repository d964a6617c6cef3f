/* check_layer.h - tuned kernels and plans of a layer against the reference. */
#ifndef MOE_CHECK_LAYER_H
#define MOE_CHECK_LAYER_H

#include "builder.h"
#include "layer_case.h"
#include "progress.h"
#include "session.h"
#include "verdicts.h"

/* What a check works with; nothing is owned. */
typedef struct moe_checker {
    moe_device *device;
    const moe_gen *gen;
    moe_builder *builder;
    moe_db *db;      /* NULL: there is none, and default configs are checked */
    uint64_t seed;
    moe_progress progress;
    moe_verdicts *verdicts;
} moe_checker;

/* Checks, for every token count of the goal, the kernel of each op on its own and the whole plan
 * from each entry (router, given logits, given routing). Errors are broken tools; what kernels do
 * wrong is in the verdicts. */
moe_status moe_check_goal(moe_checker *checker, const moe_goal *goal);

/* Checks default configs over the product of activations, dtypes, router rules, capacities, biases,
 * routings, entries, experts, choices and sizes at T = 0, 1, 7, 64, 129: all of it, or a set of
 * rows that holds every pair of settings. */
moe_status moe_check_matrix(moe_checker *checker, bool full);

/* One plan on one workload: runs, judges and adds a verdict. `what` names the plan. */
moe_status moe_check_plan(moe_checker *checker, const moe_layer *layer, const moe_plan *plan,
                          int64_t tokens, moe_routing routing, moe_entry entry, const char *what);

#endif
