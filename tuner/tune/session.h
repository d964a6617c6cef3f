/* session.h - tuning whole layers: every op of every workload, then the pipelines made of them. */
#ifndef MOE_SESSION_H
#define MOE_SESSION_H

#include "judge/traffic.h"
#include "tune/tune.h"

enum { MOE_MAX_LAYERS = 16, MOE_MAX_TOKENS = 64, MOE_MAX_ROUTINGS = 8 };

/* What to tune: the product of the lists. */
typedef struct moe_goal {
    moe_layer layer[MOE_MAX_LAYERS]; /* one for each capacity */
    int layers;
    int64_t tokens[MOE_MAX_TOKENS];
    int token_count;
    moe_routing routing[MOE_MAX_ROUTINGS];
    moe_traffic traffic[MOE_MAX_ROUTINGS]; /* of the classes; plain but in benchmarks */
    int routings;
    moe_cache cache;
    unsigned ops;  /* bits of the kinds of op to tune, and no whole layers; 0: all, and layers */
    double budget; /* seconds that it may take, */
    double left;   /* and what is left of them */
} moe_goal;

/* What became of one layer at one token count. */
typedef struct moe_layer_result {
    moe_layer layer;
    int64_t t;
    moe_routing routing;
    bool there;          /* a choice was stored, now or before */
    bool resumed;        /* it was there already */
    moe_choice choice;
    double standard_ns;  /* of the pipeline of default configs; 0: not known */
    int64_t tried;       /* pipelines */
    bool wrong;          /* a pipeline of good kernels gave a wrong result */
    char note[512];
} moe_layer_result;

typedef struct moe_session {
    int64_t ops;
    moe_op_result *op; /* owned; each op once, however many layers share it */
    int64_t layers;
    moe_layer_result *layer; /* owned */
    bool stopped; /* before its end: by the user, or because the device was lost */
} moe_session;

/* What a tune would do: the ops and layers it would work on, and a plan for each op, which the
 * caller frees. MOE_E_MEMORY. */
struct moe_op_plan;
moe_status moe_session_plan(const moe_tuner *tuner, const moe_goal *goal, moe_session *out,
                            struct moe_op_plan **plan);

/* Tunes. Rows are stored as they land, so that a session which ends early can be run again.
 * MOE_E_IO, MOE_E_MEMORY, MOE_E_NOT_FOUND (no template for an op). */
moe_status moe_session_run(moe_tuner *tuner, const moe_goal *goal, moe_session *out);
void moe_session_free(moe_session *session);

/* Tries pipelines of the ops' finalists and stores the best; `op` is by kind, NULL where an op was
 * not tuned. */
moe_status moe_tune_layer(moe_tuner *tuner, const moe_op_result *const op[MOE_OP_COUNT],
                          moe_cache cache, moe_layer_result *out);

#endif
