/* spot.c - a plan for a layer that the database may not know. */
#include "tune/spot.h"

#include "device/device.h"
#include "run/assemble.h"
#include "tune/tune.h"

#include <stdio.h>

moe_status moe_default_image(const moe_op *op, const moe_facts *facts, const moe_gen *gen,
                             moe_builder *builder, moe_candidate *candidate,
                             const moe_image **out) {
    const moe_built *built;
    MOE_TRY(moe_candidate_default(gen, op, facts, candidate));
    MOE_TRY(moe_candidate_image(candidate, op, facts, builder, &built));
    *out = &built->compiled.image;
    return MOE_OK;
}

static moe_op op_of(moe_op_kind kind, const moe_layer *layer, int64_t tokens) {
    return moe_op_make(kind, layer, tokens, MOE_ROUTING_UNIFORM, MOE_CACHE_COLD);
}

bool moe_form_served(const moe_gen *gen, const moe_facts *facts, const moe_layer *layer,
                     int64_t tokens, const moe_pipeline_info *form, double *ns) {
    double sum = 0;
    if (!moe_pipeline_suits(form, layer)) return false;
    for (int i = 0; i < form->steps; i++) {
        const moe_op op = op_of(form->step[i].op, layer, tokens);
        moe_candidate candidate;
        moe_cost cost;
        if (moe_candidate_default(gen, &op, facts, &candidate) ||
            moe_template_cost(candidate.t, &op, facts, &candidate.config, NULL, &cost))
            return false;
        sum += cost.ns;
    }
    if (ns) *ns = sum;
    return true;
}

/* The form with the least predicted time; the plain one where none is served, to say what lacks. */
static const moe_pipeline_info *choose_form(const moe_gen *gen, const moe_facts *facts,
                                            const moe_layer *layer, int64_t tokens) {
    const moe_pipeline_info *best = NULL;
    double least = 0, ns;
    for (int i = 0; i < MOE_PIPELINE_COUNT; i++) {
        const moe_pipeline_info *form = &moe_pipeline_table[i];
        if (!moe_form_served(gen, facts, layer, tokens, form, &ns)) continue;
        if (best && ns >= least) continue;
        best = form;
        least = ns;
    }
    return best ? best : moe_pipeline_plain(layer);
}

moe_status moe_default_plan(moe_device *device, const moe_gen *gen, moe_builder *builder,
                            const moe_layer *layer, int64_t tokens, const moe_pipeline_info *form,
                            moe_plan **out) {
    const moe_image *image[MOE_PIPELINE_STEPS];
    const moe_facts *facts = moe_device_facts(device);
    moe_candidate candidate;
    if (!form) form = choose_form(gen, facts, layer, tokens);
    for (int i = 0; i < form->steps; i++) {
        const moe_op op = op_of(form->step[i].op, layer, tokens);
        moe_status status = moe_default_image(&op, facts, gen, builder, &candidate, &image[i]);
        if (status) return moe_fail_context(status, "%s", moe_op_names[op.kind]);
    }
    return moe_plan_assemble(device, layer, form, image, out);
}

/* What was tuned at few tokens may serve no more; such a plan is destroyed. */
static moe_status check_serves(moe_plan *plan, int64_t tokens) {
    if (moe_plan_form(plan, tokens)) return MOE_OK;
    moe_plan_destroy(plan);
    return moe_fail(MOE_E_NOT_FOUND, "what is tuned serves fewer than %lld tokens; tune it for "
                    "more", (long long)tokens);
}

moe_status moe_spot_plan(moe_db *db, moe_device *device, const moe_gen *gen, moe_builder *builder,
                         const moe_layer *layer, int64_t tokens, const moe_plan_options *options,
                         moe_plan **out, char *note, size_t size) {
    snprintf(note, size, "%s", "");
    if (db) {
        moe_status status = moe_plan_create(db, device, layer, options, out);
        if (!status) status = check_serves(*out, tokens);
        if (status != MOE_E_NOT_FOUND) return status;
    }
    snprintf(note, size, "%s; running the templates' default configs, compiled on the spot",
             db ? moe_error_text() : "there is no tuning database");
    return moe_default_plan(device, gen, builder, layer, tokens, NULL, out);
}
