/* plan_image.h - the code behind one op of a plan, to run it alone. */
#ifndef MOE_PLAN_IMAGE_H
#define MOE_PLAN_IMAGE_H

#include "store/builder.h"

/* The image that `plan` uses for an op: a row of `db` where the plan came from there (`tuned`),
 * else the default config. An op that is none of the plan's gets its own best row. `what` says
 * which template and config. The image lives until the next call. MOE_E_NOT_FOUND without a row. */
moe_status moe_plan_image(moe_db *db, moe_device *device, const moe_gen *gen, moe_builder *builder,
                          const moe_plan *plan, const moe_op *op, bool tuned, moe_image *image,
                          char *what, size_t size);

/* Rows of a tile of the up GEMM, to count padding by; 1 where there are no tiles. `up` is that op,
 * whatever form the plan has. */
int64_t moe_plan_tile(const moe_device *device, const moe_gen *gen, const moe_plan *plan,
                      const moe_op *up, bool tuned);

#endif
