/* model_case.h - small models in files as families publish them, made of a workload's weights. */
#ifndef MODEL_CASE_H
#define MODEL_CASE_H

#include "models/safetensors.h"
#include "workload.h"

/* How a family calls and lays out one layer, written down a second time: %d is the expert. */
typedef struct model_case {
    const char *name;
    const char *type; /* model_type */
    const char *layer; /* text */
    const char *router, *router_bias;
    const char *gate, *up; /* an expert, or all where there is no %d */
    const char *gate_up;   /* in place of the two */
    const char *down;
    const char *up_bias, *down_bias;
    const char *shared_gate, *shared_up, *shared_gate_up, *shared_down, *shared_weight;
    bool turned, turned_down; /* [in,out] instead of [out,in] */
    bool alternating;         /* gate and up rows in turn */
    bool stacked;             /* all experts as one matrix */
} model_case;

extern const model_case model_cases[]; /* the last has no name; all are of layer 1 */

/* Writes the case's weights into folder/model.safetensors, or into two files and an index. */
void model_case_write(const model_case *c, const moe_workload *w, const char *folder, bool shards);

#endif
