/* run.c - one run of a plan: arguments, grids, launches. No allocation, lock or wait. */
#include "core/layer.h"
#include "core/sized.h"
#include "core/workspace.h"
#include "run/bind.h"
#include "run/enqueue.h"
#include "run/plan.h"

#include <limits.h>
#include <string.h>

/* The most bytes of scratch that a step of the bucket needs; the steps share one region. */
static int64_t scratch_of(const moe_plan *plan, const moe_bucket *bucket, int64_t tokens) {
    int64_t most = 0;
    for (int i = 0; i < bucket->form->steps; i++) {
        const moe_launch *launch = &plan->image[bucket->step[i].image].launch;
        int64_t bytes = moe_launch_scratch(launch, &plan->layer, tokens, plan->want.facts->sms);
        if (bytes > most) most = bytes;
    }
    return most;
}

moe_status moe_plan_check_tokens(const moe_plan *plan, int64_t tokens) {
    if (tokens < 0 || (plan->max_tokens && tokens > plan->max_tokens))
        return moe_fail(MOE_E_INVALID, "T=%lld is not in 0..%lld tokens, as the plan was made for; "
                                       "split the batch or raise options.max_tokens",
                        (long long)tokens,
                        plan->max_tokens ? (long long)plan->max_tokens : (long long)INT_MAX);
    /* Slots, rows and tiles are 32-bit on the device. */
    if (tokens > INT_MAX / plan->layer.k ||
        moe_workspace_rows(&plan->layer, tokens, plan->row_align) > INT_MAX)
        return moe_fail(MOE_E_INVALID,
                        "T=%lld tokens make too many rows of %lld experts each; split "
                        "the batch",
                        (long long)tokens, (long long)plan->layer.k);
    if (tokens && !moe_plan_bucket(plan, tokens))
        return moe_fail(MOE_E_INVALID,
                        "T=%lld tokens are more than the plan's kernels serve; tune t=%lld, or "
                        "split the batch",
                        (long long)tokens, (long long)tokens);
    return MOE_OK;
}

/* The arrays are sized by the largest alignment and the scratch by the hungriest bucket of the
 * plan, so that a workspace for T tokens serves every smaller T, whichever bucket it falls into. */
moe_status moe_plan_workspace(const moe_plan *plan, int64_t tokens, size_t *out) {
    MOE_TRY(moe_plan_check_tokens(plan, tokens));
    int64_t scratch = 0;
    for (int i = 0; i < plan->buckets && tokens; i++) {
        int64_t bytes = scratch_of(plan, &plan->bucket[i], tokens);
        if (bytes > scratch) scratch = bytes;
    }
    int64_t arrays =
        tokens ? moe_workspace_layout(&plan->layer, tokens, plan->row_align, 0, NULL) : 0;
    *out = (size_t)(arrays + scratch);
    return MOE_OK;
}

/* The sums that a router adds to, as far as they are made. */
static moe_status clear_sums(const moe_plan *plan, const moe_arg_values *values, void *stream) {
    const uint64_t e = (uint64_t)plan->layer.e;
    const struct {
        moe_arg arg;
        uint64_t count;
    } sums[] = {{MOE_ARG_prob_sums, e}, {MOE_ARG_loss_sums, 3 * e + 2}};
    for (size_t i = 0; i < sizeof sums / sizeof *sums; i++)
        if (values->value[sums[i].arg])
            MOE_TRY(plan->device->class->fill(plan->device->self, values->value[sums[i].arg], 0,
                                              sums[i].count * 8, stream));
    return MOE_OK;
}

/* Without a router, or tokens, nobody writes what follows from the sums: it is 0. */
static moe_status clear_results(const moe_plan *plan, const moe_io *io, void *stream) {
    const struct {
        const void *to;
        size_t bytes;
    } results[] = {{io->mean_probs, (size_t)plan->layer.e * 4}, {io->losses, MOE_LOSS_COUNT * 4}};
    for (size_t i = 0; i < sizeof results / sizeof *results; i++)
        if (results[i].to)
            MOE_TRY(plan->device->class->fill(plan->device->self, (uintptr_t)results[i].to, 0,
                                              results[i].bytes, stream));
    return MOE_OK;
}

static moe_status clear_statistics(const moe_plan *plan, const moe_io *io, int64_t tokens,
                                   const moe_arg_values *values, void *stream) {
    const moe_device_class *class = plan->device->class;
    void *self = plan->device->self;
    size_t e = (size_t)plan->layer.e;
    if (io->counts) MOE_TRY(class->fill(self, (uintptr_t)io->counts, 0, e * 4, stream));
    return tokens && !io->routing_given ? clear_sums(plan, values, stream)
                                        : clear_results(plan, io, stream);
}

static bool has_flags(const moe_pipeline_info *form) {
    return moe_pipeline_has(form, MOE_OP_experts) || moe_pipeline_has(form, MOE_OP_down_combine);
}

/* The router zeroes the flags of the ops behind it that have any; without one, this does. */
static moe_status clear_flags(const moe_plan *plan, const moe_bucket *bucket, const moe_io *io,
                              moe_arg_values *values, void *stream) {
    uint64_t flags = values->value[MOE_ARG_flags];
    if (!has_flags(bucket->form)) {
        values->value[MOE_ARG_flags] = 0;
        return MOE_OK;
    }
    if (!io->routing_given) return MOE_OK;
    return plan->device->class->fill(plan->device->self, flags, 0, MOE_FLAGS * 4, stream);
}

