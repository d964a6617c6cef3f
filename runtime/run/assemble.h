/* assemble.h - a plan from images at hand instead of a database, for a tuner of pipelines. */
#ifndef MOE_ASSEMBLE_H
#define MOE_ASSEMBLE_H

#include "core/image.h"
#include "core/pipeline.h"

/* A plan that runs any token count that they serve with these images, one for each step of `form`;
 * a collective has none. They are loaded before this returns and may then go. MOE_E_DEVICE,
 * MOE_E_UNSUPPORTED, MOE_E_MEMORY. */
moe_status moe_plan_assemble(moe_device *device, const moe_layer *layer,
                             const moe_pipeline_info *form, const moe_image *const *image,
                             moe_plan **out);

/* The form of the kernels that serve T tokens; NULL where there are none that serve so many. */
const moe_pipeline_info *moe_plan_form(const moe_plan *plan, int64_t tokens);

/* Kernels that a run of T >= 1 tokens, which the plan must serve, launches, router and all. */
int64_t moe_plan_launches(const moe_plan *plan, int64_t tokens);

#endif
