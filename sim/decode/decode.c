/* decode.c - parsed PTX into instructions with resolved operands: a kernel with all that it calls,
 * statement by statement. decode_*.c know the opcodes, and decoder.c what those need. */
#include "decode/decode.h"

#include <stdlib.h>
#include <string.h>

enum { LINE = 64, WIDEST_SHIFT = 4 /* log2 of 16 bytes */ };

static void split_opcode(sim_decoder *d) {
    const char *at = d->statement->opcode;

    for (d->parts = 0; *at && d->parts < SIM_MAX_PARTS;) {
        size_t length = strcspn(at, ".");
        size_t kept = length < sizeof d->part[0] - 1 ? length : sizeof d->part[0] - 1;
        memcpy(d->part[d->parts], at, kept);
        d->part[d->parts++][kept] = 0;
        at += length;
        if (*at == '.') at++;
    }
}

static moe_status decode_statement(sim_decoder *d) {
    static moe_status (*const groups[])(sim_decoder *, bool *) = {
        sim_decode_alu,  sim_decode_data,   sim_decode_convert, sim_decode_memory,
        sim_decode_warp, sim_decode_matrix, sim_decode_flow,    sim_decode_async,
    };
    bool known = false;

    if (d->statement->operands == 0) d->current = (sim_schedule_op){0};
    split_opcode(d);
    for (unsigned i = 0; i < sizeof groups / sizeof *groups && !known; i++) {
        d->current.inputs = d->current.outputs = 0;
        MOE_TRY(groups[i](d, &known));
    }
    return known ? MOE_OK : sim_unknown(d);
}

/* --------------------------------------------------------------------------------- functions */

static uint64_t align_up(uint64_t value, uint64_t to) {
    return to ? (value + to - 1) / to * to : value;
}

/* Notes of the variables that an operand names that this kernel uses them. */
static void mark_used(const ptx_operand *operand, uint32_t user) {
    uint32_t count = operand->kind == PTX_LIST                      ? operand->index
                     : operand->kind == PTX_MEMORY && operand->list ? 1
                                                                    : 0;
    if (operand->variable) operand->variable->user = user;
    for (uint32_t i = 0; i < count; i++) mark_used(&operand->list[i], user);
}

static void mark_variables(const sim_decoder *d) {
    for (uint32_t f = 0; f < d->frame_count; f++) {
        const ptx_function *function = d->frames[f].function;
        for (uint32_t s = 0; s < function->statements; s++)
            for (uint32_t o = 0; o < function->statement[s].operands; o++)
                mark_used(&function->statement[s].operand[o], d->module->kernels);
    }
}

static void place_variable(ptx_variable *v, uint64_t *end) {
    *end = align_up(*end, v->align);
    v->address = *end;
    *end += v->size;
}

/* The largest that any chip has, and what the driver allows of the others. */
enum { MAX_SHARED = 1 << 18, MAX_LOCAL = 1 << 19, MAX_ARGUMENTS = 32764 };

static moe_status too_large(const sim_decoder *d, const char *what, uint64_t bytes) {
    return moe_fail(MOE_E_INVALID,
                    "kernel %s declares %llu bytes of %s memory, more than any chip has",
                    d->kernel->name, (unsigned long long)bytes, what);
}

/* Offsets of shared memory: what is static, then the dynamic part, which all names share. */
static moe_status place_shared(sim_decoder *d) {
    uint64_t end = 0, align = 16;

    mark_variables(d);
    for (uint32_t i = 0; i < d->module->variables; i++) {
        ptx_variable *v = d->module->variable[i];
        if (v->space != SIM_SHARED || v->user != d->module->kernels) continue;
        if (v->size) place_variable(v, &end);
        else if (v->align > align) align = v->align;
    }
    for (uint32_t f = 0; f < d->frame_count; f++) {
        const ptx_function *function = d->frames[f].function;
        for (uint32_t i = 0; i < function->variables; i++)
            if (function->variable[i]->space == SIM_SHARED)
                place_variable(function->variable[i], &end);
    }
    end = align_up(end, align);
    for (uint32_t i = 0; i < d->module->variables; i++)
        if (d->module->variable[i]->space == SIM_SHARED && !d->module->variable[i]->size)
            d->module->variable[i]->address = end;
    if (end > MAX_SHARED) return too_large(d, "shared", end);
    d->kernel->shared_bytes = (uint32_t)end;
    return MOE_OK;
}

/* Offsets of local memory: arrays and the parameters of calls. The entry's own parameters are
 * offsets in the argument buffer. */
