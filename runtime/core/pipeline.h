/* pipeline.h - the list of ops, some fused, that together make a layer. */
#ifndef MOE_PIPELINE_H
#define MOE_PIPELINE_H

#include "core/op.h"

typedef enum moe_pipeline_kind {
#define MOE_PIPELINE(name, ops) MOE_PIPELINE_##name,
#include "core/pipeline.def"
#undef MOE_PIPELINE
    MOE_PIPELINE_COUNT
} moe_pipeline_kind;

typedef struct moe_pipeline_info {
    const char *name;
    int steps;
    moe_op_kind op[MOE_STEP_COUNT];
} moe_pipeline_info;

extern const moe_pipeline_info moe_pipeline_table[MOE_PIPELINE_COUNT];

/* The pipeline of these ops, or NULL. */
const moe_pipeline_info *moe_pipeline_find(const moe_op_kind *op, int64_t steps);

/* True where an op of this kind is a step of the pipeline. */
bool moe_pipeline_has(const moe_pipeline_info *pipeline, moe_op_kind kind);

/* True where the ops are of the layer's kind: single neurons are looked up, matrices are not, and there
 * is a router where the layer has one. */
bool moe_pipeline_suits(const moe_pipeline_info *pipeline, const moe_layer *layer);

/* The first pipeline that suits a layer. */
const moe_pipeline_info *moe_pipeline_plain(const moe_layer *layer);

/* True where a pipeline that suits the layer has an op of this kind. */
bool moe_pipeline_wants(const moe_layer *layer, moe_op_kind kind);

#endif
