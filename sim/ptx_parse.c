/* ptx_parse.c - tokens into modules, functions, variables and statements.
 *
 * Scopes: `{ ... }` inside a function opens one. Registers and variables are declared before use and
 * vanish with their scope; labels may be used before, so their uses wait until the scope ends. */
#include "ptx.h"

#include <stdlib.h>
#include <string.h>

/* %r<12>: a family of registers; or one name. */
typedef struct register_range {
    const char *name;
    uint32_t length, count, first; /* count 0: exactly this name */
} register_range;


typedef struct scoped_label {
    const char *name;
    uint32_t length, index, depth;
} scoped_label;

/* A label's use, before it is known what it means. */
typedef struct label_use {
    uint32_t *target;
    const char *name;
    uint32_t length, depth, line;
} label_use;

typedef struct parser {
    ptx_lexer lexer;
    ptx_token token; /* the next one */
    ptx_module *module;
    ptx_function *function; /* being parsed */
    ptx_place place;
    uint32_t depth; /* of nested scopes */
    register_range *range;
    uint32_t ranges;
    ptx_variable **visible; /* variables that names may mean: module's, then the scopes' */
    uint32_t visibles;
    scoped_label *label;
    uint32_t labels;
    label_use *use;
    uint32_t uses;
} parser;

static moe_status fail_memory(void)
{
    return moe_fail(MOE_E_MEMORY, "out of memory while parsing PTX");
}

static moe_status fail_token(const parser *p, const char *wanted)
{
    int length = p->token.length > 60 ? 60 : (int)p->token.length;

    if (p->token.kind == PTX_END)
        return moe_fail(MOE_E_PARSE, "PTX line %u: the text ends where %s should be; is it truncated?",
                        p->token.line, wanted);
    return moe_fail(MOE_E_PARSE, "PTX line %u: '%.*s' where %s should be", p->token.line, length,
                    p->token.text, wanted);
}

static moe_status advance(parser *p)
{
    if (!ptx_next(&p->lexer, &p->token))
        return moe_fail(MOE_E_PARSE, "PTX line %u: a character that no PTX token starts with", p->lexer.line);
    return MOE_OK;
}

static bool is_text(const ptx_token *token, const char *text)
{
    return strlen(text) == token->length && memcmp(token->text, text, token->length) == 0;
}

static bool at_sign(const parser *p, char sign)
{
    return p->token.kind == PTX_SIGN && p->token.text[0] == sign;
}

static bool at_word(const parser *p, const char *word)
{
    return p->token.kind == PTX_WORD && is_text(&p->token, word);
}

/* Takes the sign if it is next. */
static moe_status take_sign(parser *p, char sign, bool *taken)
{
    *taken = at_sign(p, sign);
    return *taken ? advance(p) : MOE_OK;
}

static moe_status expect_sign(parser *p, char sign)
{
    char wanted[] = {'\'', sign, '\'', 0};

    if (!at_sign(p, sign)) return fail_token(p, wanted);
    return advance(p);
}

static moe_status expect_word(parser *p, const char **out)
{
    if (p->token.kind != PTX_WORD) return fail_token(p, "a name");
    *out = sim_arena_text(&p->module->arena, p->token.text, p->token.length);
    if (!*out) return fail_memory();
    return advance(p);
}

static moe_status expect_integer(parser *p, uint64_t *out)
{
    bool negative;

    MOE_TRY(take_sign(p, '-', &negative));
    if (p->token.kind != PTX_NUMBER || p->token.floated) return fail_token(p, "an integer");
    *out = negative ? 0 - p->token.value : p->token.value;
    return advance(p);
}

/* Skips the tokens that are left on a line. */
static moe_status skip_line(parser *p, uint32_t line)
{
    while (p->token.kind != PTX_END && p->token.line == line) MOE_TRY(advance(p));
    return MOE_OK;
}

/* ------------------------------------------------------------------------------ scoped names */

