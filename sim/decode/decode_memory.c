/* decode_memory.c - loads, stores, atomics, fences and cp.async. */
#include "decode/decode.h"
#include "decode/aux.h"
#include "number/reduce.h"

#include <string.h>

/* ---- state spaces and what shared memory's marks must tell apart */

static sim_space space_of(const sim_decoder *d) {
    if (sim_has(d, "global")) return SIM_GLOBAL;
    if (sim_has(d, "shared") || sim_has(d, "shared::cta") || sim_has(d, "shared::cluster"))
        return SIM_SHARED;
    if (sim_has(d, "local")) return SIM_LOCAL;
    if (sim_has(d, "const")) return SIM_CONST;
    if (sim_has(d, "param") || sim_has(d, "param::entry") || sim_has(d, "param::func"))
        return SIM_PARAM;
    return SIM_GENERIC;
}

static void narrow_granule(uint8_t *shift, uint32_t bytes) {
    uint8_t access = (uint8_t)__builtin_ctz(bytes);

    if (access < *shift) *shift = access;
}

static void note_shared(sim_decoder *d, sim_space space, uint32_t bytes, bool loads, bool stores) {
    if (space != SIM_SHARED && space != SIM_GENERIC) return;
    if (loads) narrow_granule(&d->kernel->shared_load_shift, bytes);
    if (stores) narrow_granule(&d->kernel->shared_store_shift, bytes);
}

static uint32_t order_flags(sim_decoder *d, sim_space space) {
    uint32_t flags = 0;

    if (sim_has(d, "volatile") || sim_has(d, "relaxed") || sim_has(d, "mmio"))
        flags = MEMORY_STRONG;
    if (sim_has(d, "acquire")) flags = MEMORY_STRONG | MEMORY_ACQUIRE;
    if (sim_has(d, "release")) flags = MEMORY_STRONG | MEMORY_RELEASE;
    if (flags && (space == SIM_SHARED || space == SIM_GENERIC)) d->kernel->shared_atomics = true;
    if (flags && (space == SIM_LOCAL || space == SIM_CONST || space == SIM_PARAM)) flags = 0;
    return flags;
}

/* ---- ld and st */

/* The element type, the vector's length and the registers. */
static moe_status decode_values(sim_decoder *d, const ptx_operand *operand, bool read,
                                sim_instruction *in) {
    const char *type = d->part[d->parts - 1];
    unsigned bits = sim_type_bits(type), count = 1, found = 0;

    if (bits < 8 || bits > 128) return sim_unknown(d);
    if (sim_has(d, "v2")) count = 2;
    if (sim_has(d, "v4")) count = 4;
    if (sim_has(d, "v8")) count = 8;
    const ptx_operand *element = operand->kind == PTX_LIST ? operand->list : operand;
    if ((operand->kind == PTX_LIST ? operand->index : 1) != count)
        return sim_bad(d, "a vector of wrong length");
    int32_t *list = sim_arena_alloc(d->arena, (2 * count + 1) * sizeof *list);
    if (!list) return sim_no_memory();
    unsigned preferred = bits < 16 ? 16 : bits, widest = 0;
    for (unsigned i = 0; i < count; i++) {
        if (read) MOE_TRY(sim_any_source(d, &element[i], preferred, &list[i], &found));
        else if (element[i].kind == PTX_SINK) continue;
        else MOE_TRY(sim_any_destination(d, &element[i], &list[i], &found));
        if (widest && found != widest) return sim_bad(d, "registers of different widths");
        widest = found;
    }
    if (!widest) widest = preferred;
    for (unsigned i = 0; i < count; i++)
        if (!list[i]) MOE_TRY(sim_temporary(d, widest, &list[i]));
    if (widest < bits || widest < 16) return sim_bad(d, "a register narrower than the type");
    if (bits == 128) { /* two halves, one behind the other */
        for (unsigned i = count; i-- > 0;) {
            list[2 * i + 1] = list[i] + 256;
            list[2 * i] = list[i];
        }
        bits = widest = 64;
        count *= 2;
    }
    in->list = list;
    in->aux |= (uint32_t)__builtin_ctz(bits / 8) | count << MEMORY_COUNT_SHIFT |
               ((uint32_t)__builtin_ctz(widest / 8) - 1) << MEMORY_REGISTER_SHIFT;
    if (type[0] == 's') in->aux |= MEMORY_SIGNED;
    return MOE_OK;
}

/* Parameters live in the argument buffer (the entry's) or in local memory (those of calls). */
static bool is_argument(const sim_decoder *d, const ptx_operand *address) {
    const ptx_variable *v = address->variable;

    if (v) return v->parameter && d->frame->function == d->entry;
    return true;
}

