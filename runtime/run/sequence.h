/* sequence.h - what the ops of one run are to one another, by what op.def says that each does with
 * its arguments. */
#ifndef MOE_SEQUENCE_H
#define MOE_SEQUENCE_H

#include "core/args.h"
#include "core/pipeline.h"

/* True where a run goes without an op: it makes the routing, which is given. One that maps, too,
 * takes `given` and does the rest. */
bool moe_op_is_left_out(moe_op_kind kind, bool given);

/* True where an op of the form does this with the argument. */
bool moe_form_uses(const moe_pipeline_info *form, moe_arg arg, moe_use use);

/* The arguments as the ops of a run find them one after another. */
typedef struct moe_sequence {
    const moe_layer *layer;
    moe_arg_values *values;
    bool added[MOE_ARG_COUNT]; /* an op ahead adds to it */
} moe_sequence;

/* Before an op: what an op ahead has added to, this one must not add to again. */
void moe_sequence_enter(moe_sequence *s, moe_op_kind kind);

/* Behind it: what it wrote for others to take instead. */
void moe_sequence_leave(moe_sequence *s, moe_op_kind kind);

#endif
