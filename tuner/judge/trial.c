/* trial.c - one candidate's kernels on an op's case. */
#include "core/tensor.h"
#include "judge/op_kind.h"
#include "run/enqueue.h"

#include <stdio.h>
#include <stdlib.h>

struct moe_trial {
    moe_op_case *c;
    op_layout *layout;
    void *module;
    moe_launch launch;
    moe_ptr scratch;
    size_t scratch_bytes;
    bool further; /* the run at hand is not a verdict's first */
    moe_arg_values values;
};

/* A second alignment that kernels of maps are verified with; a byte of outputs before a run. */
enum { OTHER_ALIGN = 64, NO_ANSWER = 0x7f };

/* Where the run at hand has an argument's buffer. */
static const op_buffers *buffers_of(const moe_trial *trial, moe_arg arg) {
    const moe_op_case *c = trial->c;
    if (c->given[c->entry].address[arg]) return &c->given[c->entry];
    return trial->layout->buffers.address[arg] ? &trial->layout->buffers : &c->buffers;
}

/* What a run from its entry has no use for, and, where timed, what callers mostly do not ask
 * for. */
static bool is_left_out(const moe_trial *trial, const moe_op_arg *arg, bool timed) {
    const moe_op_case *c = trial->c;
    if (moe_tensor_used(&c->op.layer, arg->arg) < c->entry) return true;
    return timed && (arg->use == MOE_USE_ADD || arg->use == MOE_USE_ASK_IN ||
                     arg->use == MOE_USE_ASK_OUT);
}

static void set_args(moe_trial *trial, bool timed) {
    const moe_op_case *c = trial->c;
    moe_arg_values values = {0};
    int count;
    const moe_op_arg *args = moe_op_args(c->op.kind, &count);
    for (int i = 0; i < count; i++)
        if (!is_left_out(trial, &args[i], timed))
            values.value[args[i].arg] = buffers_of(trial, args[i].arg)->address[args[i].arg];
    values.value[MOE_ARG_scratch] = trial->scratch;
    values.value[MOE_ARG_tokens] = (uint64_t)c->op.t;
    values.value[MOE_ARG_capacity] = (uint64_t)moe_layer_capacity(&c->op.layer, c->op.t);
    values.value[MOE_ARG_row_align] = (uint64_t)trial->layout->align;
    values.value[MOE_ARG_first_expert] = (uint64_t)c->first_expert;
    values.value[MOE_ARG_vocab] = MOE_WORKLOAD_VOCAB;
    values.value[MOE_ARG_given] = c->entry == MOE_ENTRY_GIVEN;
    trial->values = values;
}

static moe_status prepare(moe_trial *trial, const moe_image *image) {
    moe_op_case *c = trial->c;
    const moe_device_class *class = c->device->class;
    int64_t bytes = moe_launch_scratch(&trial->launch, &c->op.layer, c->op.t,
                                       moe_device_facts(c->device)->sms);
    MOE_TRY(op_layout_get(c, trial->launch.align, &trial->layout));
    MOE_TRY(class->alloc(c->device->self, (size_t)bytes, &trial->scratch));
    trial->scratch_bytes = (size_t)bytes;
    set_args(trial, true);
    return class->load(c->device->self, image, &trial->module);
}

moe_status moe_trial_open(moe_op_case *c, const moe_image *image, moe_trial **out) {
    moe_trial *trial = calloc(1, sizeof *trial);
    if (!trial) return moe_fail(MOE_E_MEMORY, "no memory for a candidate");
    trial->c = c;
    trial->launch = image->launch;
    moe_status status = prepare(trial, image);
    if (status)
        moe_trial_close(trial);
    else
        *out = trial;
    return status;
}

void moe_trial_close(moe_trial *trial) {
    if (!trial) return;
    const moe_device_class *class = trial->c->device->class;
    void *self = trial->c->device->self;
    if (trial->module) class->unload(self, trial->module);
    if (trial->scratch) class->free(self, trial->scratch);
    free(trial);
}

/* Zeroes what the kernels use so. */
static moe_status zero(const moe_trial *trial, moe_use use) {
    const moe_op_case *c = trial->c;
    int count;
    const moe_op_arg *args = moe_op_args(c->op.kind, &count);
    for (int i = 0; i < count; i++) {
        const moe_ptr address = c->buffers.address[args[i].arg];
        if (args[i].use == use && address)
            MOE_TRY(c->device->class->fill(c->device->self, address, 0,
                                           c->buffers.bytes[args[i].arg], NULL));
    }
    return MOE_OK;
}