static moe_status place_local(sim_decoder *d) {
    uint64_t local = 0, arguments = 0;

    for (uint32_t f = 0; f < d->frame_count; f++) {
        const ptx_function *function = d->frames[f].function;
        for (uint32_t i = 0; i < function->variables; i++) {
            ptx_variable *v = function->variable[i];
            if (v->space == SIM_PARAM && v->parameter && function == d->entry)
                place_variable(v, &arguments);
            else if (v->space == SIM_PARAM || v->space == SIM_LOCAL) {
                if (v->align < 16) v->align = 16; /* calls read parameters in wider pieces */
                place_variable(v, &local);
            }
        }
    }
    d->kernel->local_bytes = (uint32_t)align_up(local, 16);
    d->kernel->args_size = (uint32_t)arguments;
    if (local > MAX_LOCAL) return too_large(d, "local", local);
    if (arguments > MAX_ARGUMENTS) return too_large(d, "parameter", arguments);
    return MOE_OK;
}

static moe_status add_frame(sim_decoder *d, ptx_function *function) {
    d->frames = sim_arena_grow(d->arena, d->frames, d->frame_count, sizeof *d->frames);
    if (!d->frames) return sim_no_memory();
    function->user = d->module->kernels;
    function->frame = d->frame_count;
    sim_frame *frame = &d->frames[d->frame_count++];
    *frame = (sim_frame){.function = function, .first_register = d->registers};
    frame->offset = sim_arena_alloc(d->arena, (function->registers + 1) * sizeof *frame->offset);
    if (!frame->offset) return sim_no_memory();
    for (uint32_t i = 0; i < function->registers; i++)
        frame->offset[i] = sim_allocate(d, function->width[i]);
    d->registers += function->registers;
    return sim_temporary(d, 32, &frame->return_register);
}

static const char *called_name(const ptx_statement *s) {
    if (strncmp(s->opcode, "call", 4) != 0) return NULL;
    for (uint32_t i = 0; i < s->operands; i++)
        if (s->operand[i].kind == PTX_SYMBOL) return s->operand[i].name;
    return NULL;
}

/* Callees first, so that lanes that are in a call have lower addresses and catch up with the
 * rest. */
static moe_status collect(sim_decoder *d, ptx_function *function, unsigned depth) {
    if (function->user == d->module->kernels) return MOE_OK;
    if (depth > 32)
        return moe_fail(MOE_E_UNSUPPORTED,
                        "function %s of kernel %s is recursive, or calls are nested over 32 deep",
                        function->name, d->kernel->name);
    for (uint32_t i = 0; i < function->statements; i++) {
        const char *name = called_name(&function->statement[i]);
        if (!name) continue;
        if (sim_is_built_in(name)) continue;
        ptx_function *callee = ptx_find_function(d->module, name);
        if (!callee || !callee->body)
            return moe_fail(MOE_E_UNSUPPORTED, "PTX line %u: function '%s' has no body",
                            function->statement[i].line, name);
        MOE_TRY(collect(d, callee, depth + 1));
    }
    return add_frame(d, function);
}

/* Tells the schedule of a jump: where stretches begin, and where loops end. */
static void note_jump(sim_decoder *d, uint32_t from, uint32_t to) {
    sim_schedule_op *op = &d->schedule[to];

    op->leader = true;
    if (to <= from && op->loop <= from) op->loop = from + 1;
}

static moe_status resolve_jumps(sim_decoder *d) {
    const ptx_function *f = d->frame->function;

    for (uint32_t i = 0; i < d->fixups; i++) {
        const sim_fixup *fix = &d->fixup[i];
        uint32_t pc = d->statement_pc[f->label[fix->label]];
        if (fix->list) *fix->list = (int32_t)pc;
        else d->kernel->code[fix->instruction].imm = pc;
        note_jump(d, fix->instruction, pc);
    }
    d->fixups = 0;
    return MOE_OK;
}

static moe_status decode_function(sim_decoder *d, sim_frame *frame) {
    const ptx_function *f = frame->function;
    ptx_statement end = {.opcode = "ret", .guard = -1, .line = f->line};

    d->frame = frame;
    frame->start = d->kernel->count;
    d->statement_pc = sim_arena_alloc(d->arena, (f->statements + 1) * sizeof *d->statement_pc);
    if (!d->statement_pc) return sim_no_memory();
    for (uint32_t i = 0; i < f->statements; i++) {
        d->statement = &f->statement[i];
        d->statement_pc[i] = d->kernel->count;
        MOE_TRY(decode_statement(d));
    }
    d->statement_pc[f->statements] = d->kernel->count;
    if (f->statements) end.place = f->statement[f->statements - 1].place;
    d->statement = &end;
    MOE_TRY(decode_statement(d));
    return resolve_jumps(d);
}