static uint32_t find_register(const parser *p, const ptx_token *name)
{
    for (uint32_t i = p->ranges; i-- > 0;) {
        const register_range *r = &p->range[i];
        if (name->length < r->length || memcmp(name->text, r->name, r->length) != 0) continue;
        if (!r->count) {
            if (name->length == r->length) return r->first;
            continue;
        }
        uint32_t number = 0, at = r->length;
        for (; at < name->length && name->text[at] >= '0' && name->text[at] <= '9'; at++)
            number = number * 10 + (uint32_t)(name->text[at] - '0');
        if (at == name->length && at > r->length && number < r->count) return r->first + number;
    }
    return UINT32_MAX;
}

static ptx_variable *find_variable(const parser *p, const ptx_token *name)
{
    for (uint32_t i = p->visibles; i-- > 0;)
        if (is_text(name, p->visible[i]->name)) return p->visible[i];
    return NULL;
}

static moe_status declare_variable(parser *p, ptx_variable *variable)
{
    sim_arena *arena = &p->module->arena;

    p->visible = sim_arena_grow(arena, p->visible, p->visibles, sizeof *p->visible);
    if (!p->visible) return fail_memory();
    p->visible[p->visibles++] = variable;
    uint32_t *count = p->function ? &p->function->variables : &p->module->variables;
    ptx_variable ***list = p->function ? &p->function->variable : &p->module->variable;
    *list = sim_arena_grow(arena, *list, *count, sizeof **list);
    if (!*list) return fail_memory();
    (*list)[(*count)++] = variable;
    return MOE_OK;
}

static moe_status declare_label(parser *p, const ptx_token *name)
{
    ptx_function *f = p->function;
    sim_arena *arena = &p->module->arena;

    p->label = sim_arena_grow(arena, p->label, p->labels, sizeof *p->label);
    f->label = sim_arena_grow(arena, f->label, f->labels, sizeof *f->label);
    if (!p->label || !f->label) return fail_memory();
    p->label[p->labels++] =
        (scoped_label){.name = name->text, .length = name->length, .index = f->labels, .depth = p->depth};
    f->label[f->labels++] = f->statements;
    return MOE_OK;
}

static moe_status use_label(parser *p, const ptx_token *name, uint32_t *target)
{
    p->use = sim_arena_grow(&p->module->arena, p->use, p->uses, sizeof *p->use);
    if (!p->use) return fail_memory();
    p->use[p->uses++] = (label_use){
        .target = target, .name = name->text, .length = name->length, .depth = p->depth, .line = name->line};
    return MOE_OK;
}

/* Gives the uses of this scope their labels; what is left belongs to the scope around it. */
static void close_labels(parser *p)
{
    uint32_t kept = 0;

    for (uint32_t i = 0; i < p->uses; i++) {
        label_use use = p->use[i];
        bool found = false;
        for (uint32_t k = p->labels; use.depth == p->depth && k-- > 0 && !found;) {
            const scoped_label *label = &p->label[k];
            if (label->depth < p->depth) break;
            if (label->length != use.length || memcmp(label->name, use.name, use.length) != 0) continue;
            *use.target = label->index;
            found = true;
        }
        if (found) continue;
        if (use.depth == p->depth) use.depth--;
        p->use[kept++] = use;
    }
    p->uses = kept;
    while (p->labels && p->label[p->labels - 1].depth >= p->depth) p->labels--;
}

/* ------------------------------------------------------------------------------ declarations */

typedef struct type_info {
    const char *name;
    uint8_t bits;
} type_info;

static const type_info types[] = {
    {".pred", 1}, {".b8", 8},   {".u8", 8},   {".s8", 8},     {".b16", 16},    {".u16", 16},  {".s16", 16},
    {".f16", 16}, {".b32", 32}, {".u32", 32}, {".s32", 32},   {".f32", 32},    {".f16x2", 32}, {".bf16x2", 32},
    {".b64", 64}, {".u64", 64}, {".s64", 64}, {".f64", 64},   {".bf16", 16},   {".b128", 128}, {".tf32", 32},
    {NULL, 0},
};