moe_status moe_trial_run(void *context) {
    const moe_trial *trial = context;
    const moe_enqueue enqueue = {
        .device = trial->c->device, .module = trial->module, .launch = &trial->launch,
        .kind = trial->c->op.kind, .layer = &trial->c->op.layer, .tokens = trial->c->op.t,
        .rows = trial->layout->rows,
    };
    MOE_TRY(zero(trial, MOE_USE_ZERO));
    return moe_enqueue_launch(&enqueue, &trial->values, NULL);
}

/* What the kernels write is marked unwritten. A poisoned integer is -1, which is right where a slot
 * was dropped: in a verdict's further runs outputs hold what is right nowhere. */
static moe_status spoil(const moe_trial *trial, moe_ptr address, size_t bytes) {
    const moe_device *device = trial->c->device;
    if (trial->further) return device->class->fill(device->self, address, NO_ANSWER, bytes, NULL);
    return device->class->poison(device->self, address, bytes);
}

/* Spoils what the kernels write, and zeroes what they add to. */
static moe_status clear_outputs(moe_trial *trial) {
    moe_op_case *c = trial->c;
    int count;
    const moe_op_arg *args = moe_op_args(c->op.kind, &count);
    for (int i = 0; i < count; i++) {
        const moe_arg arg = args[i].arg;
        const op_buffers *b = buffers_of(trial, arg);
        bool written = args[i].use == MOE_USE_OUT || args[i].use == MOE_USE_ASK_OUT;
        if (written && b->address[arg] && b != &c->given[c->entry])
            MOE_TRY(spoil(trial, b->address[arg], b->bytes[arg]));
    }
    return zero(trial, MOE_USE_ADD);
}

static moe_status run_and_judge(moe_trial *trial, moe_verdict *verdict, double *ns) {
    moe_device *device = trial->c->device;
    set_args(trial, false);
    MOE_TRY(clear_outputs(trial));
    MOE_TRY(device->class->time_begin(device->self));
    moe_status status = moe_trial_run(trial);
    moe_status ended = device->class->time_end(device->self, ns);
    if (!status) status = ended;
    if (!status) status = device->class->sync(device->self, NULL);
    if (!status) status = trial->c->kind->judge(trial->c, trial->layout, verdict);
    set_args(trial, true);
    return status;
}

static moe_status run_afresh(moe_trial *trial, moe_verdict *verdict, double *ns) {
    const moe_device *device = trial->c->device;
    MOE_TRY(device->class->poison(device->self, trial->scratch, trial->scratch_bytes));
    return run_and_judge(trial, verdict, ns);
}

static moe_status verify_other_align(moe_trial *trial, moe_verdict *verdict) {
    op_layout *own = trial->layout;
    double ns;
    MOE_TRY(op_layout_get(trial->c, OTHER_ALIGN, &trial->layout));
    moe_status status = run_afresh(trial, verdict, &ns);
    trial->layout = own;
    set_args(trial, true);
    return status;
}

static moe_status verify_from(moe_trial *trial, moe_entry entry, moe_verdict *verdict) {
    double ns;
    trial->c->entry = entry;
    moe_status status = run_afresh(trial, verdict, &ns);
    trial->c->entry = MOE_ENTRY_ROUTER;
    set_args(trial, true);
    return status;
}

static moe_status verify_given(moe_trial *trial, moe_verdict *verdict) {
    MOE_TRY(op_upload_given(trial->c));
    return verify_from(trial, MOE_ENTRY_GIVEN, verdict);
}

static moe_status verify_logits(moe_trial *trial, moe_verdict *verdict) {
    MOE_TRY(op_upload_logits(trial->c));
    return verify_from(trial, MOE_ENTRY_LOGITS, verdict);
}

/* The scratch holds what the run before has left. */
static moe_status verify_again(moe_trial *trial, moe_verdict *verdict) {
    double ns;
    return run_and_judge(trial, verdict, &ns);
}

static const struct {
    unsigned bit;
    const char *name;
    moe_status (*run)(moe_trial *trial, moe_verdict *verdict);
} checks[] = {
    {OP_OTHER_ALIGN, "rows aligned to 64", verify_other_align},
    {OP_GIVEN, "ids and weights given", verify_given},
    {OP_LOGITS, "logits given", verify_logits},
    {OP_AGAIN, "a second run", verify_again},
};

moe_status moe_trial_verify(moe_trial *trial, moe_verdict *verdict, double *ns) {
    trial->further = false;
    MOE_TRY(run_afresh(trial, verdict, ns));
    trial->further = true;
    for (size_t i = 0; i < sizeof checks / sizeof *checks && verdict->ok; i++) {
        moe_verdict its = {0};
        if (!(trial->c->kind->checks & checks[i].bit)) continue;
        MOE_TRY(checks[i].run(trial, &its));
        if (its.ok) continue;
        verdict->ok = false;
        verdict->error = its.error;
        snprintf(verdict->text, sizeof verdict->text, "with %s: %.200s", checks[i].name, its.text);
    }
    return MOE_OK;
}