/* What the instructions cost if loads of global memory take so long; NULL without memory. */
static uint16_t *stalls(sim_decoder *d, uint16_t load) {
    uint32_t count = d->kernel->count;
    uint16_t *stall = sim_arena_alloc(d->arena, (count + 1) * sizeof *stall);

    if (!stall || !sim_schedule(d->schedule, count, d->registers + 1, load, stall)) return NULL;
    return stall;
}

static moe_status set_stalls(sim_decoder *d) {
    sim_kernel *k = d->kernel;
    uint16_t *near = stalls(d, sim_class_latency[SIM_CLASS_load_global]);

    k->far = stalls(d, sim_dram_latency);
    if (!near || !k->far) return sim_no_memory();
    for (uint32_t i = 0; i < k->count; i++) {
        k->code[i].stall = near[i];
        k->far[i] = k->far[i] > near[i] ? (uint16_t)(k->far[i] - near[i]) : 0;
    }
    return MOE_OK;
}

/* Moves what was built on the heap into the arena. */
static moe_status settle(sim_decoder *d) {
    sim_kernel *k = d->kernel;
    struct {
        void **at;
        size_t bytes;
    } parts[] = {
        {(void **)&k->code, k->count * sizeof *k->code},
        {(void **)&k->line, k->count * sizeof *k->line},
        {(void **)&k->place, k->count * sizeof *k->place},
        {(void **)&k->text, k->count * sizeof *k->text},
        {(void **)&k->constants, d->pool_bytes},
    };

    k->constants = d->pool;
    d->pool = NULL;
    for (unsigned i = 0; i < sizeof parts / sizeof *parts; i++) {
        void *copy = sim_arena_alloc(d->arena, parts[i].bytes + LINE);
        if (copy) copy = (void *)(((uintptr_t)copy + LINE - 1) / LINE * LINE);
        if (copy) memcpy(copy, *parts[i].at, parts[i].bytes);
        free(*parts[i].at);
        *parts[i].at = copy;
        if (!copy) {
            for (unsigned j = i + 1; j < sizeof parts / sizeof *parts; j++) {
                free(*parts[j].at);
                *parts[j].at = NULL;
            }
            return sim_no_memory();
        }
    }
    return MOE_OK;
}

static moe_status decode_all(sim_decoder *d) {
    int32_t zero;
    sim_kernel *k = d->kernel;

    k->register_bytes = LINE; /* offset 0 means no register */
    /* The widest accesses; each narrower one that is decoded has shared memory marked more
     * finely. */
    k->shared_store_shift = k->shared_load_shift = WIDEST_SHIFT;
    MOE_TRY(sim_constant(d, 0, 64, &zero));
    d->module->kernels++;
    MOE_TRY(collect(d, d->entry, 0));
    d->carry_register = d->registers++;
    d->memory_register = d->registers++;
    MOE_TRY(place_shared(d));
    MOE_TRY(place_local(d));
    for (uint32_t f = 0; f < d->frame_count; f++) MOE_TRY(decode_function(d, &d->frames[f]));
    k->start = d->frames[d->frame_count - 1].start;
    if (k->count > 0xfffff)
        return moe_fail(MOE_E_UNSUPPORTED, "kernel %s has over a million instructions", k->name);
    MOE_TRY(sim_watch_lent(d));
    return set_stalls(d);
}

moe_status sim_decode(ptx_module *module, ptx_function *entry, const sim_isa *isa,
                      sim_kernel **out) {
    int32_t special[SIM_SPECIAL_COUNT] = {0};
    sim_decoder d = {.module = module, .arena = &module->arena, .entry = entry, .special = special};

    d.kernel = sim_arena_alloc(d.arena, sizeof *d.kernel);
    d.isa = isa;
    if (!d.kernel) return sim_no_memory();
    d.kernel->name = entry->name;
    d.kernel->module = module;
    d.kernel->demands = &entry->demands;
    moe_status status = decode_all(&d);
    if (status == MOE_OK) {
        status = settle(&d);
    } else {
        free(d.kernel->code);
        free(d.kernel->line);
        free(d.kernel->place);
        free(d.kernel->text);
        free(d.pool);
    }
    free(d.schedule);
    free(d.lent);
    if (status == MOE_OK) *out = d.kernel;
    return status;
}