static moe_status decode_ld(sim_decoder *d) {
    static const sim_op ops[SIM_SPACE_COUNT] = {
        [SIM_GENERIC] = SIM_OP_ld_generic, [SIM_GLOBAL] = SIM_OP_ld_global,
        [SIM_SHARED] = SIM_OP_ld_shared,   [SIM_LOCAL] = SIM_OP_ld_local,
        [SIM_CONST] = SIM_OP_ld_constant,  [SIM_PARAM] = SIM_OP_ld_local,
    };
    const ptx_operand *operand = d->statement->operand;
    sim_space space = space_of(d);
    sim_instruction in = {.aux = order_flags(d, space)};
    sim_op op = ops[space];

    if (d->statement->operands != 2 && d->statement->operands != 3) return sim_expect(d, 2);
    if (sim_has(d, "nc") || d->part[0][2] == 'u') in.aux |= MEMORY_CACHED;
    MOE_TRY(sim_address(d, &operand[1], &in));
    MOE_TRY(decode_values(d, &operand[0], false, &in));
    if (space == SIM_PARAM && is_argument(d, &operand[1])) op = SIM_OP_ld_argument;
    if ((space == SIM_GLOBAL || space == SIM_GENERIC) && (in.aux & MEMORY_STRONG))
        d->kernel->polls = true;
    if (sim_has(d, "shared::cluster")) op = SIM_OP_ld_cluster;
    note_shared(d, space, memory_bytes(&in), true, false);
    return sim_emit(d, op, in);
}

static moe_status decode_st(sim_decoder *d) {
    static const sim_op ops[SIM_SPACE_COUNT] = {
        [SIM_GENERIC] = SIM_OP_st_generic, [SIM_GLOBAL] = SIM_OP_st_global,
        [SIM_SHARED] = SIM_OP_st_shared,   [SIM_LOCAL] = SIM_OP_st_local,
        [SIM_CONST] = SIM_OP_nop,          [SIM_PARAM] = SIM_OP_st_local,
    };
    const ptx_operand *operand = d->statement->operand;
    sim_space space = space_of(d);
    sim_instruction in = {.aux = order_flags(d, space)};

    if (d->statement->operands != 2 && d->statement->operands != 3) return sim_expect(d, 2);
    if (space == SIM_CONST || sim_has(d, "async")) return sim_unknown(d);
    MOE_TRY(sim_address(d, &operand[0], &in));
    MOE_TRY(decode_values(d, &operand[1], true, &in));
    note_shared(d, space, memory_bytes(&in), false, true);
    return sim_emit(d, sim_has(d, "shared::cluster") ? SIM_OP_st_cluster : ops[space], in);
}

/* prefetch, discard, applypriority: no effect on values */
static moe_status decode_hint(sim_decoder *d) {
    return sim_emit(d, SIM_OP_nop, (sim_instruction){0});
}

/* ---- atom and red */

static sim_op atomic_op(const sim_decoder *d) {
    sim_space space = space_of(d);

    if (sim_has(d, "shared::cluster")) return SIM_OP_atom_cluster;
    return space == SIM_GLOBAL   ? SIM_OP_atom_global
           : space == SIM_SHARED ? SIM_OP_atom_shared
                                 : SIM_OP_atom_generic;
}

/* One atomic operation for each element of a vector, as the hardware does it. `old`: where the
 * former values go, or NULL. */
static moe_status emit_atomics(sim_decoder *d, sim_instruction in, const ptx_operand *old,
                               const ptx_operand *values, unsigned bits) {
    int32_t *from, *to = NULL;
    uint32_t count, olds = 0;

    MOE_TRY(sim_list(d, values, bits, true, &from, &count));
    if (old) MOE_TRY(sim_list(d, old, bits, false, &to, &olds));
    if (old && olds != count) return sim_bad(d, "a vector of wrong length");
    for (uint32_t i = 0; i < count; i++) {
        in.b = from[i];
        in.d = to ? to[i] : 0;
        MOE_TRY(sim_emit(d, atomic_op(d), in));
        in.imm += bits / 8;
    }
    return MOE_OK;
}

