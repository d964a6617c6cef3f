/* ptx_operand.c - operands: registers, immediates, symbols, addresses and lists of them. */
#include "ptx/ptx_parser.h"

/* As deep as lists, addresses and pairs stand in one another: [a, {b, c}] are two. */
enum { MAX_NESTING = 8 };

static moe_status parse_list(ptx_parser *p, char close, bool label, ptx_operand *out) {
    bool more = !ptx_at_sign(p, close);

    out->kind = PTX_LIST;
    while (more) {
        out->list = sim_arena_grow(&p->module->arena, out->list, out->index, sizeof *out->list);
        if (!out->list) return ptx_no_memory();
        ptx_operand *element = &out->list[out->index++];
        *element = (ptx_operand){0};
        MOE_TRY(ptx_parse_operand(p, label, element));
        MOE_TRY(ptx_take_sign(p, ',', &more));
    }
    return ptx_expect_sign(p, close);
}

/* + 8, - 8, +-8 behind a symbol or an address. */
static moe_status parse_addend(ptx_parser *p, int64_t *out) {
    bool plus = ptx_at_sign(p, '+'), minus = ptx_at_sign(p, '-');
    uint64_t value;

    if (!plus && !minus) return MOE_OK;
    MOE_TRY(ptx_advance(p));
    MOE_TRY(ptx_expect_integer(p, &value));
    *out += minus ? (int64_t)(0 - value) : (int64_t)value;
    return MOE_OK;
}

/* The {%r1, %r2} of [%rd1, {%r1, %r2}] */
static moe_status parse_coordinates(ptx_parser *p, ptx_operand *out) {
    out->pair = sim_arena_alloc(&p->module->arena, sizeof *out->pair);
    if (!out->pair) return ptx_no_memory();
    *out->pair = (ptx_operand){0};
    return ptx_parse_operand(p, false, out->pair);
}

/* [%rd1+8], [symbol+4], [64], and tensors: [%rd1, {%r1, %r2}] */
static moe_status parse_memory(ptx_parser *p, ptx_operand *out) {
    ptx_operand *base = sim_arena_alloc(&p->module->arena, sizeof *base);
    bool tensor;

    if (!base) return ptx_no_memory();
    out->kind = PTX_MEMORY;
    MOE_TRY(ptx_parse_operand(p, false, base));
    if (base->kind == PTX_IMMEDIATE) {
        out->value = base->value;
    } else if (base->kind == PTX_SYMBOL) {
        out->variable = base->variable;
        out->name = base->name;
        out->value = base->value;
    } else {
        out->list = base;
    }
    MOE_TRY(parse_addend(p, &out->value));
    MOE_TRY(ptx_take_sign(p, ',', &tensor));
    if (tensor) MOE_TRY(parse_coordinates(p, out));
    return ptx_expect_sign(p, ']');
}

static moe_status parse_name(ptx_parser *p, bool label, ptx_operand *out) {
    ptx_token name = p->token;

    MOE_TRY(ptx_advance(p));
    if (ptx_is(&name, "_")) {
        out->kind = PTX_SINK;
        return MOE_OK;
    }
    if ((out->index = ptx_find_register(p, &name)) != UINT32_MAX) {
        out->kind = PTX_REGISTER;
        return MOE_OK;
    }
    out->name = sim_arena_text(&p->module->arena, name.text, name.length);
    if (!out->name) return ptx_no_memory();
    if (name.text[0] == '%' || ptx_is(&name, "WARP_SZ")) {
        out->kind = PTX_SPECIAL;
        return MOE_OK;
    }
    if (label) {
        out->kind = PTX_LABEL;
        return ptx_use_label(p, &name, &out->index);
    }
    out->kind = PTX_SYMBOL;
    out->variable = ptx_find_variable(p, &name);
    return parse_addend(p, &out->value);
}

static moe_status parse_number(ptx_parser *p, bool negative, ptx_operand *out) {
    uint64_t value = p->token.value;

    if (p->token.kind != PTX_NUMBER) return ptx_unexpected(p, "an operand");
    out->kind = PTX_IMMEDIATE;
    out->floated = p->token.floated;
    if (negative)
        value = out->floated == 64 ? value ^ 1ull << 63
                : out->floated     ? value ^ 1u << 31
                                   : 0 - value;
    out->value = (int64_t)value;
    return ptx_advance(p);
}

static moe_status parse_pair(ptx_parser *p, ptx_operand *out) {
    out->pair = sim_arena_alloc(&p->module->arena, sizeof *out->pair);
    if (!out->pair) return ptx_no_memory();
    return ptx_parse_operand(p, false, out->pair);
}

static moe_status parse_any(ptx_parser *p, bool label, ptx_operand *out) {
    bool list, round, memory, negative, paired;

    MOE_TRY(ptx_take_sign(p, '{', &list));
    if (list) return parse_list(p, '}', label, out);
    MOE_TRY(ptx_take_sign(p, '(', &round));
    if (round) return parse_list(p, ')', label, out);
    MOE_TRY(ptx_take_sign(p, '[', &memory));
    if (memory) return parse_memory(p, out);
    MOE_TRY(ptx_take_sign(p, '!', &out->negated));
    MOE_TRY(ptx_take_sign(p, '-', &negative));
    if (p->token.kind != PTX_WORD) return parse_number(p, negative, out);
    MOE_TRY(parse_name(p, label, out));
    MOE_TRY(ptx_take_sign(p, '|', &paired));
    return paired ? parse_pair(p, out) : MOE_OK;
}

moe_status ptx_parse_operand(ptx_parser *p, bool label, ptx_operand *out) {
    if (p->nesting == MAX_NESTING)
        return ptx_unexpected(p, "an operand that is nested less deeply");
    p->nesting++;
    moe_status status = parse_any(p, label, out);
    p->nesting--;
    return status;
}
