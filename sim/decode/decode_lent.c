/* decode_lent.c - which instructions touch registers that matrix operations may use.
 *
 * wgmma runs beside the instructions behind it. Until wgmma.wait_group its accumulators must not be
 * touched, nor its factors in registers be changed. Only a few instructions ever name such
 * registers, so only these are looked at when they run: each gets the handler `lent` in front of
 * its own. The compiler moves accumulators between wgmma and the wait (the assembler lets them stay
 * where they are), so what a lent register is moved to is looked after too. */
#include "decode/decode.h"

#include <stdlib.h>
#include <string.h>

moe_status sim_lend(sim_decoder *d, const ptx_operand *list) {
    if (!d->lent) {
        d->lent_room = d->registers + 1; /* all functions have theirs by now */
        d->lent = calloc(d->lent_room, 1);
        if (!d->lent) return sim_no_memory();
    }
    for (uint32_t i = 0; i < list->index; i++)
        if (list->list[i].kind == PTX_REGISTER)
            d->lent[d->frame->first_register + list->list[i].index] = 1;
    return MOE_OK;
}

static bool is_lent(const sim_decoder *d, uint32_t number) {
    return number < d->lent_room && d->lent[number];
}

static bool is_move(const sim_decoder *d, uint32_t pc) {
    return d->kernel->code[pc].op == SIM_OP_mov_b32 && d->schedule[pc].outputs == 1;
}

/* Loans go where moves hand them, over any number of moves. */
static void follow_moves(sim_decoder *d) {
    bool more = true;

    while (more) {
        more = false;
        for (uint32_t pc = 0; pc < d->kernel->count; pc++) {
            const sim_schedule_op *op = &d->schedule[pc];
            if (!is_move(d, pc) || !op->inputs || !is_lent(d, op->in[0]) ||
                is_lent(d, op->out[0]))
                continue;
            d->lent[op->out[0]] = 1;
            more = true;
        }
    }
}

/* Where a register of any function lies in the register file. */
static int32_t place_of(const sim_decoder *d, uint32_t number) {
    uint32_t f = d->frame_count - 1;

    while (d->frames[f].first_register > number) f--;
    return d->frames[f].offset[number - d->frames[f].first_register];
}

static uint8_t keep_places(const sim_decoder *d, const uint32_t *numbers, uint8_t count,
                           int32_t *place) {
    uint8_t kept = 0;

    for (uint8_t i = 0; i < count; i++)
        if (is_lent(d, numbers[i])) place[kept++] = place_of(d, numbers[i]);
    return kept;
}

static moe_status watch(sim_decoder *d, uint32_t pc) {
    const sim_schedule_op *op = &d->schedule[pc];
    sim_instruction *in = &d->kernel->code[pc];
    sim_lent *lent;

    if (in->op == SIM_OP_wgmma) return MOE_OK;
    lent = sim_arena_alloc(d->arena,
                           sizeof *lent + (op->inputs + op->outputs) * sizeof *lent->place);
    if (!lent) return sim_no_memory();
    lent->inputs = keep_places(d, op->in, op->inputs, lent->place);
    lent->outputs = keep_places(d, op->out, op->outputs, lent->place + lent->inputs);
    if (!lent->inputs && !lent->outputs) return MOE_OK;
    lent->moves = is_move(d, pc);
    lent->run = in->run;
    in->run = d->isa->handlers[SIM_OP_lent];
    d->kernel->lent[pc] = lent;
    return MOE_OK;
}

moe_status sim_watch_lent(sim_decoder *d) {
    sim_kernel *k = d->kernel;

    if (!d->lent) return MOE_OK;
    follow_moves(d);
    k->lent = sim_arena_alloc(d->arena, k->count * sizeof *k->lent);
    if (!k->lent) return sim_no_memory();
    memset(k->lent, 0, k->count * sizeof *k->lent);
    for (uint32_t pc = 0; pc < k->count; pc++) MOE_TRY(watch(d, pc));
    return MOE_OK;
}
