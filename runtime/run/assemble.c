/* assemble.c - a plan from images at hand instead of a database. */
#include "run/assemble.h"

#include "run/plan.h"

#include <stdlib.h>

static moe_status load(moe_plan *plan, const moe_pipeline_info *form,
                       const moe_image *const *image) {
    moe_bucket *bucket = plan->buckets.bucket = calloc(1, sizeof *bucket);
    plan->image = calloc((size_t)form->steps, sizeof *plan->image);
    if (!bucket || !plan->image) return moe_fail(MOE_E_MEMORY, "plan: no memory");
    plan->buckets.count = 1;
    bucket->tokens = bucket->row_align = 1;
    bucket->form = form;
    for (int i = 0; i < form->steps; i++) {
        int number = 0;
        if (form->step[i].kind != MOE_STEP_KERNEL) continue;
        MOE_TRY(moe_plan_load(plan, "", image[i], &number));
        MOE_TRY(moe_plan_use(plan, bucket, i, number));
    }
    return MOE_OK;
}

moe_status moe_plan_assemble(moe_device *device, const moe_layer *layer,
                             const moe_pipeline_info *form, const moe_image *const *image,
                             moe_plan **out) {
    moe_plan *plan = calloc(1, sizeof *plan);
    if (!plan) return moe_fail(MOE_E_MEMORY, "plan: no memory");
    plan->device = device;
    plan->row_align = 1;
    plan->ask = (moe_ask){.device = device->name, .layer = *layer, .worst = MOE_MATCH_DEFAULT,
                          .want = {.facts = moe_device_facts(device), .k = layer->k}};
    moe_status status = load(plan, form, image);
    if (status)
        moe_plan_destroy(plan);
    else
        *out = plan;
    return status;
}

const moe_pipeline_info *moe_plan_form(const moe_plan *plan, int64_t tokens) {
    const moe_bucket *bucket = moe_plan_bucket(plan, tokens);
    return bucket ? bucket->form : NULL;
}

int64_t moe_plan_launches(const moe_plan *plan, int64_t tokens) {
    const moe_bucket *bucket = moe_plan_bucket(plan, tokens);
    int64_t launches = 0;
    for (int i = 0; i < bucket->form->steps; i++)
        if (bucket->form->step[i].kind == MOE_STEP_KERNEL)
            launches += plan->image[bucket->step[i].image].launch.kernels;
    return launches;
}