static uint8_t type_bits(const ptx_token *token)
{
    for (const type_info *type = types; type->name; type++)
        if (is_text(token, type->name)) return type->bits;
    return 0;
}

static moe_status add_registers(parser *p, const ptx_token *name, uint32_t count, uint8_t bits)
{
    ptx_function *f = p->function;
    sim_arena *arena = &p->module->arena;
    uint32_t more = count ? count : 1;
    uint8_t *width;

    if (f->registers + more > 1u << 20)
        return moe_fail(MOE_E_UNSUPPORTED, "PTX line %u: over a million registers", name->line);
    p->range = sim_arena_grow(arena, p->range, p->ranges, sizeof *p->range);
    width = sim_arena_alloc(arena, f->registers + more);
    if (!p->range || !width) return fail_memory();
    if (f->registers) memcpy(width, f->width, f->registers);
    memset(width + f->registers, bits, more);
    p->range[p->ranges++] = (register_range){
        .name = name->text, .length = name->length, .count = count, .first = f->registers};
    f->width = width;
    f->registers += more;
    return MOE_OK;
}

/* .reg .b32 %r<5>, x; */
static moe_status parse_registers(parser *p)
{
    bool more = true;

    MOE_TRY(advance(p));
    uint8_t bits = type_bits(&p->token);
    if (!bits) return fail_token(p, "a register type");
    MOE_TRY(advance(p));
    while (more) {
        ptx_token name = p->token;
        uint64_t count = 0;
        bool family;
        if (name.kind != PTX_WORD) return fail_token(p, "a register name");
        MOE_TRY(advance(p));
        MOE_TRY(take_sign(p, '<', &family));
        if (family) {
            MOE_TRY(expect_integer(p, &count));
            MOE_TRY(expect_sign(p, '>'));
        }
        MOE_TRY(add_registers(p, &name, (uint32_t)count, bits));
        MOE_TRY(take_sign(p, ',', &more));
    }
    return expect_sign(p, ';');
}

/* Puts one scalar of an initialiser at byte `at`. */
static moe_status parse_initial_scalar(parser *p, ptx_variable *v, uint8_t *bytes, uint64_t at,
                                       unsigned element)
{
    if (at + element > v->size) return fail_token(p, "the end of an initialiser that is longer than its array");
    if (p->token.kind == PTX_WORD) {
        ptx_relocation *r = sim_arena_alloc(&p->module->arena, sizeof *r);
        bool wrapped = at_word(p, "generic"), plus;
        uint64_t addend = 0;
        if (!r) return fail_memory();
        if (wrapped) {
            MOE_TRY(advance(p));
            MOE_TRY(expect_sign(p, '('));
        }
        MOE_TRY(expect_word(p, &r->symbol));
        if (wrapped) MOE_TRY(expect_sign(p, ')'));
        MOE_TRY(take_sign(p, '+', &plus));
        if (plus) MOE_TRY(expect_integer(p, &addend));
        if (element != 8) return fail_token(p, "an initialiser of 8 bytes around an address");
        r->at = (uint32_t)at;
        r->addend = (int64_t)addend;
        r->next = v->relocations;
        v->relocations = r;
        return MOE_OK;
    }
    bool negative;
    MOE_TRY(take_sign(p, '-', &negative));
    if (p->token.kind != PTX_NUMBER) return fail_token(p, "a number");
    uint64_t value = negative ? 0 - p->token.value : p->token.value;
    memcpy(bytes + at, &value, element);
    return advance(p);
}

/* = {1, 2, {3, 4}} or = 1; nested braces of regular arrays are read as one flat list. */
static moe_status parse_initialiser(parser *p, ptx_variable *v, unsigned element)
{
    uint8_t *bytes = sim_arena_alloc(&p->module->arena, v->size);
    uint64_t at = 0;
    unsigned depth = 0;

    if (!bytes) return fail_memory();
    v->init = bytes;
    do {
        if (at_sign(p, '{')) depth++;
        if (at_sign(p, '}')) depth--;
        if (at_sign(p, '{') || at_sign(p, '}') || at_sign(p, ',')) {
            MOE_TRY(advance(p));
            continue;
        }
        MOE_TRY(parse_initial_scalar(p, v, bytes, at, element));
        at += element;
    } while (depth);
    return MOE_OK;
}

