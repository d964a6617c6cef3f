/* reach.c - can lanes at one instruction still come to another? Asked when part of a warp waits
 * at a collective: lanes that have passed it by, and cannot come back to it, will never meet it. */
#include "machine/engine.h"

#include <stdlib.h>

/* Instructions still to be followed, each pushed once. */
typedef struct walk {
    const sim_kernel *kernel;
    uint8_t *seen;
    uint32_t *stack, depth;
} walk;

static void push(walk *w, uint32_t pc) {
    if (pc >= w->kernel->count || w->seen[pc]) return;
    w->seen[pc] = 1;
    w->stack[w->depth++] = pc;
}

/* Pushes what may follow an instruction. False: that is not known (a function's end). */
static bool follow(walk *w, uint32_t pc) {
    const sim_instruction *in = &w->kernel->code[pc];
    bool always = in->guard == 0;

    if (in->op == SIM_OP_ret) return false;
    if (in->op == SIM_OP_brx)
        for (int64_t i = 0; i < in->imm; i++) push(w, (uint32_t)in->list[i]);
    if (in->op == SIM_OP_bra) push(w, (uint32_t)in->imm);
    bool ends = in->op == SIM_OP_exit || in->op == SIM_OP_trap || in->op == SIM_OP_bra ||
                in->op == SIM_OP_brx;
    if (!ends || !always) push(w, pc + 1);
    return true;
}

/* A call is taken to return, and to reach nothing that matters on its way. */
static bool search(walk *w, uint32_t from, uint32_t to) {
    push(w, from);
    while (w->depth) {
        uint32_t pc = w->stack[--w->depth];
        if (pc == to || !follow(w, pc)) return true;
    }
    return false;
}

static bool reaches(const sim_kernel *k, uint32_t from, uint32_t to) {
    walk w = {
        .kernel = k, .seen = calloc(k->count, 1), .stack = malloc(k->count * sizeof *w.stack)};
    bool found = !w.seen || !w.stack || search(&w, from, to);

    free(w.seen);
    free(w.stack);
    return found;
}

bool sim_passed_by(sim_worker *worker, const sim_kernel *k, uint32_t pc, uint32_t collective) {
    sim_passed *known = &worker->passed[(pc * 31 + collective) % SIM_PASSED];

    if (k->code[pc].op == SIM_OP_exit && !k->code[pc].guard) return false;
    if (known->valid && known->pc == pc && known->collective == collective) return known->result;
    *known = (sim_passed){.valid = true, .pc = pc, .collective = collective};
    known->result = !reaches(k, pc, collective) && reaches(k, collective + 1, pc);
    return known->result;
}
