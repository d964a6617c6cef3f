/* run.c - one run of a plan: bound on the stack, then enqueued. No allocation, lock or wait. */
#include "run/bound.h"

moe_status moe_plan_run(const moe_plan *plan, const moe_io *io, int64_t tokens, void *stream) {
    moe_bound bound;
    MOE_TRY(moe_bound_make(plan, io, tokens, &bound));
    return moe_bound_run(&bound, stream);
}
