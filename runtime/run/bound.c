/* bound.c - a run of constant pointers: all that can be done before there is a stream. */
#include "run/bound.h"

#include "core/layer.h"
#include "core/sized.h"
#include "core/workspace.h"
#include "run/bind.h"
#include "run/sequence.h"

#include <stdlib.h>
#include <string.h>

/* What is run: a plan's kernels for T tokens, on the caller's pointers. */
typedef struct work {
    const moe_plan *plan;
    const moe_bucket *bucket; /* NULL: there are no tokens */
    const moe_layer *layer;
    moe_io io;
    int64_t tokens, rows; /* rows: of the buffers h and y_rows */
} work;

static moe_status check_match(const work *w) {
    moe_match match = moe_bucket_match(w->bucket, w->tokens), worst = w->plan->ask.worst;
    if (match <= worst) return MOE_OK;
    return moe_fail(MOE_E_NOT_FOUND,
                    "T=%lld is served by kernels for t=%lld, which is %s, and options.worst is %s; "
                    "tune t=%lld, or allow %s",
                    (long long)w->tokens, (long long)w->bucket->tokens, moe_match_text(match),
                    moe_match_text(worst), (long long)w->tokens, moe_match_text(match));
}

static moe_status check_workspace(const work *w, int64_t needed) {
    const moe_io *io = &w->io;
    if (!io->workspace) return moe_fail(MOE_E_INVALID, "io.workspace is NULL; it needs "
                                                       "moe_plan_workspace() bytes");
    if ((uintptr_t)io->workspace % MOE_WORKSPACE_ALIGN)
        return moe_fail(MOE_E_INVALID, "io.workspace is not aligned to %d bytes",
                        MOE_WORKSPACE_ALIGN);
    if (io->workspace_size < (size_t)needed)
        return moe_fail(MOE_E_INVALID, "io.workspace has %zu bytes and T=%lld needs %lld; ask "
                                       "moe_plan_workspace()",
                        io->workspace_size, (long long)w->tokens, (long long)needed);
    return MOE_OK;
}

/* Lays the workspace out and binds every pointer. */
static moe_status bind_values(const work *w, moe_arg_values *values) {
    uint64_t base = (uintptr_t)w->io.workspace;
    int64_t arrays = moe_workspace_layout(w->layer, w->tokens, w->bucket->row_align, base, values);
    MOE_TRY(check_workspace(w, arrays + moe_plan_scratch(w->plan, w->bucket, w->tokens)));
    MOE_TRY(moe_bind(w->layer, &w->io, values));
    values->value[MOE_ARG_scratch] = base + (uint64_t)arrays;
    values->value[MOE_ARG_shared_start] =
        values->value[MOE_ARG_expert_start] + (uint64_t)moe_layer_held(w->layer) * sizeof(int);
    values->value[MOE_ARG_tokens] = (uint64_t)w->tokens;
    values->value[MOE_ARG_capacity] = (uint64_t)moe_layer_capacity(w->layer, w->tokens);
    values->value[MOE_ARG_row_align] = (uint64_t)w->bucket->row_align;
    memcpy(&values->value[MOE_ARG_bias_rate], &w->io.bias_rate, sizeof w->io.bias_rate);
    values->value[MOE_ARG_given] = w->io.routing_given;
    bool flags = moe_form_uses(w->bucket->form, MOE_ARG_flags, MOE_USE_ZERO);
    if (!flags) values->value[MOE_ARG_flags] = 0;
    return MOE_OK;
}

static moe_status fail_collective(const work *w, int step) {
    const moe_pipeline_info *form = w->bucket->form;
    return moe_fail(MOE_E_UNSUPPORTED,
                    "step %d of pipeline %s is the collective %s, and the plan has no "
                    "communicator; run the layer's shards with local=N each, and add what they "
                    "give",
                    step + 1, form->name, moe_step_name(&form->step[step]));
}

static moe_status make_step(const work *w, int step, bool follows, const moe_arg_values *values,
                            moe_ready *out) {
    const moe_loaded *image = &w->plan->image[w->bucket->step[step].image];
    const moe_enqueue enqueue = {
        .device = w->plan->device, .module = image->module, .launch = &image->launch,
        .kind = w->bucket->form->step[step].op, .layer = w->layer, .tokens = w->tokens,
        .rows = w->rows, .follows = follows,
    };
    return moe_enqueue_prepare(&enqueue, values, out);
}

static moe_status make_steps(const work *w, moe_arg_values *values, moe_bound *out) {
    const moe_pipeline_info *form = w->bucket->form;
    moe_sequence sequence = {.layer = w->layer, .values = values};
    for (int i = 0; i < form->steps; i++) {
        if (form->step[i].kind == MOE_STEP_COLLECTIVE) return fail_collective(w, i);
        moe_op_kind kind = form->step[i].op;
        if (moe_op_is_left_out(kind, w->io.routing_given)) continue;
        moe_sequence_enter(&sequence, kind);
        MOE_TRY(make_step(w, i, out->steps > 0, values, &out->step[out->steps]));
        out->steps++;
        moe_sequence_leave(&sequence, kind);
    }
    return MOE_OK;
}

moe_status moe_bound_make(const moe_plan *plan, const moe_io *io, int64_t tokens, moe_bound *out) {
    work w = {.plan = plan, .layer = &plan->ask.layer, .tokens = tokens};
    moe_arg_values values = {0};
    if (!io) return moe_fail(MOE_E_INVALID, "run: io is NULL");
    MOE_TRY(moe_sized_read("io", "moe_io", io, &w.io, sizeof w.io));
    MOE_TRY(moe_plan_check_tokens(plan, tokens));
    out->device = plan->device;
    out->steps = 0;
    if (tokens) {
        w.bucket = moe_plan_bucket(plan, tokens);
        w.rows = moe_workspace_rows(w.layer, tokens, w.bucket->row_align);
        MOE_TRY(check_match(&w));
        MOE_TRY(bind_values(&w, &values));
    }
    bool routed = tokens && !w.io.routing_given;
    out->fills = moe_fills(w.layer, &w.io, routed, &values, out->fill);
    return tokens ? make_steps(&w, &values, out) : MOE_OK;
}

moe_status moe_plan_bind(const moe_plan *plan, const moe_io *io, int64_t tokens, moe_bound **out) {
    moe_bound *bound = aligned_alloc(_Alignof(moe_bound), sizeof *bound);
    if (!bound) return moe_fail(MOE_E_MEMORY, "bind: no memory for a run");
    moe_status status = moe_bound_make(plan, io, tokens, bound);
    if (status)
        free(bound);
    else
        *out = bound;
    return status;
}

moe_status moe_bound_run(const moe_bound *bound, void *stream) {
    const moe_device_class *class = bound->device->class;
    void *self = bound->device->self;
    for (int i = 0; i < bound->fills; i++)
        MOE_TRY(class->fill(self, bound->fill[i].to, 0, bound->fill[i].bytes, stream));
    for (int i = 0; i < bound->steps; i++) MOE_TRY(moe_ready_run(&bound->step[i], stream));
    return MOE_OK;
}

void moe_bound_destroy(moe_bound *bound) { free(bound); }
