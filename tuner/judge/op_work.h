/* op_work.h - what the tuner knows of an op before it is tried: the least that it has to do, and
 * how many candidates are worth it. */
#ifndef MOE_OP_WORK_H
#define MOE_OP_WORK_H

#include "measure/roofline.h"

moe_work_size moe_op_work(const moe_op *op);

/* Candidates of an op that are worth trying, next to the others': what is large and slow has more
 * to win. */
int moe_op_wish(moe_op_kind kind);

#endif