/* The dimensions behind a name: [4][8], or [] for a size that is not known here. */
static moe_status parse_dimensions(parser *p, uint64_t *elements, bool *open)
{
    bool more;

    *elements = 1;
    *open = false;
    MOE_TRY(take_sign(p, '[', &more));
    while (more) {
        uint64_t size = 0;
        if (at_sign(p, ']')) *open = true;
        else MOE_TRY(expect_integer(p, &size));
        *elements *= size;
        if (*elements > 1u << 30) return fail_token(p, "an array of less than 2^30 elements");
        MOE_TRY(expect_sign(p, ']'));
        MOE_TRY(take_sign(p, '[', &more));
    }
    return MOE_OK;
}

/* What stands between the state space and the name: .align 16 .ptr .global .align 4 .b8 ... */
static moe_status parse_attributes(parser *p, uint32_t *align, unsigned *bits, unsigned *vector)
{
    bool pointer = false; /* behind .ptr, .align is that of what it points to */

    *align = 0;
    *bits = 0;
    *vector = 1;
    while (p->token.kind == PTX_WORD && p->token.text[0] == '.') {
        uint8_t type = type_bits(&p->token);
        if (type) *bits = type;
        if (at_word(p, ".v2")) *vector = 2;
        if (at_word(p, ".v4")) *vector = 4;
        if (at_word(p, ".ptr")) pointer = true;
        bool aligned = at_word(p, ".align");
        MOE_TRY(advance(p));
        if (aligned) {
            uint64_t value;
            MOE_TRY(expect_integer(p, &value));
            if (!pointer) *align = (uint32_t)value;
        }
    }
    if (*bits < 8) return fail_token(p, "a type");
    return MOE_OK;
}

static moe_status parse_variable(parser *p, sim_space space, bool external, ptx_variable **out)
{
    ptx_variable *v = sim_arena_alloc(&p->module->arena, sizeof *v);
    unsigned bits, vector;
    uint64_t elements;
    bool open, initialised;

    if (!v) return fail_memory();
    MOE_TRY(parse_attributes(p, &v->align, &bits, &vector));
    MOE_TRY(expect_word(p, &v->name));
    MOE_TRY(parse_dimensions(p, &elements, &open));
    v->space = space;
    v->external = external;
    v->size = open ? 0 : elements * vector * bits / 8;
    if (!v->align) v->align = vector * bits / 8;
    if (v->align & (v->align - 1)) return fail_token(p, "an alignment that is a power of two");
    MOE_TRY(take_sign(p, '=', &initialised));
    if (initialised) MOE_TRY(parse_initialiser(p, v, bits / 8));
    *out = v;
    return declare_variable(p, v);
}

/* .shared .align 4 .b8 a[4], b[8]; */
static moe_status parse_variables(parser *p, sim_space space, bool external)
{
    ptx_variable *v;

    MOE_TRY(advance(p));
    MOE_TRY(parse_variable(p, space, external, &v));
    return expect_sign(p, ';');
}

static bool space_of(const ptx_token *token, sim_space *out)
{
    static const struct { const char *name; sim_space space; } spaces[] = {
        {".global", SIM_GLOBAL}, {".shared", SIM_SHARED}, {".local", SIM_LOCAL},
        {".const", SIM_CONST},   {".param", SIM_PARAM},
    };

    for (unsigned i = 0; i < sizeof spaces / sizeof *spaces; i++) {
        if (!is_text(token, spaces[i].name)) continue;
        *out = spaces[i].space;
        return true;
    }
    return false;
}

/* -------------------------------------------------------------------------------- operands */

