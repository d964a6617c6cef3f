/* exec_lent.c - instructions that touch registers which matrix operations may still use. */
#include "exec/exec_lent.h"

static void find_lent(sim_warp *warp, const sim_instruction *in, const sim_loan *loan,
                      const char *what) {
    bool sum = loan->pc & LENT_SUM;

    sim_find(warp, SIM_FINDING_matrix, in, loan->pc & SIM_PC_MASK,
             "block %u warp %u %s a register (%%p) that wgmma (%%q) may still be %s: no "
             "wgmma.wait_group before",
             warp->block->index, warp->index, what, sum ? "adding to" : "reading");
}

/* The value is where it goes to now, and so is the loan. What was there is of no use any more. */
static void move_loan(sim_warp *warp, sim_matrix_warp *w, const sim_lent *lent, u32 exec) {
    const sim_loan *from = lent->inputs ? loan_of(warp, w, lent->place[0]) : NULL;
    sim_loan *to = lent->outputs ? loan_of(warp, w, lent->place[lent->inputs]) : NULL;

    if (!to) return;
    if (from && is_lent(w, from)) *to = *from;
    else if ((exec | warp->exited) == ~0u) to->group = 0;
}

/* Factors may be read by others as well. */
static void check_loans(sim_warp *warp, const sim_instruction *in, sim_matrix_warp *w,
                        const sim_lent *lent) {
    for (u32 i = 0; i < (u32)lent->inputs + lent->outputs; i++) {
        bool reads = i < lent->inputs;
        const sim_loan *loan = loan_of(warp, w, lent->place[i]);
        if (!loan || !is_lent(w, loan) || (reads && (loan->pc & LENT_FACTOR))) continue;
        find_lent(warp, in, loan, reads ? "reads" : "changes");
        return;
    }
}

HANDLER(lent) {
    const sim_lent *lent = warp->block->kernel->lent[instruction_pc(warp, in)];
    sim_async *async = warp->block->async;
    sim_matrix_warp *w = async ? &async->matrix[warp->index] : NULL;

    if (w && w->loan) {
        if (lent->moves) move_loan(warp, w, lent, exec);
        else check_loans(warp, in, w, lent);
    }
    return lent->run(warp, in, exec);
}
