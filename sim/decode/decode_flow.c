/* decode_flow.c - branches, calls and the end of a kernel. */
#include "decode/decode.h"

#include <string.h>

static moe_status decode_bra(sim_decoder *d) {
    const ptx_operand *target = &d->statement->operand[0];
    sim_instruction in = {0};

    MOE_TRY(sim_expect(d, 1));
    if (target->kind != PTX_LABEL) return sim_bad(d, "a target that is no label");
    MOE_TRY(sim_fix(d, NULL, target->index));
    return sim_emit(d, SIM_OP_bra, in);
}

/* brx.idx index, table; */
static moe_status decode_brx(sim_decoder *d) {
    const ptx_operand *operand = d->statement->operand;
    const ptx_function *f = d->frame->function;
    const ptx_targets *table = NULL;
    sim_instruction in = {0};

    MOE_TRY(sim_expect(d, 2));
    for (uint32_t i = 0; i < f->tables && operand[1].name; i++)
        if (strcmp(f->table[i].name, operand[1].name) == 0) table = &f->table[i];
    if (!table) return sim_bad(d, "an unknown table of targets");
    int32_t *list = sim_arena_alloc(d->arena, (table->count + 1) * sizeof *list);
    if (!list) return sim_no_memory();
    for (uint32_t i = 0; i < table->count; i++) MOE_TRY(sim_fix(d, &list[i], table->label[i]));
    in.list = list;
    in.imm = table->count;
    MOE_TRY(sim_source(d, &operand[0], 32, &in.a));
    return sim_emit(d, SIM_OP_brx, in);
}

static moe_status end_function(sim_decoder *d) {
    sim_instruction in = {.a = d->frame->return_register};

    return sim_emit(d, d->frame->function == d->entry ? SIM_OP_exit : SIM_OP_ret, in);
}

static moe_status decode_exit(sim_decoder *d) {
    return sim_emit(d, SIM_OP_exit, (sim_instruction){0});
}

static moe_status decode_trap(sim_decoder *d) {
    return sim_emit(d, SIM_OP_trap, (sim_instruction){0});
}

/* ---- call (results), function, (arguments); any part but the function may be missing */

typedef struct call_parts {
    const ptx_operand *results, *arguments;
    const char *name;
} call_parts;

static call_parts split_call(const ptx_statement *s) {
    call_parts parts = {0};

    for (uint32_t i = 0; i < s->operands; i++) {
        const ptx_operand *operand = &s->operand[i];
        if (operand->kind == PTX_SYMBOL) parts.name = operand->name;
        else if (operand->kind == PTX_LIST && !parts.name) parts.results = operand;
        else if (operand->kind == PTX_LIST) parts.arguments = operand;
    }
    return parts;
}

/* Copies between the caller's variables and the callee's. */
static moe_status emit_copies(sim_decoder *d, const ptx_operand *list, ptx_variable **formal,
                              uint32_t count, bool into) {
    uint32_t given = list ? list->index : 0;

    if (given != count) return sim_bad(d, "a call with a wrong number of arguments");
    for (uint32_t i = 0; i < count; i++) {
        const ptx_variable *actual = list->list[i].variable;
        if (!actual || actual->space != SIM_PARAM)
            return sim_bad(d, "a call whose argument is no .param variable");
        const ptx_variable *from = into ? actual : formal[i], *to = into ? formal[i] : actual;
        uint64_t bytes = actual->size < formal[i]->size ? actual->size : formal[i]->size;
        sim_instruction in = {
            .imm = (int64_t)from->address, .e = (int32_t)to->address, .aux = (uint32_t)bytes};
        MOE_TRY(sim_emit(d, SIM_OP_copy_local, in));
    }
    return MOE_OK;
}

bool sim_is_built_in(const char *name) {
    return strcmp(name, "__assertfail") == 0;
}

/* __assertfail(message, file, line, function, bytes of a character): imm, e and d are where the
 * first three lie in local memory. */
static moe_status decode_assertion(sim_decoder *d, const ptx_operand *arguments) {
    uint64_t at[3];

    if (!arguments || arguments->index != 5) return sim_bad(d, "five arguments are needed");
    for (int i = 0; i < 3; i++) {
        const ptx_variable *v = arguments->list[i].variable;
        if (!v || v->space != SIM_PARAM || v->size != (i == 2 ? 4 : 8))
            return sim_bad(d, "an argument that is no .param variable of its size");
        at[i] = v->address;
    }
    return sim_emit(d, SIM_OP_assert_failed,
                    (sim_instruction){
                        .imm = (int64_t)at[0], .e = (int32_t)at[1], .d = (int32_t)at[2]});
}

static moe_status decode_call(sim_decoder *d) {
    call_parts parts = split_call(d->statement);
    if (parts.name && sim_is_built_in(parts.name)) return decode_assertion(d, parts.arguments);
    const ptx_function *f = parts.name ? ptx_find_function(d->module, parts.name) : NULL;

    if (!f || f->user != d->module->kernels)
        return moe_fail(MOE_E_UNSUPPORTED, "PTX line %u: calls through pointers are not supported",
                        d->statement->line);
    const sim_frame *callee = &d->frames[f->frame];
    MOE_TRY(emit_copies(d, parts.arguments, f->variable + f->results, f->parameters, true));
    MOE_TRY(sim_emit(d, SIM_OP_call,
                     (sim_instruction){.a = callee->return_register, .imm = callee->start}));
    return emit_copies(d, parts.results, f->variable, f->results, false);
}

moe_status sim_decode_flow(sim_decoder *d, bool *known) {
    static const sim_mnemonic table[] = {
        {"bra", decode_bra},   {"brx", decode_brx},    {"ret", end_function}, {"exit", decode_exit},
        {"trap", decode_trap}, {"brkpt", decode_trap}, {"call", decode_call}, {NULL, NULL},
    };

    return sim_decode_by_name(d, table, known);
}
