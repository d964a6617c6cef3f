/* sequence.c - what the ops of one run are to one another. */
#include "run/sequence.h"

/* What the kernels of an op do with an argument; NULL: they do not take it. */
static const moe_op_arg *find(moe_op_kind kind, moe_arg arg) {
    int count;
    const moe_op_arg *args = moe_op_args(kind, &count);
    for (int i = 0; i < count; i++)
        if (args[i].arg == arg) return &args[i];
    return NULL;
}

static bool uses(moe_op_kind kind, moe_arg arg, moe_use use) {
    const moe_op_arg *found = find(kind, arg);
    return found && found->use == use;
}

bool moe_op_is_left_out(moe_op_kind kind, bool given) {
    return given && uses(kind, MOE_ARG_ids, MOE_USE_OUT) && !find(kind, MOE_ARG_given);
}

bool moe_form_uses(const moe_pipeline_info *form, moe_arg arg, moe_use use) {
    for (int i = 0; i < form->steps; i++)
        if (form->step[i].kind == MOE_STEP_KERNEL && uses(form->step[i].op, arg, use)) return true;
    return false;
}

void moe_sequence_enter(moe_sequence *s, moe_op_kind kind) {
    int count;
    const moe_op_arg *args = moe_op_args(kind, &count);
    for (int i = 0; i < count; i++) {
        if (args[i].use != MOE_USE_ADD) continue;
        if (s->added[args[i].arg]) s->values->value[args[i].arg] = 0;
        s->added[args[i].arg] = true;
    }
}

static bool experts_are_jittered(const moe_sequence *s) {
    return s->layer->router.jitter_experts && s->values->value[MOE_ARG_seed];
}

/* Ops behind one that writes `written` take it for `original`. */
static const struct {
    moe_arg written, original;
    bool (*when)(const moe_sequence *s);
} replacements[] = {{MOE_ARG_jittered, MOE_ARG_x, experts_are_jittered}};

void moe_sequence_leave(moe_sequence *s, moe_op_kind kind) {
    uint64_t *value = s->values->value;
    for (size_t i = 0; i < sizeof replacements / sizeof *replacements; i++)
        if (uses(kind, replacements[i].written, MOE_USE_OUT) && replacements[i].when(s))
            value[replacements[i].original] = value[replacements[i].written];
}
