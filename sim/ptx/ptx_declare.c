/* ptx_declare.c - declarations of registers and variables, with their initialisers. */
#include "ptx/ptx_parser.h"

#include <string.h>

typedef struct type_info {
    const char *name;
    uint8_t bits;
} type_info;

static const type_info types[] = {
    {".pred", 1},   {".b8", 8},      {".u8", 8},    {".s8", 8},   {".b16", 16}, {".u16", 16},
    {".s16", 16},   {".f16", 16},    {".b32", 32},  {".u32", 32}, {".s32", 32}, {".f32", 32},
    {".f16x2", 32}, {".bf16x2", 32}, {".b64", 64},  {".u64", 64}, {".s64", 64}, {".f64", 64},
    {".bf16", 16},  {".b128", 128},  {".tf32", 32}, {NULL, 0},
};

static const type_info *find_type(const ptx_token *token) {
    for (const type_info *type = types; type->name; type++)
        if (ptx_is(token, type->name)) return type;
    return NULL;
}

/* Widths of so many registers more, in room that doubles. */
static moe_status add_widths(ptx_parser *p, uint32_t more, uint8_t bits) {
    ptx_function *f = p->function;

    if (f->registers + more > p->registers_room) {
        uint32_t room = 2 * (f->registers + more);
        uint8_t *width = sim_arena_alloc(&p->module->arena, room);
        if (!width) return ptx_no_memory();
        if (f->registers) memcpy(width, f->width, f->registers);
        f->width = width;
        p->registers_room = room;
    }
    memset(f->width + f->registers, bits, more);
    f->registers += more;
    return MOE_OK;
}

static moe_status add_registers(ptx_parser *p, const ptx_token *name, uint64_t count,
                                uint8_t bits) {
    uint32_t first = p->function->registers;

    if (count >= 1u << 20 || first + count >= 1u << 20)
        return moe_fail(MOE_E_UNSUPPORTED, "PTX line %u: over a million registers", name->line);
    MOE_TRY(add_widths(p, count ? (uint32_t)count : 1, bits));
    return ptx_declare(p, (ptx_name){.text = name->text,
                                     .length = name->length,
                                     .meaning = PTX_IS_REGISTER,
                                     .count = (uint32_t)count,
                                     .first = first});
}

/* .reg .b32 %r<5>, x; */
moe_status ptx_parse_registers(ptx_parser *p) {
    bool more = true;

    MOE_TRY(ptx_advance(p));
    const type_info *type = find_type(&p->token);
    if (!type) return ptx_unexpected(p, "a register type");
    MOE_TRY(ptx_advance(p));
    while (more) {
        ptx_token name = p->token;
        uint64_t count = 0;
        bool family;
        if (name.kind != PTX_WORD) return ptx_unexpected(p, "a register name");
        MOE_TRY(ptx_advance(p));
        MOE_TRY(ptx_take_sign(p, '<', &family));
        if (family) {
            MOE_TRY(ptx_expect_integer(p, &count));
            MOE_TRY(ptx_expect_sign(p, '>'));
        }
        /* a register of 8 bits has room for 16, as narrower types have it in wider registers */
        MOE_TRY(add_registers(p, &name, count, type->bits == 8 ? 16 : type->bits));
        MOE_TRY(ptx_take_sign(p, ',', &more));
    }
    return ptx_expect_sign(p, ';');
}

/* Puts one scalar of an initialiser at byte `at`. */
static moe_status parse_initial_scalar(ptx_parser *p, ptx_variable *v, uint8_t *bytes, uint64_t at,
                                       unsigned element) {
    if (at + element > v->size)
        return ptx_unexpected(p, "the end of an initialiser that is longer than its array");
    if (p->token.kind == PTX_WORD) {
        ptx_relocation *r = sim_arena_alloc(&p->module->arena, sizeof *r);
        bool wrapped = ptx_at_word(p, "generic"), plus;
        uint64_t addend = 0;
        if (!r) return ptx_no_memory();
        if (wrapped) {
            MOE_TRY(ptx_advance(p));
            MOE_TRY(ptx_expect_sign(p, '('));
        }
        MOE_TRY(ptx_expect_word(p, &r->symbol));
        if (wrapped) MOE_TRY(ptx_expect_sign(p, ')'));
        MOE_TRY(ptx_take_sign(p, '+', &plus));
        if (plus) MOE_TRY(ptx_expect_integer(p, &addend));
        if (element != 8) return ptx_unexpected(p, "an initialiser of 8 bytes around an address");
        r->at = (uint32_t)at;
        r->addend = (int64_t)addend;
        r->next = v->relocations;
        v->relocations = r;
        return MOE_OK;
    }
    bool negative;
    MOE_TRY(ptx_take_sign(p, '-', &negative));
    if (p->token.kind != PTX_NUMBER) return ptx_unexpected(p, "a number");
    uint64_t value = negative ? 0 - p->token.value : p->token.value;
    memcpy(bytes + at, &value, element);
    return ptx_advance(p);
}

