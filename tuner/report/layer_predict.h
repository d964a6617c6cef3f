/* layer_predict.h - what the templates' own cost functions say a layer takes, before anything is
 * compiled or run. */
#ifndef MOE_LAYER_PREDICT_H
#define MOE_LAYER_PREDICT_H

#include "core/pipeline.h"
#include "tune/session.h"

#include <stdio.h>

/* One op of a form by its default config. */
typedef struct moe_prediction {
    moe_op_kind kind;
    char template_id[MOE_TEMPLATE_ID_SIZE];
    moe_config config;
    int64_t launches;
    double ns;
} moe_prediction;

/* A layer in one form. */
typedef struct moe_form_prediction {
    const moe_pipeline_info *form;
    moe_prediction step[MOE_PIPELINE_STEPS]; /* in the order of the form's ops */
    int64_t launches;
    double ns; /* the sum of its steps' */
} moe_form_prediction;

/* A layer at a token count, its tokens spread over the experts as the class of routing says. */
typedef struct moe_demand {
    const moe_layer *layer;
    int64_t tokens;
    moe_routing routing;
    moe_cache cache;
} moe_demand;

/* Predicts the forms that templates serve; `out` has room for MOE_PIPELINE_COUNT, *count gets their
 * number, *best that of the least time. MOE_E_NOT_FOUND names an op that nothing serves;
 * MOE_E_TEMPLATE. */
moe_status moe_layer_predict(const moe_gen *gen, const moe_facts *facts, const moe_demand *work,
                             moe_form_prediction *out, int *count, int *best);

/* Predicts every workload of a goal and prints a table, or JSON. Errors as above. */
moe_status moe_layer_predict_print(const moe_gen *gen, const moe_facts *facts,
                                   const moe_goal *goal, bool json, FILE *to);

#endif
