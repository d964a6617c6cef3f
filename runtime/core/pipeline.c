/* pipeline.c - every way in which ops make a layer. */
#include "core/pipeline.h"

#define O(name) +1
enum {
#define MOE_PIPELINE(name, ops) STEPS_##name = 0 ops,
#include "core/pipeline.def"
#undef MOE_PIPELINE
};
#undef O

#define O(name) MOE_OP_##name,
const moe_pipeline_info moe_pipeline_table[MOE_PIPELINE_COUNT] = {
#define MOE_PIPELINE(name, ops) {#name, STEPS_##name, {ops}},
#include "core/pipeline.def"
#undef MOE_PIPELINE
};
#undef O

const moe_pipeline_info *moe_pipeline_find(const moe_op_kind *op, int64_t steps) {
    for (int i = 0; i < MOE_PIPELINE_COUNT; i++) {
        const moe_pipeline_info *pipeline = &moe_pipeline_table[i];
        bool same = pipeline->steps == steps;
        for (int64_t s = 0; same && s < steps; s++) same = pipeline->op[s] == op[s];
        if (same) return pipeline;
    }
    return NULL;
}

bool moe_pipeline_has(const moe_pipeline_info *pipeline, moe_op_kind kind) {
    for (int i = 0; i < pipeline->steps; i++)
        if (pipeline->op[i] == kind) return true;
    return false;
}

bool moe_pipeline_suits(const moe_pipeline_info *pipeline, const moe_layer *layer) {
    bool routes = moe_pipeline_has(pipeline, MOE_OP_route) ||
                  moe_pipeline_has(pipeline, MOE_OP_route_permute);
    return routes == moe_layer_routes(layer) &&
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
