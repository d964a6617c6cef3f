/* schedule.c - when each instruction of a kernel can issue in a warp that runs alone. */
#include "model.h"

#include <stdlib.h>

/* Classes behind which nothing issues until they are done. */
static bool holds_issue(uint8_t class) {
    return class == SIM_CLASS_branch || class == SIM_CLASS_barrier || class == SIM_CLASS_fence;
}

/* When the last of an instruction's inputs is ready. */
static uint64_t inputs_ready(const sim_schedule_op *op, const uint64_t *ready) {
    uint64_t at = 0;

    for (unsigned i = 0; i < op->inputs; i++)
        if (ready[op->in[i]] > at) at = ready[op->in[i]];
    return at;
}

bool sim_schedule(const sim_schedule_op *ops, size_t count, uint32_t registers, uint16_t *stall) {
    uint64_t *ready = calloc((size_t)registers + 1, sizeof *ready);
    uint64_t now = 0;

    if (!ready) return false;
    for (size_t i = 0; i < count; i++) {
        const sim_schedule_op *op = &ops[i];
        uint64_t inputs = inputs_ready(op, ready);
        uint64_t issue = now;

        /* The assembler makes moves disappear: they wait for nothing and hand the wait on. */
        if (op->class != SIM_CLASS_move) issue = inputs > now + 1 ? inputs : now + 1;
        for (unsigned k = 0; k < op->outputs; k++)
            ready[op->out[k]] = op->class == SIM_CLASS_move ? inputs
                                                            : issue + sim_class_latency[op->class];
        if (holds_issue(op->class)) issue += sim_class_latency[op->class];
        stall[i] = issue - now > UINT16_MAX ? UINT16_MAX : (uint16_t)(issue - now);
        now = issue;
    }
    free(ready);
    return true;
}
