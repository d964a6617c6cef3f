/* plan.c - a layer resolved on a device: made, described, destroyed. */
#include "run/plan.h"

#include "core/layer.h"
#include "core/sized.h"
#include "core/workspace.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ------------------------------------------------------------------------------------- asking */

/* Reads the name of an enum in the options; NULL is number 0. */
static moe_status option(const char *what, const char *text, const char *const *names, int *out) {
    const moe_field field = {.names = names};
    *out = 0;
    moe_status status = text ? moe_field_enum.parse(&field, text, out) : MOE_OK;
    return status ? moe_fail_context(MOE_E_INVALID, "options.%s", what) : MOE_OK;
}

static moe_status read_options(const moe_plan_options *given, moe_ask *out) {
    moe_plan_options options = {0};
    int routing, cache;
    if (given)
        MOE_TRY(moe_sized_read("options", "moe_plan_options", given, &options, sizeof options));
    MOE_TRY(option("routing", options.routing, moe_routing_names, &routing));
    MOE_TRY(option("cache", options.cache, moe_cache_names, &cache));
    if ((unsigned)options.worst >= MOE_MATCH_COUNT)
        return moe_fail(MOE_E_INVALID, "options.worst is not a moe_match");
    if (options.max_tokens < 0)
        return moe_fail(MOE_E_INVALID, "options.max_tokens is negative; 0 means no limit");
    out->max_tokens = options.max_tokens;
    out->worst = options.worst ? options.worst : MOE_MATCH_DEFAULT;
    out->want.routing = (moe_routing)routing;
    out->want.cache = (moe_cache)cache;
    out->want.any_order = options.any_order;
    return MOE_OK;
}

static moe_status read_ask(moe_device *device, const moe_layer *layer,
                           const moe_plan_options *options, moe_ask *out) {
    moe_ask ask = {.device = device->name};
    moe_layer given;
    MOE_TRY(moe_sized_read("layer", "moe_layer", layer, &given, sizeof given));
    MOE_TRY(moe_layer_settle(&given, &ask.layer));
    ask.want.facts = moe_device_facts(device);
    ask.want.k = ask.layer.k;
    MOE_TRY(read_options(options, &ask));
    *out = ask;
    return MOE_OK;
}

/* ------------------------------------------------------------------------------------ loading */

moe_status moe_plan_load(moe_plan *plan, const char *hash, const moe_image *image, int *out) {
    moe_loaded *loaded = &plan->image[plan->images];
    moe_status status = plan->device->class->load(plan->device->self, image, &loaded->module);
    if (status) return moe_fail_context(status, "load %s", image->launch.kernel[0].symbol);
    snprintf(loaded->hash, sizeof loaded->hash, "%s", hash);
    loaded->launch = image->launch;
    *out = plan->images++;
    return MOE_OK;
}

moe_status moe_plan_use(moe_plan *plan, moe_bucket *bucket, int step, int image) {
    const moe_launch *launch = &plan->image[image].launch;
    if (launch->align & (launch->align - 1))
        return moe_fail(MOE_E_CORRUPT,
                        "kernel %s: align=%lld is not a power of two; correct its template and "
                        "tune again",
                        launch->kernel[0].symbol, (long long)launch->align);
    if (launch->align > bucket->row_align) bucket->row_align = launch->align;
    if (launch->align > plan->row_align) plan->row_align = launch->align;
    if (launch->max_slots && (!bucket->max_slots || launch->max_slots < bucket->max_slots))
        bucket->max_slots = launch->max_slots;
    bucket->step[step].row.kind = bucket->form->step[step].op;
    bucket->step[step].image = image;
    return MOE_OK;
}

/* The image called `hash`, loaded now unless it is already. */
static moe_status load(moe_plan *plan, moe_db *db, const char *hash, int *out) {
    moe_image image;
    for (int i = 0; i < plan->images; i++)
        if (!strcmp(plan->image[i].hash, hash)) return *out = i, MOE_OK;
    MOE_TRY(moe_db_image(db, hash, &image));
    return moe_plan_load(plan, hash, &image, out);
}

static moe_status load_bucket(moe_plan *plan, moe_db *db, moe_bucket *bucket) {
    bucket->row_align = 1;
    for (int i = 0; i < bucket->form->steps; i++) {
        int image = 0;
        MOE_TRY(load(plan, db, bucket->step[i].row.image, &image));
        MOE_TRY(moe_plan_use(plan, bucket, i, image));
    }
    return MOE_OK;
}

static moe_status load_all(moe_plan *plan, moe_db *db) {
    const moe_buckets *all = &plan->buckets;
    plan->image = calloc((size_t)all->count * MOE_PIPELINE_STEPS, sizeof *plan->image);
    if (!plan->image) return moe_fail(MOE_E_MEMORY, "no memory for the images of a plan");
    for (int i = 0; i < all->count; i++) MOE_TRY(load_bucket(plan, db, &all->bucket[i]));
    return MOE_OK;
}

