/* decoder.c - what all groups of instructions need: their opcode looked at, their instruction put
 * behind the others, their failures named. */
#include "decode/decode.h"

#include <stdlib.h>
#include <string.h>

moe_status sim_no_memory(void) {
    return moe_fail(MOE_E_MEMORY, "out of memory while decoding PTX");
}

moe_status sim_unknown(const sim_decoder *d) {
    return moe_fail(MOE_E_UNSUPPORTED, "PTX line %u: the simulator does not know '%s' (kernel %s)",
                    d->statement->line, d->statement->opcode, d->kernel->name);
}

moe_status sim_bad(const sim_decoder *d, const char *what) {
    return moe_fail(MOE_E_PARSE, "PTX line %u: %s: %s", d->statement->line, d->statement->opcode,
                    what);
}

moe_status sim_expect(const sim_decoder *d, uint32_t operands) {
    return d->statement->operands == operands ? MOE_OK : sim_bad(d, "wrong number of operands");
}

bool sim_has(const sim_decoder *d, const char *part) {
    for (int i = 1; i < d->parts; i++)
        if (strcmp(d->part[i], part) == 0) return true;
    return false;
}

unsigned sim_type_bits(const char *type) {
    static const struct {
        const char *name;
        unsigned bits;
    } types[] = {
        {"pred", 1}, {"b8", 8},     {"u8", 8},      {"s8", 8},    {"b16", 16}, {"u16", 16},
        {"s16", 16}, {"f16", 16},   {"bf16", 16},   {"b32", 32},  {"u32", 32}, {"s32", 32},
        {"f32", 32}, {"f16x2", 32}, {"bf16x2", 32}, {"tf32", 32}, {"b64", 64}, {"u64", 64},
        {"s64", 64}, {"f64", 64},   {"b128", 128},
    };

    for (unsigned i = 0; i < sizeof types / sizeof *types; i++)
        if (strcmp(types[i].name, type) == 0) return types[i].bits;
    return 0;
}

moe_status sim_decode_by_name(sim_decoder *d, const sim_mnemonic *table, bool *known) {
    for (; table->name; table++) {
        if (strcmp(table->name, d->part[0]) != 0) continue;
        *known = true;
        return table->decode(d);
    }
    *known = false;
    return MOE_OK;
}

/* ------------------------------------------------------------------------------ instructions */

static moe_status make_room(sim_decoder *d) {
    sim_kernel *k = d->kernel;
    uint32_t room = d->room ? 2 * d->room : 1024;

    if (k->count < d->room) return MOE_OK;
    void *code = realloc(k->code, room * sizeof *k->code);
    if (code) k->code = code;
    void *line = realloc(k->line, room * sizeof *k->line);
    if (line) k->line = line;
    void *place = realloc(k->place, room * sizeof *k->place);
    if (place) k->place = place;
    void *text = realloc(k->text, room * sizeof *k->text);
    if (text) k->text = text;
    void *schedule = realloc(d->schedule, room * sizeof *d->schedule);
    if (schedule) d->schedule = schedule;
    if (!code || !line || !place || !text || !schedule) return sim_no_memory();
    d->room = room;
    return MOE_OK;
}

void sim_note_read(sim_decoder *d, uint32_t number) {
    if (d->current.inputs < SIM_SCHEDULE_REGISTERS) d->current.in[d->current.inputs++] = number;
}

moe_status sim_emit(sim_decoder *d, sim_op op, sim_instruction in) {
    const ptx_statement *s = d->statement;
    sim_kernel *k = d->kernel;

    MOE_TRY(make_room(d));
    in.op = (uint16_t)op;
    in.run = d->isa->handlers[op];
    if (s->guard >= 0) {
        in.guard = (uint32_t)d->frame->offset[s->guard];
        in.guard_flip = s->guard_negated ? ~0u : 0;
        sim_note_read(d, d->frame->first_register + (uint32_t)s->guard);
    }
    k->code[k->count] = in;
    k->line[k->count] = s->line;
    k->place[k->count] = s->place;
    k->text[k->count] = s->opcode;
    d->current.class = sim_op_class[op];
    d->schedule[k->count] = d->current;
    k->count++;
    return MOE_OK;
}

moe_status sim_fix(sim_decoder *d, int32_t *list, uint32_t label) {
    d->fixup = sim_arena_grow(d->arena, d->fixup, d->fixups, sizeof *d->fixup);
    if (!d->fixup) return sim_no_memory();
    d->fixup[d->fixups++] =
        (sim_fixup){.list = list, .instruction = d->kernel->count, .label = label};
    return MOE_OK;
}