static moe_status parse_operand(parser *p, bool label, ptx_operand *out);

static moe_status parse_list(parser *p, char close, bool label, ptx_operand *out)
{
    bool more = !at_sign(p, close);

    out->kind = PTX_LIST;
    while (more) {
        out->list = sim_arena_grow(&p->module->arena, out->list, out->index, sizeof *out->list);
        if (!out->list) return fail_memory();
        ptx_operand *element = &out->list[out->index++];
        *element = (ptx_operand){0};
        MOE_TRY(parse_operand(p, label, element));
        MOE_TRY(take_sign(p, ',', &more));
    }
    return expect_sign(p, close);
}

/* + 8, - 8, +-8 behind a symbol or an address. */
static moe_status parse_addend(parser *p, int64_t *out)
{
    bool plus = at_sign(p, '+'), minus = at_sign(p, '-');
    uint64_t value;

    if (!plus && !minus) return MOE_OK;
    MOE_TRY(advance(p));
    MOE_TRY(expect_integer(p, &value));
    *out += minus ? (int64_t)(0 - value) : (int64_t)value;
    return MOE_OK;
}

/* [%rd1+8], [symbol+4], [64]; a tensor address such as [%rd1, {%r1, %r2}] keeps its parts as a list */
static moe_status parse_memory(parser *p, ptx_operand *out)
{
    ptx_operand *base = sim_arena_alloc(&p->module->arena, sizeof *base);

    if (!base) return fail_memory();
    out->kind = PTX_MEMORY;
    MOE_TRY(parse_operand(p, false, base));
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
    return expect_sign(p, ']');
}

static moe_status parse_name(parser *p, bool label, ptx_operand *out)
{
    ptx_token name = p->token;

    MOE_TRY(advance(p));
    if (is_text(&name, "_")) {
        out->kind = PTX_SINK;
        return MOE_OK;
    }
    if ((out->index = find_register(p, &name)) != UINT32_MAX) {
        out->kind = PTX_REGISTER;
        return MOE_OK;
    }
    out->name = sim_arena_text(&p->module->arena, name.text, name.length);
    if (!out->name) return fail_memory();
    if (name.text[0] == '%' || is_text(&name, "WARP_SZ")) {
        out->kind = PTX_SPECIAL;
        return MOE_OK;
    }
    if (label) {
        out->kind = PTX_LABEL;
        return use_label(p, &name, &out->index);
    }
    out->kind = PTX_SYMBOL;
    out->variable = find_variable(p, &name);
    return parse_addend(p, &out->value);
}

static moe_status parse_number(parser *p, bool negative, ptx_operand *out)
{
    uint64_t value = p->token.value;

    if (p->token.kind != PTX_NUMBER) return fail_token(p, "an operand");
    out->kind = PTX_IMMEDIATE;
    out->floated = p->token.floated;
    if (negative) value = out->floated == 64 ? value ^ 1ull << 63 : out->floated ? value ^ 1u << 31 : 0 - value;
    out->value = (int64_t)value;
    return advance(p);
}

static moe_status parse_operand(parser *p, bool label, ptx_operand *out)
{
    bool list, round, memory, negative, paired;

    MOE_TRY(take_sign(p, '{', &list));
    if (list) return parse_list(p, '}', label, out);
    MOE_TRY(take_sign(p, '(', &round));
    if (round) return parse_list(p, ')', label, out);
    MOE_TRY(take_sign(p, '[', &memory));
    if (memory) return parse_memory(p, out);
    MOE_TRY(take_sign(p, '!', &out->negated));
    MOE_TRY(take_sign(p, '-', &negative));
    if (p->token.kind != PTX_WORD) return parse_number(p, negative, out);
    MOE_TRY(parse_name(p, label, out));
    MOE_TRY(take_sign(p, '|', &paired));
    if (!paired) return MOE_OK;
    out->pair = sim_arena_alloc(&p->module->arena, sizeof *out->pair);
    if (!out->pair) return fail_memory();
    return parse_operand(p, false, out->pair);
}