static moe_status launch(const moe_plan *plan, const moe_bucket *bucket, int step, int64_t tokens,
                         bool follows, const moe_arg_values *values, void *stream) {
    const moe_loaded *image = &plan->image[bucket->step[step].image];
    const moe_enqueue enqueue = {
        .device = plan->device, .module = image->module, .launch = &image->launch,
        .kind = bucket->form->op[step], .layer = &plan->layer, .tokens = tokens, .follows = follows,
        .rows = moe_workspace_rows(&plan->layer, tokens, bucket->row_align),
    };
    return moe_enqueue_launch(&enqueue, values, stream);
}

static moe_status check_match(const moe_plan *plan, const moe_bucket *bucket, int64_t tokens) {
    moe_match match = moe_bucket_match(bucket, tokens);
    if (match <= plan->worst) return MOE_OK;
    return moe_fail(MOE_E_NOT_FOUND,
                    "T=%lld is served by kernels for t=%lld, which is %s, and options.worst is %s; "
                    "tune t=%lld, or allow %s",
                    (long long)tokens, (long long)bucket->tokens, moe_match_text(match),
                    moe_match_text(plan->worst), (long long)tokens, moe_match_text(match));
}

/* Lays the workspace out and binds every pointer. */
static moe_status prepare(const moe_plan *plan, const moe_bucket *bucket, const moe_io *io,
                          int64_t tokens, moe_arg_values *values) {
    uint64_t base = (uintptr_t)io->workspace;
    int64_t arrays =
        moe_workspace_layout(&plan->layer, tokens, bucket->row_align, base, values);
    int64_t needed = arrays + scratch_of(plan, bucket, tokens);
    if (!io->workspace) return moe_fail(MOE_E_INVALID, "io.workspace is NULL; it needs "
                                                       "moe_plan_workspace() bytes");
    if (base % MOE_WORKSPACE_ALIGN)
        return moe_fail(MOE_E_INVALID, "io.workspace is not aligned to %d bytes",
                        MOE_WORKSPACE_ALIGN);
    if (io->workspace_size < (size_t)needed)
        return moe_fail(MOE_E_INVALID, "io.workspace has %zu bytes and T=%lld needs %lld; ask "
                                       "moe_plan_workspace()",
                        io->workspace_size, (long long)tokens, (long long)needed);
    MOE_TRY(moe_bind(&plan->layer, io, values));
    values->value[MOE_ARG_scratch] = base + (uint64_t)arrays;
    values->value[MOE_ARG_shared_start] =
        values->value[MOE_ARG_expert_start] + (uint64_t)moe_layer_held(&plan->layer) * sizeof(int);
    values->value[MOE_ARG_tokens] = (uint64_t)tokens;
    values->value[MOE_ARG_capacity] = (uint64_t)moe_layer_capacity(&plan->layer, tokens);
    values->value[MOE_ARG_row_align] = (uint64_t)bucket->row_align;
    memcpy(&values->value[MOE_ARG_bias_rate], &io->bias_rate, sizeof io->bias_rate);
    values->value[MOE_ARG_given] = io->routing_given;
    return MOE_OK;
}

/* Whether what comes behind the op takes the router's jittered input for x. */
static bool jitters(const moe_plan *plan, moe_op_kind kind, const moe_arg_values *values) {
    bool routes = kind == MOE_OP_route || kind == MOE_OP_route_permute;
    return routes && plan->layer.router.jitter_experts && values->value[MOE_ARG_seed];
}

moe_status moe_plan_run(const moe_plan *plan, const moe_io *given, int64_t tokens, void *stream) {
    moe_arg_values values = {0};
    moe_io own, *io = &own;
    if (!given) return moe_fail(MOE_E_INVALID, "run: io is NULL");
    MOE_TRY(moe_sized_read("io", "moe_io", given, &own, sizeof own));
    MOE_TRY(moe_plan_check_tokens(plan, tokens));
    if (tokens == 0) return clear_statistics(plan, io, tokens, &values, stream);
    const moe_bucket *bucket = moe_plan_bucket(plan, tokens);
    MOE_TRY(check_match(plan, bucket, tokens));
    MOE_TRY(prepare(plan, bucket, io, tokens, &values));
    MOE_TRY(clear_statistics(plan, io, tokens, &values, stream));
    MOE_TRY(clear_flags(plan, bucket, io, &values, stream));
    bool follows = false;
    for (int i = 0; i < bucket->form->steps; i++) {
        moe_op_kind kind = bucket->form->op[i];
        if (kind == MOE_OP_route && io->routing_given) continue;
        MOE_TRY(launch(plan, bucket, i, tokens, follows, &values, stream));
        follows = true;
        /* What the router counted, permute must not count again. */
        if (kind == MOE_OP_route) values.value[MOE_ARG_counts] = 0;
        if (jitters(plan, kind, &values)) values.value[MOE_ARG_x] = values.value[MOE_ARG_jittered];
    }
    return MOE_OK;
}
