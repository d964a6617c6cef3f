/* decode_operand.c - what an operand is in the running kernel: a place in the register file or in
 * the pool of constants. */
#include "decode/aux.h"
#include "decode/decode.h"

#include <stdlib.h>
#include <string.h>

enum { CONSTANT = (int)0x80000000, LINE = 64 };

/* Room in the register file: a predicate takes a word, everything else whole cache lines. */
int32_t sim_allocate(sim_decoder *d, unsigned bits) {
    sim_kernel *k = d->kernel;

    if (bits == 1) {
        if (d->predicate_at == d->predicate_end) {
            d->predicate_at = k->register_bytes;
            d->predicate_end = k->register_bytes += LINE;
        }
        d->predicate_at += 4;
        return (int32_t)d->predicate_at - 4;
    }
    uint32_t at = k->register_bytes;
    k->register_bytes += bits * 4;
    return (int32_t)at;
}

moe_status sim_temporary(sim_decoder *d, unsigned bits, int32_t *out) {
    d->registers++;
    *out = sim_allocate(d, bits);
    return MOE_OK;
}

static void note_write(sim_decoder *d, uint32_t number) {
    if (d->current.outputs < SIM_SCHEDULE_REGISTERS) d->current.out[d->current.outputs++] = number;
}

/* Where the constant stands already, or the free slot of the table for it. */
static sim_constant_slot *find_constant(const sim_decoder *d, uint64_t value, unsigned bits) {
    uint64_t hash = (value ^ bits) * 0x9e3779b97f4a7c15ull;

    for (uint64_t i = hash >> 32;; i++) {
        sim_constant_slot *slot = &d->slot[i & (d->slots - 1)];
        if (!slot->bits || (slot->bits == bits && slot->value == value)) return slot;
    }
}

/* Keeps half of the table free. */
static moe_status grow_slots(sim_decoder *d) {
    sim_constant_slot *old = d->slot;
    uint32_t count = d->slots;

    if (2 * d->constants < d->slots) return MOE_OK;
    d->slots = count ? 2 * count : 128;
    d->slot = sim_arena_alloc(d->arena, d->slots * sizeof *d->slot);
    if (!d->slot) return sim_no_memory();
    for (uint32_t i = 0; i < count; i++)
        if (old[i].bits) *find_constant(d, old[i].value, old[i].bits) = old[i];
    return MOE_OK;
}

static moe_status pool_add(sim_decoder *d, uint64_t value, unsigned bits, int32_t *out) {
    uint32_t bytes = bits / 8 * 32, at = d->pool_bytes;

    MOE_TRY(grow_slots(d));
    sim_constant_slot *slot = find_constant(d, value, bits);
    if (slot->bits) {
        *out = slot->place;
        return MOE_OK;
    }
    if (at + bytes > d->pool_room) {
        uint32_t room = d->pool_room ? 2 * d->pool_room : 16384;
        uint8_t *bigger = realloc(d->pool, room);
        if (!bigger) return sim_no_memory();
        d->pool = bigger;
        d->pool_room = room;
    }
    for (uint32_t i = 0; i < 32; i++) memcpy(d->pool + at + i * bits / 8, &value, bits / 8);
    d->pool_bytes += bytes;
    *out = (int32_t)at | CONSTANT;
    *slot = (sim_constant_slot){.value = value, .bits = bits, .place = *out};
    d->constants++;
    return MOE_OK;
}

moe_status sim_constant(sim_decoder *d, uint64_t value, unsigned bits, int32_t *out) {
    if (bits < 64) value &= (1ull << bits) - 1;
    return pool_add(d, value, bits, out);
}

static uint64_t immediate_bits(const ptx_operand *operand, unsigned bits) {
    uint64_t value = (uint64_t)operand->value;

    if (operand->floated == 64 && bits == 32) {
        double wide;
        memcpy(&wide, &value, sizeof wide);
        float narrow = (float)wide;
        uint32_t narrow_bits;
        memcpy(&narrow_bits, &narrow, sizeof narrow);
        return narrow_bits;
    }
    if (operand->floated == 32 && bits == 64) {
        uint32_t narrow_bits = (uint32_t)value;
        float narrow;
        memcpy(&narrow, &narrow_bits, sizeof narrow);
        double wide = (double)narrow;
        memcpy(&value, &wide, sizeof value);
    }
    return value;
}

static const struct {
    const char *name;
    uint8_t bits;
} specials[SIM_SPECIAL_COUNT] = {
#define SIM_SPECIAL(id, name, bits) {name, bits},
#include "decode/special.def"
#undef SIM_SPECIAL
};

/* Registers that hold nothing that a kernel could depend on: they read as zero. */
static moe_status quiet_source(sim_decoder *d, const char *name, int32_t *out, unsigned *bits) {
    static const struct {
        const char *prefix;
        uint8_t bits;
    } quiet[] = {{"%envreg", 32}, {"%pm", 32}, {"%current_graph_exec", 64}, {"%aggr_smem_size", 32},
                 {"%reserved_smem_offset_", 32}};

    for (unsigned i = 0; i < sizeof quiet / sizeof *quiet; i++) {
        if (strncmp(name, quiet[i].prefix, strlen(quiet[i].prefix)) != 0) continue;
        *bits = strcmp(name + strlen(name) - 3, "_64") == 0 ? 64 : quiet[i].bits;
        return sim_constant(d, 0, *bits, out);
    }
    return moe_fail(MOE_E_UNSUPPORTED, "PTX line %u: the simulator does not know the register '%s'",
                    d->statement->line, name);
}