/* ------------------------------------------------------------------------------- statements */

/* Names of functions and of target tables are no labels; they become symbols. */
static bool operands_are_labels(const char *opcode)
{
    return strncmp(opcode, "bra", 3) == 0;
}

static moe_status parse_guard(parser *p, ptx_statement *s)
{
    bool guarded;

    s->guard = -1;
    MOE_TRY(take_sign(p, '@', &guarded));
    if (!guarded) return MOE_OK;
    MOE_TRY(take_sign(p, '!', &s->guard_negated));
    uint32_t index = p->token.kind == PTX_WORD ? find_register(p, &p->token) : UINT32_MAX;
    if (index == UINT32_MAX) return fail_token(p, "a predicate");
    s->guard = (int32_t)index;
    return advance(p);
}

static moe_status parse_statement(parser *p)
{
    ptx_function *f = p->function;
    ptx_statement s = {.place = p->place};

    MOE_TRY(parse_guard(p, &s));
    s.line = p->token.line;
    MOE_TRY(expect_word(p, &s.opcode));
    ptx_operand *kept = sim_arena_alloc(&p->module->arena, PTX_MAX_OPERANDS * sizeof *kept);
    if (!kept) return fail_memory();
    for (bool more = !at_sign(p, ';'); more;) {
        if (s.operands == PTX_MAX_OPERANDS) return fail_token(p, "';' (too many operands)");
        MOE_TRY(parse_operand(p, operands_are_labels(s.opcode), &kept[s.operands++]));
        MOE_TRY(take_sign(p, ',', &more));
    }
    s.operand = kept;
    MOE_TRY(expect_sign(p, ';'));
    f->statement = sim_arena_grow(&p->module->arena, f->statement, f->statements, sizeof s);
    if (!f->statement) return fail_memory();
    f->statement[f->statements++] = s;
    return MOE_OK;
}

/* .loc 1 18 2 [, function_name NAME[+N], inlined_at 1 20 2] */
static moe_status parse_place(parser *p)
{
    uint32_t line = p->token.line;
    uint64_t file, at;

    MOE_TRY(advance(p));
    MOE_TRY(expect_integer(p, &file));
    MOE_TRY(expect_integer(p, &at));
    p->place = (ptx_place){.file = (uint32_t)file, .line = (uint32_t)at};
    while (p->token.line == line && p->token.kind != PTX_END) {
        bool inlined = at_word(p, "inlined_at");
        MOE_TRY(advance(p));
        if (!inlined) continue;
        MOE_TRY(expect_integer(p, &file));
        MOE_TRY(expect_integer(p, &at));
        p->place.caller_file = (uint32_t)file;
        p->place.caller_line = (uint32_t)at;
    }
    return MOE_OK;
}

/* name: .branchtargets A, B; */
static moe_status parse_targets(parser *p)
{
    ptx_function *f = p->function;
    bool more = true;

    if (!p->labels) return fail_token(p, "a name in front of .branchtargets");
    f->table = sim_arena_grow(&p->module->arena, f->table, f->tables, sizeof *f->table);
    if (!f->table) return fail_memory();
    ptx_targets *table = &f->table[f->tables++];
    const scoped_label *name = &p->label[p->labels - 1];
    *table = (ptx_targets){.name = sim_arena_text(&p->module->arena, name->name, name->length)};
    table->label = sim_arena_alloc(&p->module->arena, 4096 * sizeof *table->label);
    if (!table->name || !table->label) return fail_memory();
    MOE_TRY(advance(p));
    while (more) {
        if (table->count == 4096 || p->token.kind != PTX_WORD) return fail_token(p, "one of at most 4096 labels");
        MOE_TRY(use_label(p, &p->token, &table->label[table->count++]));
        MOE_TRY(advance(p));
        MOE_TRY(take_sign(p, ',', &more));
    }
    return expect_sign(p, ';');
}

