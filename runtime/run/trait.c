/* trait.c - what a run does about an op beside launching it. */
#include "run/trait.h"

static const unsigned traits[MOE_OP_COUNT] = {
#define MOE_TRAIT(op, set) [MOE_OP_##op] = set,
#include "run/trait.def"
#undef MOE_TRAIT
};

static bool experts_see_it(const moe_layer *layer, const moe_arg_values *values) {
    return layer->router.jitter_experts && values->value[MOE_ARG_seed];
}

/* Behind an op of the trait an argument takes another one's value, or 0; `when` NULL: always. */
static const struct {
    unsigned trait;
    moe_arg to, from; /* from MOE_ARG_COUNT: 0 */
    bool (*when)(const moe_layer *layer, const moe_arg_values *values);
} handed_on[] = {
    {MOE_TRAIT_COUNTS, MOE_ARG_counts, MOE_ARG_COUNT, NULL},
    {MOE_TRAIT_JITTERS, MOE_ARG_x, MOE_ARG_jittered, experts_see_it},
};

unsigned moe_traits(moe_op_kind kind) { return traits[kind]; }

unsigned moe_form_traits(const moe_pipeline_info *form) {
    unsigned all = 0;
    for (int i = 0; i < form->steps; i++)
        if (form->step[i].kind == MOE_STEP_KERNEL) all |= traits[form->step[i].op];
    return all;
}

void moe_hand_on(moe_op_kind kind, const moe_layer *layer, moe_arg_values *values) {
    for (size_t i = 0; i < sizeof handed_on / sizeof *handed_on; i++) {
        if (!(traits[kind] & handed_on[i].trait)) continue;
        if (handed_on[i].when && !handed_on[i].when(layer, values)) continue;
        bool nothing = handed_on[i].from == MOE_ARG_COUNT;
        values->value[handed_on[i].to] = nothing ? 0 : values->value[handed_on[i].from];
    }
}
