/* assemble.h - a plan from images at hand instead of a database, for a tuner of pipelines. */
#ifndef MOE_ASSEMBLE_H
#define MOE_ASSEMBLE_H

#include "image.h"
#include "op.h"

/* A plan that runs any token count with these images, one for each op in the order of the steps.
 * They are loaded before this returns and may then go. MOE_E_DEVICE, MOE_E_UNSUPPORTED,
 * MOE_E_MEMORY. */
moe_status moe_plan_assemble(moe_device *device, const moe_layer *layer,
                             const moe_image *const image[MOE_STEP_COUNT], moe_plan **out);

#endif
