/* trait.h - what a run does about an op beside launching it. */
#ifndef MOE_TRAIT_H
#define MOE_TRAIT_H

#include "core/args.h"
#include "core/pipeline.h"

enum {
    MOE_TRAIT_LEFT_OUT = 1, /* is not launched where the routing is given */
    MOE_TRAIT_COUNTS = 2,   /* counts what each expert was chosen for: no op behind it may, again */
    MOE_TRAIT_JITTERS = 4,  /* writes x as drawn: ops behind it take that, if experts see it so */
    MOE_TRAIT_FLAGS = 8,    /* blocks hand over by flags, which are 0 when it starts. The router
                               zeroes them for it */
};

/* The traits of an op. */
unsigned moe_traits(moe_op_kind kind);

/* The traits of all ops of a form together. */
unsigned moe_form_traits(const moe_pipeline_info *form);

/* Hands the arguments on from an op to those behind it. */
void moe_hand_on(moe_op_kind kind, const moe_layer *layer, moe_arg_values *values);

#endif
