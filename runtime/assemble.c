/* assemble.c - a plan from images at hand instead of a database. */
#include "assemble.h"

#include "plan.h"

#include <stdlib.h>

static moe_status load(moe_plan *plan, const moe_image *const image[MOE_STEP_COUNT]) {
    plan->bucket = calloc(1, sizeof *plan->bucket);
    plan->image = calloc(MOE_STEP_COUNT, sizeof *plan->image);
    if (!plan->bucket || !plan->image) return moe_fail(MOE_E_MEMORY, "plan: no memory");
    plan->buckets = 1;
    plan->bucket->tokens = plan->bucket->row_align = 1;
    for (int kind = 0; kind < MOE_STEP_COUNT; kind++) {
        int number = 0;
        MOE_TRY(moe_plan_load(plan, "", image[kind], &number));
        MOE_TRY(moe_plan_use(plan, plan->bucket, (moe_op_kind)kind, number));
    }
    return MOE_OK;
}

moe_status moe_plan_assemble(moe_device *device, const moe_layer *layer,
                             const moe_image *const image[MOE_STEP_COUNT], moe_plan **out) {
    moe_plan *plan = calloc(1, sizeof *plan);
    if (!plan) return moe_fail(MOE_E_MEMORY, "plan: no memory");
    plan->device = device;
    plan->layer = *layer;
    plan->row_align = 1;
    plan->worst = MOE_MATCH_DEFAULT;
    plan->want.facts = moe_device_facts(device);
    moe_status status = load(plan, image);
    if (status)
        moe_plan_destroy(plan);
    else
        *out = plan;
    return status;
}