/* .file 1 "name" */
static moe_status parse_file(parser *p)
{
    uint32_t line = p->token.line;
    ptx_module *m = p->module;
    uint64_t number;

    MOE_TRY(advance(p));
    MOE_TRY(expect_integer(p, &number));
    if (p->token.kind != PTX_STRING || number > 65535) return fail_token(p, "a file name");
    if (number >= m->files) {
        const char **file = sim_arena_alloc(&m->arena, (number + 16) * sizeof *file);
        if (!file) return fail_memory();
        if (m->files) memcpy(file, m->file, m->files * sizeof *file);
        m->file = file;
        m->files = (uint32_t)number + 16;
    }
    m->file[number] = sim_arena_text(&m->arena, p->token.text, p->token.length);
    if (!m->file[number]) return fail_memory();
    MOE_TRY(advance(p));
    return skip_line(p, line);
}

/* .section NAME { ... } holds debugging data. */
static moe_status skip_section(parser *p)
{
    while (!at_sign(p, '{') && p->token.kind != PTX_END) MOE_TRY(advance(p));
    while (!at_sign(p, '}') && p->token.kind != PTX_END) MOE_TRY(advance(p));
    return expect_sign(p, '}');
}

static moe_status skip_to_semicolon(parser *p)
{
    while (!at_sign(p, ';') && p->token.kind != PTX_END) MOE_TRY(advance(p));
    return expect_sign(p, ';');
}

/* One directive, label or statement of a body. */
static moe_status parse_item(parser *p)
{
    sim_space space;

    if (at_word(p, ".reg")) return parse_registers(p);
    if (at_word(p, ".loc")) return parse_place(p);
    if (at_word(p, ".file")) return parse_file(p);
    if (at_word(p, ".pragma")) return skip_to_semicolon(p);
    if (at_word(p, ".branchtargets")) return parse_targets(p);
    if (p->token.kind == PTX_WORD && space_of(&p->token, &space)) return parse_variables(p, space, false);
    if (p->token.kind == PTX_WORD && p->token.text[0] == '.') return fail_token(p, "a statement");
    if (p->token.kind == PTX_WORD && *p->lexer.at == ':') {
        MOE_TRY(declare_label(p, &p->token));
        MOE_TRY(advance(p));
        return advance(p);
    }
    return parse_statement(p);
}

/* { ... } with what is declared inside. The brace is taken already. */
static moe_status parse_scope(parser *p)
{
    uint32_t ranges = p->ranges, visibles = p->visibles;
    bool open;

    if (++p->depth > 64) return fail_token(p, "at most 64 nested scopes");
    while (!at_sign(p, '}')) {
        if (p->token.kind == PTX_END) return fail_token(p, "'}'");
        MOE_TRY(take_sign(p, '{', &open));
        MOE_TRY(open ? parse_scope(p) : parse_item(p));
    }
    close_labels(p);
    p->depth--;
    p->ranges = ranges;
    p->visibles = visibles;
    return advance(p);
}

/* -------------------------------------------------------------------------------- functions */

static moe_status parse_formals(parser *p, uint32_t *count)
{
    bool more = !at_sign(p, ')');

    while (more) {
        ptx_variable *v;
        if (!at_word(p, ".param") && !at_word(p, ".reg")) return fail_token(p, ".param");
        if (at_word(p, ".reg")) return moe_fail(MOE_E_UNSUPPORTED, "PTX line %u: parameters in registers", p->token.line);
        MOE_TRY(advance(p));
        MOE_TRY(parse_variable(p, SIM_PARAM, false, &v));
        v->parameter = true;
        ++*count;
        MOE_TRY(take_sign(p, ',', &more));
    }
    return expect_sign(p, ')');
}

/* .maxntid 128, 1, 1 and the like, up to the body or the end of a prototype */
static moe_status skip_performance(parser *p)
{
    while (!at_sign(p, '{') && !at_sign(p, ';')) {
        if (p->token.kind == PTX_END) return fail_token(p, "'{'");
        MOE_TRY(advance(p));
    }
    return MOE_OK;
}

