/* exec_lent.h - registers that are lent to matrix operations; see decode_lent.c. */
#ifndef SIM_EXEC_LENT_H
#define SIM_EXEC_LENT_H

#include "exec/exec.h"
#include "order/async.h"

#include <stdlib.h>

/* What a register is to the operation, beside the pc of a loan. */
enum { LENT_SUM = 1 << 20, LENT_FACTOR = 1 << 21 };

enum { REGISTER_LINE = 64 };

/* The loan of the register at a place in the file; NULL without host memory. */
static inline sim_loan *loan_of(const sim_warp *warp, sim_matrix_warp *w, s32 place) {
    if (!w->loan)
        w->loan = calloc(warp->block->kernel->register_bytes / REGISTER_LINE + 1, sizeof *w->loan);
    return w->loan ? &w->loan[place / REGISTER_LINE] : NULL;
}

/* Lends a register to the operation at `pc`, which belongs to the group that is open. */
static inline void lend_register(sim_warp *warp, s32 place, u32 pc, u32 role) {
    sim_matrix_warp *w = &warp->block->async->matrix[warp->index];
    sim_loan *loan = place > 0 ? loan_of(warp, w, place) : NULL; /* not for constants */

    if (loan) *loan = (sim_loan){.group = w->commits + 1, .pc = pc | role};
}

static inline bool is_lent(const sim_matrix_warp *w, const sim_loan *loan) {
    return loan->group && (s32)(loan->group - w->returned) > 0;
}

#endif