static moe_status special_source(sim_decoder *d, const ptx_operand *operand, int32_t *out,
                                 unsigned *bits) {
    sim_kernel *k = d->kernel;

    for (int i = 0; i < SIM_SPECIAL_COUNT; i++) {
        if (strcmp(specials[i].name, operand->name) != 0) continue;
        if (!d->special[i]) {
            d->special[i] = sim_allocate(d, specials[i].bits);
            k->special[k->specials++] =
                (sim_special_register){.kind = (sim_special)i, .offset = (uint32_t)d->special[i]};
        }
        *out = d->special[i];
        *bits = specials[i].bits;
        return MOE_OK;
    }
    return quiet_source(d, operand->name, out, bits);
}

static moe_status check_linked(const sim_decoder *d, const ptx_variable *v) {
    if (!v->external || v->space == SIM_SHARED) return MOE_OK;
    return moe_fail(MOE_E_UNSUPPORTED,
                    "PTX line %u: variable %s is external; the simulator does not link modules",
                    d->statement->line, v->name);
}

static moe_status symbol_source(sim_decoder *d, const ptx_operand *operand, unsigned bits,
                                int32_t *out) {
    if (!operand->variable)
        return moe_fail(
            MOE_E_UNSUPPORTED,
            "PTX line %u: '%s' is no variable (addresses of functions are not supported)",
            d->statement->line, operand->name);
    MOE_TRY(check_linked(d, operand->variable));
    return sim_constant(d, operand->variable->address + (uint64_t)operand->value, bits, out);
}

moe_status sim_any_source(sim_decoder *d, const ptx_operand *operand, unsigned preferred,
                          int32_t *out, unsigned *bits) {
    *bits = preferred;
    switch (operand->kind) {
    case PTX_REGISTER:
        *bits = d->frame->function->width[operand->index];
        *out = d->frame->offset[operand->index];
        sim_note_read(d, d->frame->first_register + operand->index);
        return MOE_OK;
    case PTX_IMMEDIATE: return sim_constant(d, immediate_bits(operand, preferred), preferred, out);
    case PTX_SPECIAL: return special_source(d, operand, out, bits);
    case PTX_SYMBOL: return symbol_source(d, operand, preferred, out);
    default: return sim_bad(d, "an operand that cannot be read");
    }
}

moe_status sim_source(sim_decoder *d, const ptx_operand *operand, unsigned bits, int32_t *out) {
    unsigned found = 0;

    MOE_TRY(sim_any_source(d, operand, bits, out, &found));
    if (found != bits) return sim_bad(d, "an operand of another width than the instruction");
    return MOE_OK;
}

moe_status sim_any_destination(sim_decoder *d, const ptx_operand *operand, int32_t *out,
                               unsigned *bits) {
    if (operand->kind != PTX_REGISTER) return sim_bad(d, "a destination that is no register");
    *bits = d->frame->function->width[operand->index];
    *out = d->frame->offset[operand->index];
    note_write(d, d->frame->first_register + operand->index);
    return MOE_OK;
}

moe_status sim_destination(sim_decoder *d, const ptx_operand *operand, unsigned bits,
                           int32_t *out) {
    unsigned found = 0;

    if (operand->kind == PTX_SINK) return sim_temporary(d, bits, out);
    MOE_TRY(sim_any_destination(d, operand, out, &found));
    if (found != bits) return sim_bad(d, "a destination of another width than the instruction");
    return MOE_OK;
}

moe_status sim_predicate_source(sim_decoder *d, const ptx_operand *operand, int32_t *out) {
    if (operand->kind == PTX_IMMEDIATE) {
        MOE_TRY(sim_constant(d, operand->value ? ~0ull : 0, 32, out));
    } else {
        MOE_TRY(sim_source(d, operand, 1, out));
    }
    if (operand->negated) *out |= SIM_PREDICATE_NOT;
    return MOE_OK;
}

moe_status sim_predicate_destination(sim_decoder *d, const ptx_operand *operand, int32_t *out) {
    *out = 0;
    if (operand->kind == PTX_SINK) return MOE_OK;
    return sim_destination(d, operand, 1, out);
}

moe_status sim_list(sim_decoder *d, const ptx_operand *operand, unsigned bits, bool read,
                    int32_t **out, uint32_t *count) {
    const ptx_operand *element = operand->kind == PTX_LIST ? operand->list : operand;

    *count = operand->kind == PTX_LIST ? operand->index : 1;
    *out = sim_arena_alloc(d->arena, (*count + 1) * sizeof **out);
    if (!*out) return sim_no_memory();
    for (uint32_t i = 0; i < *count; i++) {
        if (read) MOE_TRY(sim_source(d, &element[i], bits, &(*out)[i]));
        else MOE_TRY(sim_destination(d, &element[i], bits, &(*out)[i]));
    }
    return MOE_OK;
}

moe_status sim_address(sim_decoder *d, const ptx_operand *operand, sim_instruction *in) {
    unsigned bits = 64;

    if (operand->kind != PTX_MEMORY) return sim_bad(d, "an operand in brackets is missing");
    in->imm = operand->value;
    if (operand->list) {
        MOE_TRY(sim_any_source(d, operand->list, 64, &in->a, &bits));
        if (bits == 32) in->aux |= MEMORY_NARROW;
        return bits >= 32 ? MOE_OK : sim_bad(d, "an address of less than 32 bits");
    }
    in->a = CONSTANT; /* zero, the first in the pool */
    if (!operand->variable && operand->name) return sim_bad(d, "an unknown variable");
    if (!operand->variable) return MOE_OK;
    in->imm += (int64_t)operand->variable->address;
    return check_linked(d, operand->variable);
}
