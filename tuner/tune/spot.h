/* spot.h - a plan for a layer that the database may not know.
 *
 * Where the database has no row, the templates' default configs are compiled on the spot. Only the
 * command can do that: the library has no compiler. */
#ifndef MOE_SPOT_H
#define MOE_SPOT_H

#include "core/pipeline.h"
#include "search/candidates.h"
#include "store/builder.h"

/* Plans a layer for a token count from `db` (may be NULL). If the database cannot serve it, plans
 * it from default configs, and `note` (size bytes) says why, else it is "". `tokens` chooses among
 * default configs; the plan runs any token count that these serve. Errors as in moe_plan_create,
 * moe_plan_assemble and moe_builder_get. */
moe_status moe_spot_plan(moe_db *db, moe_device *device, const moe_gen *gen, moe_builder *builder,
                         const moe_layer *layer, int64_t tokens, const moe_plan_options *options,
                         moe_plan **out, char *note, size_t size);

/* True if every op of a form has a template for the layer at T tokens on the device. `*ns` (may be
 * NULL) gets the sum of what their default configs are predicted to take. */
bool moe_form_served(const moe_gen *gen, const moe_facts *facts, const moe_layer *layer,
                     int64_t tokens, const moe_pipeline_info *form, double *ns);

/* The image of an op's default config, from wherever it is quickest, and which that is. It belongs
 * to the builder. MOE_E_COMPILE, and as in moe_candidate_default. */
moe_status moe_default_image(const moe_op *op, const moe_facts *facts, const moe_gen *gen,
                             moe_builder *builder, moe_candidate *candidate,
                             const moe_image **out);

/* A plan from the default configs of a form's ops. NULL: the form that they are predicted to be
 * fastest in. */
moe_status moe_default_plan(moe_device *device, const moe_gen *gen, moe_builder *builder,
                            const moe_layer *layer, int64_t tokens, const moe_pipeline_info *form,
                            moe_plan **out);

#endif
