/* plan.c - a layer resolved on a device: made, described, destroyed. */
#include "run/plan.h"

#include "core/layer.h"
#include "core/sized.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const match_texts[MOE_MATCH_COUNT] = {
    [MOE_MATCH_ANY] = "any",
    [MOE_MATCH_EXACT] = "exact",
    [MOE_MATCH_NEAR_TOKENS] = "near_tokens",
    [MOE_MATCH_NEAR_DEVICE] = "near_device",
    [MOE_MATCH_DEFAULT] = "default",
};

const char *moe_match_text(moe_match match) {
    return (unsigned)match < MOE_MATCH_COUNT ? match_texts[match] : "unknown match";
}

/* Reads the name of an enum in the options; NULL is number 0. */
static moe_status option(const char *what, const char *text, const char *const *names, int *out) {
    const moe_field field = {.names = names};
    *out = 0;
    moe_status status = text ? moe_field_enum.parse(&field, text, out) : MOE_OK;
    return status ? moe_fail_context(MOE_E_INVALID, "options.%s", what) : MOE_OK;
}

static moe_status read_options(moe_plan *plan, const moe_plan_options *given) {
    moe_plan_options own = {0}, *options = &own;
    int routing, cache;
    if (given)
        MOE_TRY(moe_sized_read("options", "moe_plan_options", given, &own, sizeof own));
    MOE_TRY(option("routing", options->routing, moe_routing_names, &routing));
    MOE_TRY(option("cache", options->cache, moe_cache_names, &cache));
    if ((unsigned)options->worst >= MOE_MATCH_COUNT)
        return moe_fail(MOE_E_INVALID, "options.worst is not a moe_match");
    if (options->max_tokens < 0)
        return moe_fail(MOE_E_INVALID, "options.max_tokens is negative; 0 means no limit");
    plan->max_tokens = options->max_tokens;
    plan->worst = options->worst ? options->worst : MOE_MATCH_DEFAULT;
    plan->want = (moe_want){
        .facts = moe_device_facts(plan->device), .routing = (moe_routing)routing,
        .cache = (moe_cache)cache, .k = plan->layer.k, .any_order = options->any_order,
    };
    return MOE_OK;
}

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
    bucket->step[step].row.kind = bucket->form->op[step];
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
    plan->image = calloc((size_t)plan->buckets * MOE_STEP_COUNT, sizeof *plan->image);
    if (!plan->image) return moe_fail(MOE_E_MEMORY, "no memory for the images of a plan");
    for (int i = 0; i < plan->buckets; i++) MOE_TRY(load_bucket(plan, db, &plan->bucket[i]));
    return MOE_OK;
}

moe_status moe_plan_create(moe_db *db, moe_device *device, const moe_layer *layer,
                           const moe_plan_options *options, moe_plan **out) {
    if (!db || !device || !layer)
        return moe_fail(MOE_E_INVALID, "plan: a database, a device and a layer are needed");
    moe_layer own;
    MOE_TRY(moe_sized_read("layer", "moe_layer", layer, &own, sizeof own));
    MOE_TRY(moe_layer_check(&own));
    moe_plan *plan = calloc(1, sizeof *plan);
    if (!plan) return moe_fail(MOE_E_MEMORY, "plan: no memory");
    plan->device = device;
    plan->layer = own;
    plan->row_align = 1;
    moe_status status = read_options(plan, options);
    if (!status) status = moe_plan_resolve(plan, db);
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
    free(plan->bucket);
    free(plan);
}

static const moe_bucket *nearest(const moe_plan *plan, int64_t tokens) {
    const moe_bucket *bucket = plan->bucket, *last = bucket + plan->buckets - 1;
    while (bucket < last && bucket[1].tokens <= tokens) bucket++;
    if (bucket == last || tokens <= bucket->tokens) return bucket;
    /* Between two: T below their geometric mean is nearer to the smaller. */
    double mean = (double)bucket[0].tokens * (double)bucket[1].tokens;
    return (double)tokens * (double)tokens < mean ? bucket : bucket + 1;
}

const moe_bucket *moe_plan_bucket(const moe_plan *plan, int64_t tokens) {
    const moe_bucket *near = nearest(plan, tokens), *end = plan->bucket + plan->buckets;
    int64_t slots = tokens * plan->layer.k;
    for (const moe_bucket *b = near; b < end; b++)
        if (!b->max_slots || slots <= b->max_slots) return b;
    for (const moe_bucket *b = near; b-- > plan->bucket;)
        if (!b->max_slots || slots <= b->max_slots) return b;
    return NULL;
}

moe_match moe_bucket_match(const moe_bucket *bucket, int64_t tokens) {
    bool near = tokens != bucket->tokens && bucket->match < MOE_MATCH_NEAR_TOKENS;
    return near ? MOE_MATCH_NEAR_TOKENS : bucket->match;
}

moe_status moe_plan_match(const moe_plan *plan, int64_t tokens, moe_match *out) {
    MOE_TRY(moe_plan_check_tokens(plan, tokens));
    *out = moe_bucket_match(moe_plan_bucket(plan, tokens), tokens);
    return MOE_OK;
}

moe_status moe_plan_explain(const moe_plan *plan, int64_t tokens, char *text, size_t size) {
    MOE_TRY(moe_plan_check_tokens(plan, tokens));
    const moe_bucket *bucket = moe_plan_bucket(plan, tokens);
    moe_text out = moe_text_start(text, size);
    for (int i = 0; i < bucket->form->steps; i++) {
        const moe_plan_step *step = &bucket->step[i];
        char reason[MOE_FIT_TEXT_SIZE];
        moe_fit fit = moe_fit_of(&step->origin, &plan->want, tokens);
        moe_fit_reason(&step->origin, &plan->want, tokens, reason, sizeof reason);
        moe_text_add(&out, "%-9s %s %s | %s: %s\n", moe_op_names[step->row.kind],
                     step->row.template_id, step->row.config, moe_match_text(fit.match), reason);
    }
    return MOE_OK;
}