static moe_status check_labels(const parser *p)
{
    if (!p->uses) return MOE_OK;
    const label_use *use = &p->use[0];
    return moe_fail(MOE_E_PARSE, "PTX line %u: no label '%.*s'", use->line, (int)use->length, use->name);
}

static moe_status parse_function(parser *p, bool entry)
{
    ptx_module *m = p->module;
    bool list, prototype;

    m->function = sim_arena_grow(&m->arena, m->function, m->functions, sizeof *m->function);
    if (!m->function) return fail_memory();
    ptx_function *f = &m->function[m->functions++];
    *f = (ptx_function){.entry = entry, .line = p->token.line};
    uint32_t visibles = p->visibles;
    p->function = f;
    p->place = (ptx_place){0};
    p->ranges = p->labels = p->uses = 0;
    MOE_TRY(advance(p));
    MOE_TRY(take_sign(p, '(', &list));
    if (list) MOE_TRY(parse_formals(p, &f->results));
    MOE_TRY(expect_word(p, &f->name));
    MOE_TRY(take_sign(p, '(', &list));
    if (list) MOE_TRY(parse_formals(p, &f->parameters));
    MOE_TRY(skip_performance(p));
    MOE_TRY(take_sign(p, ';', &prototype));
    if (!prototype) {
        f->body = true;
        MOE_TRY(expect_sign(p, '{'));
        MOE_TRY(parse_scope(p));
        MOE_TRY(check_labels(p));
    }
    p->function = NULL;
    p->visibles = visibles;
    return MOE_OK;
}

static moe_status parse_target(parser *p)
{
    uint32_t line = p->token.line;

    MOE_TRY(advance(p));
    if (p->token.kind != PTX_WORD || p->token.length >= sizeof p->module->target) return fail_token(p, "a target");
    memcpy(p->module->target, p->token.text, p->token.length);
    return skip_line(p, line);
}

static bool is_linkage(const parser *p)
{
    return at_word(p, ".visible") || at_word(p, ".weak") || at_word(p, ".common") || at_word(p, ".extern");
}

static moe_status parse_top(parser *p)
{
    uint32_t line = p->token.line;
    bool external = false;
    sim_space space;

    while (is_linkage(p)) {
        external |= at_word(p, ".extern");
        MOE_TRY(advance(p));
    }
    if (at_word(p, ".version") || at_word(p, ".address_size")) return skip_line(p, line);
    if (at_word(p, ".target")) return parse_target(p);
    if (at_word(p, ".file")) return parse_file(p);
    if (at_word(p, ".section")) return skip_section(p);
    if (at_word(p, ".pragma") || at_word(p, ".alias")) return skip_to_semicolon(p);
    if (at_word(p, ".entry") || at_word(p, ".func")) return parse_function(p, at_word(p, ".entry"));
    if (p->token.kind == PTX_WORD && space_of(&p->token, &space)) return parse_variables(p, space, external);
    return fail_token(p, "a PTX directive");
}

moe_status ptx_parse(const char *text, size_t size, ptx_module **out)
{
    ptx_module *module = calloc(1, sizeof *module);
    parser p = {.lexer = {.at = text, .end = text + size, .line = 1}, .module = module};

    if (!module) return fail_memory();
    moe_status status = advance(&p);
    while (status == MOE_OK && p.token.kind != PTX_END) status = parse_top(&p);
    if (status != MOE_OK) {
        ptx_module_free(module);
        return status;
    }
    *out = module;
    return MOE_OK;
}

void ptx_module_free(ptx_module *module)
{
    if (!module) return;
    sim_arena_free(&module->arena);
    free(module);
}

ptx_function *ptx_find_function(const ptx_module *module, const char *name)
{
    ptx_function *found = NULL;

    for (uint32_t i = 0; i < module->functions; i++) {
        ptx_function *f = &module->function[i];
        if (strcmp(f->name, name) != 0) continue;
        if (!found || f->body) found = f;
    }
    return found;
}