moe_status moe_plan_create(moe_db *db, moe_device *device, const moe_layer *layer,
                           const moe_plan_options *options, moe_plan **out) {
    if (!db || !device || !layer)
        return moe_fail(MOE_E_INVALID, "plan: a database, a device and a layer are needed");
    moe_plan *plan = calloc(1, sizeof *plan);
    if (!plan) return moe_fail(MOE_E_MEMORY, "plan: no memory");
    plan->device = device;
    plan->row_align = 1;
    moe_status status = read_ask(device, layer, options, &plan->ask);
    if (!status) status = moe_resolve(db, &plan->ask, &plan->buckets);
    if (!status) status = load_all(plan, db);
    if (status) {
        moe_plan_destroy(plan);
        return moe_fail_context(status, "plan");
    }
    *out = plan;
    return MOE_OK;
}

void moe_plan_destroy(moe_plan *plan) {
    if (!plan) return;
    for (int i = 0; i < plan->images; i++)
        plan->device->class->unload(plan->device->self, plan->image[i].module);
    free(plan->image);
    free(plan->buckets.bucket);
    free(plan);
}

/* ------------------------------------------------------------------------------------- serving */

const moe_bucket *moe_plan_bucket(const moe_plan *plan, int64_t tokens) {
    return moe_bucket_for(&plan->buckets, plan->ask.layer.k, tokens);
}

moe_status moe_plan_check_tokens(const moe_plan *plan, int64_t tokens) {
    const moe_layer *layer = &plan->ask.layer;
    int64_t limit = plan->ask.max_tokens;
    if (tokens < 0 || (limit && tokens > limit))
        return moe_fail(MOE_E_INVALID, "T=%lld is not in 0..%lld tokens, as the plan was made for; "
                                       "split the batch or raise options.max_tokens",
                        (long long)tokens, limit ? (long long)limit : (long long)INT_MAX);
    /* Slots, rows and tiles are 32-bit on the device. */
    if (tokens > INT_MAX / layer->k ||
        moe_workspace_rows(layer, tokens, plan->row_align) > INT_MAX)
        return moe_fail(MOE_E_INVALID,
                        "T=%lld tokens make too many rows of %lld experts each; split "
                        "the batch",
                        (long long)tokens, (long long)layer->k);
    if (tokens && !moe_plan_bucket(plan, tokens))
        return moe_fail(MOE_E_INVALID,
                        "T=%lld tokens are more than the plan's kernels serve; tune t=%lld, or "
                        "split the batch",
                        (long long)tokens, (long long)tokens);
    return MOE_OK;
}

int64_t moe_plan_scratch(const moe_plan *plan, const moe_bucket *bucket, int64_t tokens) {
    int64_t most = 0;
    for (int i = 0; i < bucket->form->steps; i++) {
        if (bucket->form->step[i].kind != MOE_STEP_KERNEL) continue;
        const moe_launch *launch = &plan->image[bucket->step[i].image].launch;
        int64_t bytes =
            moe_launch_scratch(launch, &plan->ask.layer, tokens, plan->ask.want.facts->sms);
        if (bytes > most) most = bytes;
    }
    return most;
}

/* The arrays are sized by the largest alignment and the scratch by the hungriest bucket of the
 * plan, so that a workspace for T tokens serves every smaller T, whichever bucket it falls into. */
moe_status moe_plan_workspace(const moe_plan *plan, int64_t tokens, size_t *out) {
    MOE_TRY(moe_plan_check_tokens(plan, tokens));
    int64_t scratch = 0, arrays = 0;
    for (int i = 0; i < plan->buckets.count && tokens; i++) {
        int64_t bytes = moe_plan_scratch(plan, &plan->buckets.bucket[i], tokens);
        if (bytes > scratch) scratch = bytes;
    }
    if (tokens) arrays = moe_workspace_layout(&plan->ask.layer, tokens, plan->row_align, 0, NULL);
    *out = (size_t)(arrays + scratch);
    return MOE_OK;
}

moe_status moe_plan_match(const moe_plan *plan, int64_t tokens, moe_match *out) {
    MOE_TRY(moe_plan_check_tokens(plan, tokens));
    *out = moe_bucket_match(moe_plan_bucket(plan, tokens), tokens);
    return MOE_OK;
}

static void explain_kernel(const moe_plan *plan, const moe_plan_step *step, int64_t tokens,
                           moe_text *out) {
    char reason[MOE_FIT_TEXT_SIZE];
    moe_fit fit = moe_fit_of(&step->origin, &plan->ask.want, tokens);
    moe_fit_reason(&step->origin, &plan->ask.want, tokens, reason, sizeof reason);
    moe_text_add(out, " %s %s | %s: %s", step->row.template_id, step->row.config,
                 moe_match_text(fit.match), reason);
}

moe_status moe_plan_explain(const moe_plan *plan, int64_t tokens, char *text, size_t size) {
    MOE_TRY(moe_plan_check_tokens(plan, tokens));
    const moe_bucket *bucket = moe_plan_bucket(plan, tokens);
    moe_text out = moe_text_start(text, size);
    for (int i = 0; i < bucket->form->steps; i++) {
        const moe_pipeline_step *step = &bucket->form->step[i];
        moe_text_add(&out, "%-9s", moe_step_name(step));
        if (step->kind == MOE_STEP_KERNEL) explain_kernel(plan, &bucket->step[i], tokens, &out);
        moe_text_add(&out, "\n");
    }
    return MOE_OK;
}
