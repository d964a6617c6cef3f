/* layer_predict.h - what the templates' own cost functions say a layer takes, before anything is
 * compiled or run. */
#ifndef MOE_LAYER_PREDICT_H
#define MOE_LAYER_PREDICT_H

#include "tune/session.h"

#include <stdio.h>

/* Predicts every workload of a goal, each form that templates serve, and prints a table, or JSON.
 * MOE_E_NOT_FOUND names an op that nothing serves; MOE_E_TEMPLATE. */
moe_status moe_layer_predict_print(const moe_gen *gen, const moe_facts *facts,
                                   const moe_goal *goal, bool json, FILE *to);

#endif