static moe_status decode_atomic(sim_decoder *d) {
    const ptx_statement *s = d->statement;
    bool returns = strcmp(d->part[0], "atom") == 0, hinted = sim_has(d, "L2::cache_hint");
    sim_space space = space_of(d);
    int operation = sim_reduce_operation_of(d), type = sim_reduce_type_of(d);
    unsigned bits = sim_type_bits(d->part[d->parts - 1]);
    uint32_t values = operation == SIM_CAS ? 2 : 1, at = returns ? 1 : 0;
    sim_instruction in = {0};

    if (operation < 0 || type < 0 || bits < 16) return sim_unknown(d);
    if (space != SIM_GLOBAL && space != SIM_SHARED && space != SIM_GENERIC) return sim_unknown(d);
    MOE_TRY(sim_expect(d, at + 1 + values + hinted));
    MOE_TRY(sim_address(d, &s->operand[at], &in));
    if (values == 2) MOE_TRY(sim_source(d, &s->operand[at + 2], bits, &in.c));
    in.e = REDUCTION(operation, type);
    in.aux |= (uint32_t)__builtin_ctz(bits / 8) | 1u << MEMORY_COUNT_SHIFT | MEMORY_STRONG;
    if (sim_has(d, "release") || sim_has(d, "acq_rel")) in.aux |= MEMORY_RELEASE;
    note_shared(d, space, bits / 8, true, true);
    if (space != SIM_GLOBAL) d->kernel->shared_atomics = true;
    return emit_atomics(d, in, returns ? &s->operand[0] : NULL, &s->operand[at + 1], bits);
}

/* ---- fences: aux 1: visible outside the block */

static moe_status decode_fence(sim_decoder *d) {
    bool device =
        sim_has(d, "gl") || sim_has(d, "gpu") || sim_has(d, "sys") || sim_has(d, "cluster");

    if (sim_has(d, "proxy") || sim_has(d, "mbarrier_init")) return sim_decode_proxy_fence(d);
    return sim_emit(d, SIM_OP_fence, (sim_instruction){.aux = device});
}

/* ---- cp.async */

static moe_status decode_copy(sim_decoder *d) {
    const ptx_operand *operand = d->statement->operand;
    uint32_t count = d->statement->operands;
    sim_instruction to = {0}, in = {0};
    bool hinted = sim_has(d, "L2::cache_hint");

    if (hinted) count--; /* the cache policy comes last */
    if (count < 3 || count > 4 || operand[2].kind != PTX_IMMEDIATE)
        return sim_bad(d, "an unknown form");
    uint32_t bytes = (uint32_t)operand[2].value;
    if (bytes != 4 && bytes != 8 && bytes != 16) return sim_bad(d, "a size that is not 4, 8 or 16");
    MOE_TRY(sim_address(d, &operand[0], &to));
    MOE_TRY(sim_address(d, &operand[1], &in));
    /* a, imm: source; b, c: destination and its offset; d: source size, 0 = all */
    in.b = to.a;
    in.c = (int32_t)to.imm;
    in.e = (to.aux & MEMORY_NARROW) != 0;
    in.aux |= (uint32_t)__builtin_ctz(bytes) | 1u << MEMORY_COUNT_SHIFT;
    if (count == 4) {
        unsigned bits = 0;
        if (operand[3].kind == PTX_REGISTER && d->frame->function->width[operand[3].index] == 1) {
            return sim_unknown(d); /* ignore-src */
        }
        MOE_TRY(sim_any_source(d, &operand[3], 32, &in.d, &bits));
        if (bits != 32) return sim_bad(d, "a source size that has not 32 bits");
    }
    note_shared(d, SIM_SHARED, bytes, false, true);
    return sim_emit(d, SIM_OP_cp_async, in);
}

static moe_status decode_cp(sim_decoder *d) {
    sim_instruction in = {0};

    if (!sim_has(d, "async")) return sim_unknown(d);
    if (sim_has(d, "bulk")) return sim_decode_bulk(d);
    if (sim_has(d, "mbarrier")) return sim_decode_copy_arrival(d);
    if (sim_has(d, "commit_group")) return sim_emit(d, SIM_OP_cp_async_commit, in);
    if (sim_has(d, "wait_all")) {
        in.aux = 1;
        return sim_emit(d, SIM_OP_cp_async_wait, in);
    }
    if (sim_has(d, "wait_group")) {
        MOE_TRY(sim_expect(d, 1));
        in.imm = d->statement->operand[0].value;
        return sim_emit(d, SIM_OP_cp_async_wait, in);
    }
    return decode_copy(d);
}

moe_status sim_decode_memory(sim_decoder *d, bool *known) {
    static const sim_mnemonic table[] = {
        {"ld", decode_ld},
        {"ldu", decode_ld},
        {"st", decode_st},
        {"prefetch", decode_hint},
        {"prefetchu", decode_hint},
        {"discard", decode_hint},
        {"applypriority", decode_hint},
        {"atom", decode_atomic},
        {"red", decode_atomic},
        {"membar", decode_fence},
        {"fence", decode_fence},
        {"cp", decode_cp},
        {NULL, NULL},
    };

    return sim_decode_by_name(d, table, known);
}
