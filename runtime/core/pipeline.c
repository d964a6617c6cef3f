/* pipeline.c - every way in which steps make a layer. */
#include "core/pipeline.h"

#include "core/args.h"

const char *const moe_collective_names[] = {
#define MOE_COLLECTIVE(name, help) #name,
#include "core/collective.def"
#undef MOE_COLLECTIVE
    NULL,
};

#define O(name) +1
#define C(name) +1
enum {
#define MOE_PIPELINE(name, direction, steps) STEPS_##name = 0 steps,
#include "core/pipeline.def"
#undef MOE_PIPELINE
};
#undef O
#undef C

#define MOE_PIPELINE(name, direction, steps)                                                       \
    _Static_assert((int)STEPS_##name <= (int)MOE_PIPELINE_STEPS, "too many steps: " #name);
#include "core/pipeline.def"
#undef MOE_PIPELINE

#define O(name) MOE_KERNEL_STEP(name),
#define C(name) MOE_COLLECTIVE_STEP(name),
const moe_pipeline_info moe_pipeline_table[MOE_PIPELINE_COUNT] = {
#define MOE_PIPELINE(name, direction, steps) {#name, MOE_##direction, STEPS_##name, {steps}},
#include "core/pipeline.def"
#undef MOE_PIPELINE
};
#undef O
#undef C

const char *moe_step_name(const moe_pipeline_step *step) {
    return step->kind == MOE_STEP_KERNEL ? moe_op_names[step->op]
                                         : moe_collective_names[step->collective];
}

static bool is_op(const moe_pipeline_step *step, moe_op_kind kind) {
    return step->kind == MOE_STEP_KERNEL && step->op == kind;
}

const moe_pipeline_info *moe_pipeline_find(const moe_op_kind *op, int64_t steps) {
    for (int i = 0; i < MOE_PIPELINE_COUNT; i++) {
        const moe_pipeline_info *pipeline = &moe_pipeline_table[i];
        bool same = pipeline->steps == steps;
        for (int64_t s = 0; same && s < steps; s++) same = is_op(&pipeline->step[s], op[s]);
        if (same) return pipeline;
    }
    return NULL;
}

bool moe_pipeline_has(const moe_pipeline_info *pipeline, moe_op_kind kind) {
    for (int i = 0; i < pipeline->steps; i++)
        if (is_op(&pipeline->step[i], kind)) return true;
    return false;
}

static bool routes(const moe_pipeline_info *pipeline) {
    for (int i = 0; i < pipeline->steps; i++) {
        const moe_pipeline_step *step = &pipeline->step[i];
        if (step->kind == MOE_STEP_KERNEL && moe_op_writes(step->op, MOE_ARG_ids)) return true;
    }
    return false;
}

static bool has_collective(const moe_pipeline_info *pipeline) {
    for (int i = 0; i < pipeline->steps; i++)
        if (pipeline->step[i].kind == MOE_STEP_COLLECTIVE) return true;
    return false;
}

bool moe_pipeline_suits(const moe_pipeline_info *pipeline, const moe_layer *layer) {
    return pipeline->direction == MOE_FORWARD && !has_collective(pipeline) &&
           routes(pipeline) == moe_layer_routes(layer) &&
           moe_pipeline_has(pipeline, MOE_OP_neurons) == moe_layer_neurons(layer);
}

const moe_pipeline_info *moe_pipeline_plain(const moe_layer *layer) {
    const moe_pipeline_info *pipeline = moe_pipeline_table;
    while (!moe_pipeline_suits(pipeline, layer)) pipeline++;
    return pipeline;
}

bool moe_pipeline_wants(const moe_layer *layer, moe_op_kind kind) {
    for (int i = 0; i < MOE_PIPELINE_COUNT; i++)
        if (moe_pipeline_suits(&moe_pipeline_table[i], layer) &&
            moe_pipeline_has(&moe_pipeline_table[i], kind))
            return true;
    return false;
}
