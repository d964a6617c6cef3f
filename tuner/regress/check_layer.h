/* check_layer.h - tuned kernels and plans of a layer against the reference. */
#ifndef MOE_CHECK_LAYER_H
#define MOE_CHECK_LAYER_H

#include "judge/layer_case.h"
#include "regress/verdicts.h"
#include "store/builder.h"
#include "text/progress.h"
#include "tune/session.h"

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

/* A whole layer at work. */
typedef struct moe_check_case {
    const moe_layer *layer;
    int64_t tokens; /* from 0 */
    moe_routing routing;
    moe_entry entry;
} moe_check_case;

/* Checks, at every token count of the goal, each kernel that the database has, on its own, and the
 * plan that they make, from each entry (router, given logits, given routing). Where the database
 * lacks a plan: the default configs, in every form of the layer. Errors are broken tools; what
 * kernels do wrong is in the verdicts. */
moe_status moe_check_goal(moe_checker *checker, const moe_goal *goal);

/* Checks default configs over all that a layer can be, at T = 0, 1, 7, 64, 129: every activation
 * with every dtype and router (`full`), or a set of rows that holds every pair of settings. */
moe_status moe_check_matrix(moe_checker *checker, bool full);

/* Plans of one layer on the same inputs: runs them, judges, and adds a verdict each. `what` names
 * the plans. */
moe_status moe_check_plans(moe_checker *checker, const moe_check_case *on, moe_plan *const *plans,
                           int count, const char *what);

#endif
