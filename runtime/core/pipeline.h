/* pipeline.h - the list of steps that together make a layer: ops, some fused, and collectives. */
#ifndef MOE_PIPELINE_H
#define MOE_PIPELINE_H

#include "core/op.h"

enum { MOE_PIPELINE_STEPS = 12 }; /* the most of any pipeline */

typedef enum moe_direction { MOE_FORWARD, MOE_BACKWARD } moe_direction;

typedef enum moe_collective {
#define MOE_COLLECTIVE(name, help) MOE_COLLECTIVE_##name,
#include "core/collective.def"
#undef MOE_COLLECTIVE
    MOE_COLLECTIVE_COUNT
} moe_collective;

extern const char *const moe_collective_names[]; /* by moe_collective, NULL-terminated */

typedef enum moe_step_kind { MOE_STEP_KERNEL, MOE_STEP_COLLECTIVE } moe_step_kind;

typedef struct moe_pipeline_step {
    moe_step_kind kind;
    moe_op_kind op;            /* of a kernel */
    moe_collective collective; /* of a collective */
} moe_pipeline_step;

#define MOE_KERNEL_STEP(name) {MOE_STEP_KERNEL, MOE_OP_##name, 0}
#define MOE_COLLECTIVE_STEP(name) {MOE_STEP_COLLECTIVE, 0, MOE_COLLECTIVE_##name}

typedef enum moe_pipeline_kind {
#define MOE_PIPELINE(name, direction, steps) MOE_PIPELINE_##name,
#include "core/pipeline.def"
#undef MOE_PIPELINE
    MOE_PIPELINE_COUNT
} moe_pipeline_kind;

typedef struct moe_pipeline_info {
    const char *name;
    moe_direction direction;
    int steps;
    moe_pipeline_step step[MOE_PIPELINE_STEPS];
} moe_pipeline_info;

extern const moe_pipeline_info moe_pipeline_table[MOE_PIPELINE_COUNT];

/* What a step is called. Never NULL. */
const char *moe_step_name(const moe_pipeline_step *step);

/* The pipeline of these ops and nothing else, or NULL. */
const moe_pipeline_info *moe_pipeline_find(const moe_op_kind *op, int64_t steps);

/* True where an op of this kind is a step of the pipeline. */
bool moe_pipeline_has(const moe_pipeline_info *pipeline, moe_op_kind kind);

/* True where the steps make a layer of this kind on one device: single neurons are looked up,
 * matrices are not; there is a router where the layer has one; and every step is a kernel, since a
 * collective needs a communicator. */
bool moe_pipeline_suits(const moe_pipeline_info *pipeline, const moe_layer *layer);

/* The first pipeline that suits a layer. */
const moe_pipeline_info *moe_pipeline_plain(const moe_layer *layer);

/* True where a pipeline that suits the layer has an op of this kind. */
bool moe_pipeline_wants(const moe_layer *layer, moe_op_kind kind);

#endif
