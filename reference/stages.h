/* stages.h - one token's way through the choices of a router: scores, ids, weights. A rule of one
 * word that decides on them may be asked, too. */
#ifndef MOE_STAGES_H
#define MOE_STAGES_H

#include "reference.h"

/* What each of a token's logits [e] scores. */
void moe_stage_scores(const moe_layer *layer, const double *logits, double *scores);

/* ids [k] of the largest keys, best first. */
void moe_stage_choose(const moe_layer *layer, const double *logits, const float *key_bias,
                      int *ids);

/* Weights [k] of ids [k]; 0 where an id is -1. `slack` as for moe_ref_doubted_weights. */
void moe_stage_weigh(const moe_layer *layer, const double *logits, const int *ids, double slack,
                     double *weights);

#endif