/* = {1, 2, {3, 4}} or = 1; nested braces of regular arrays are read as one flat list. */
static moe_status parse_initialiser(ptx_parser *p, ptx_variable *v, unsigned element) {
    uint8_t *bytes = sim_arena_alloc(&p->module->arena, v->size);
    uint64_t at = 0;
    unsigned depth = 0;

    if (!bytes) return ptx_no_memory();
    v->init = bytes;
    do {
        if (ptx_at_sign(p, '{')) depth++;
        if (ptx_at_sign(p, '}')) depth--;
        if (ptx_at_sign(p, '{') || ptx_at_sign(p, '}') || ptx_at_sign(p, ',')) {
            MOE_TRY(ptx_advance(p));
            continue;
        }
        MOE_TRY(parse_initial_scalar(p, v, bytes, at, element));
        at += element;
    } while (depth);
    return MOE_OK;
}

/* The dimensions behind a name: [4][8], or [] for a size that is not known here. */
static moe_status parse_dimensions(ptx_parser *p, uint64_t *elements, bool *open) {
    bool more;

    *elements = 1;
    *open = false;
    MOE_TRY(ptx_take_sign(p, '[', &more));
    while (more) {
        uint64_t size = 0;
        if (ptx_at_sign(p, ']')) *open = true;
        else MOE_TRY(ptx_expect_integer(p, &size));
        *elements *= size;
        if (*elements > 1u << 30) return ptx_unexpected(p, "an array of less than 2^30 elements");
        MOE_TRY(ptx_expect_sign(p, ']'));
        MOE_TRY(ptx_take_sign(p, '[', &more));
    }
    return MOE_OK;
}

/* What stands between the state space and the name: .align 16 .ptr .global .align 4 .b8 ... */
typedef struct attributes {
    const type_info *type;
    uint32_t align;
    unsigned vector;
} attributes;

static moe_status parse_attributes(ptx_parser *p, attributes *out) {
    bool pointer = false; /* behind .ptr, .align is that of what it points to */

    *out = (attributes){.vector = 1};
    while (p->token.kind == PTX_WORD && p->token.text[0] == '.') {
        const type_info *type = find_type(&p->token);
        if (type) out->type = type;
        if (ptx_at_word(p, ".v2")) out->vector = 2;
        if (ptx_at_word(p, ".v4")) out->vector = 4;
        if (ptx_at_word(p, ".ptr")) pointer = true;
        bool aligned = ptx_at_word(p, ".align");
        MOE_TRY(ptx_advance(p));
        if (aligned) {
            uint64_t value;
            MOE_TRY(ptx_expect_integer(p, &value));
            if (!pointer) out->align = (uint32_t)value;
        }
    }
    if (!out->type || out->type->bits < 8) return ptx_unexpected(p, "a type");
    return MOE_OK;
}

moe_status ptx_parse_variable(ptx_parser *p, sim_space space, bool external, ptx_variable **out) {
    ptx_variable *v = sim_arena_alloc(&p->module->arena, sizeof *v);
    attributes a;
    uint64_t elements;
    bool open, initialised, array;

    if (!v) return ptx_no_memory();
    MOE_TRY(parse_attributes(p, &a));
    MOE_TRY(ptx_expect_word(p, &v->name));
    array = ptx_at_sign(p, '[');
    MOE_TRY(parse_dimensions(p, &elements, &open));
    v->type = a.type->name + 1;
    v->array = array || a.vector > 1;
    v->space = space;
    v->external = external;
    v->size = open ? 0 : elements * a.vector * a.type->bits / 8;
    v->align = a.align ? a.align : a.vector * a.type->bits / 8;
    if (v->align & (v->align - 1)) return ptx_unexpected(p, "an alignment that is a power of two");
    MOE_TRY(ptx_take_sign(p, '=', &initialised));
    if (initialised) MOE_TRY(parse_initialiser(p, v, a.type->bits / 8));
    *out = v;
    return ptx_declare_variable(p, v);
}

bool ptx_space_of(const ptx_token *token, sim_space *out) {
    static const struct {
        const char *name;
        sim_space space;
    } spaces[] = {
        {".global", SIM_GLOBAL}, {".shared", SIM_SHARED}, {".local", SIM_LOCAL},
        {".const", SIM_CONST},   {".param", SIM_PARAM},
    };

    for (unsigned i = 0; i < sizeof spaces / sizeof *spaces; i++) {
        if (!ptx_is(token, spaces[i].name)) continue;
        *out = spaces[i].space;
        return true;
    }
    return false;
}
