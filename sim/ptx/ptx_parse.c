/* ptx_parse.c - tokens into modules, functions and statements.
 *
 * Scopes: `{ ... }` inside a function opens one. Registers and variables are declared before use
 * and vanish with their scope; labels may be used before, so their uses wait until the scope
 * ends. */
#include "ptx/ptx_parser.h"

#include <stdlib.h>
#include <string.h>

/* Skips the tokens that are left on a line. */
static moe_status skip_line(ptx_parser *p, uint32_t line) {
    while (p->token.kind != PTX_END && p->token.line == line) MOE_TRY(ptx_advance(p));
    return MOE_OK;
}

/* .shared .align 4 .b8 a[4], b[8]; */
static moe_status parse_variables(ptx_parser *p, sim_space space, bool external) {
    ptx_variable *v;

    MOE_TRY(ptx_advance(p));
    MOE_TRY(ptx_parse_variable(p, space, external, &v));
    return ptx_expect_sign(p, ';');
}

/* ------------------------------------------------------------------------------- statements */

/* Names of functions and of target tables are no labels; they become symbols. */
static bool operands_are_labels(const char *opcode) {
    return strncmp(opcode, "bra", 3) == 0;
}

static moe_status parse_guard(ptx_parser *p, ptx_statement *s) {
    bool guarded;

    s->guard = -1;
    MOE_TRY(ptx_take_sign(p, '@', &guarded));
    if (!guarded) return MOE_OK;
    MOE_TRY(ptx_take_sign(p, '!', &s->guard_negated));
    uint32_t index = p->token.kind == PTX_WORD ? ptx_find_register(p, &p->token) : UINT32_MAX;
    if (index == UINT32_MAX) return ptx_unexpected(p, "a predicate");
    s->guard = (int32_t)index;
    return ptx_advance(p);
}

static moe_status parse_statement(ptx_parser *p) {
    ptx_function *f = p->function;
    ptx_statement s = {.place = p->place};

    MOE_TRY(parse_guard(p, &s));
    s.line = p->token.line;
    MOE_TRY(ptx_expect_word(p, &s.opcode));
    ptx_operand *kept = sim_arena_alloc(&p->module->arena, PTX_MAX_OPERANDS * sizeof *kept);
    if (!kept) return ptx_no_memory();
    for (bool more = !ptx_at_sign(p, ';'); more;) {
        if (s.operands == PTX_MAX_OPERANDS) return ptx_unexpected(p, "';' (too many operands)");
        MOE_TRY(ptx_parse_operand(p, operands_are_labels(s.opcode), &kept[s.operands++]));
        MOE_TRY(ptx_take_sign(p, ',', &more));
    }
    s.operand = kept;
    MOE_TRY(ptx_expect_sign(p, ';'));
    f->statement = sim_arena_grow(&p->module->arena, f->statement, f->statements, sizeof s);
    if (!f->statement) return ptx_no_memory();
    f->statement[f->statements++] = s;
    return MOE_OK;
}

/* .loc 1 18 2 [, function_name NAME[+N], inlined_at 1 20 2] */
static moe_status parse_place(ptx_parser *p) {
    uint32_t line = p->token.line;
    uint64_t file, at;

    MOE_TRY(ptx_advance(p));
    MOE_TRY(ptx_expect_integer(p, &file));
    MOE_TRY(ptx_expect_integer(p, &at));
    p->place = (ptx_place){.file = (uint32_t)file, .line = (uint32_t)at};
    while (p->token.line == line && p->token.kind != PTX_END) {
        bool inlined = ptx_at_word(p, "inlined_at");
        MOE_TRY(ptx_advance(p));
        if (!inlined) continue;
        MOE_TRY(ptx_expect_integer(p, &file));
        MOE_TRY(ptx_expect_integer(p, &at));
        p->place.caller_file = (uint32_t)file;
        p->place.caller_line = (uint32_t)at;
    }
    return MOE_OK;
}

/* The words up to the next sign that is no comma; the lexer is a copy. */
static uint32_t count_targets(ptx_lexer lexer) {
    ptx_token token;
    uint32_t words = 0;

    while (ptx_next(&lexer, &token) &&
           (token.kind == PTX_WORD || (token.kind == PTX_SIGN && token.text[0] == ',')))
        words += token.kind == PTX_WORD;
    return words;
}

/* name: .branchtargets A, B; */
static moe_status parse_targets(ptx_parser *p) {
    ptx_function *f = p->function;
    bool more = true;

    const ptx_name *name = p->names ? &p->name[p->names - 1] : NULL;
    if (!name || name->meaning != PTX_IS_LABEL)
        return ptx_unexpected(p, "a name in front of .branchtargets");
    f->table = sim_arena_grow(&p->module->arena, f->table, f->tables, sizeof *f->table);
    if (!f->table) return ptx_no_memory();
    ptx_targets *table = &f->table[f->tables++];
    *table = (ptx_targets){.name = sim_arena_text(&p->module->arena, name->text, name->length)};
    uint32_t room = count_targets(p->lexer);
    table->label = sim_arena_alloc(&p->module->arena, room * sizeof *table->label);
    if (!table->name || !table->label) return ptx_no_memory();
    MOE_TRY(ptx_advance(p));
    while (more) {
        if (table->count == room || p->token.kind != PTX_WORD)
            return ptx_unexpected(p, "a label");
        MOE_TRY(ptx_use_label(p, &p->token, &table->label[table->count++]));
        MOE_TRY(ptx_advance(p));
        MOE_TRY(ptx_take_sign(p, ',', &more));
    }
    return ptx_expect_sign(p, ';');
}

/* .file 1 "name" */
static moe_status parse_file(ptx_parser *p) {
    uint32_t line = p->token.line;
    ptx_module *m = p->module;
    uint64_t number;

    MOE_TRY(ptx_advance(p));
    MOE_TRY(ptx_expect_integer(p, &number));
    if (p->token.kind != PTX_STRING || number > 65535) return ptx_unexpected(p, "a file name");
    if (number >= m->files) {
        const char **file = sim_arena_alloc(&m->arena, (number + 16) * sizeof *file);
        if (!file) return ptx_no_memory();
        if (m->files) memcpy(file, m->file, m->files * sizeof *file);
        m->file = file;
        m->files = (uint32_t)number + 16;
    }
    m->file[number] = sim_arena_text(&m->arena, p->token.text, p->token.length);
    if (!m->file[number]) return ptx_no_memory();
    MOE_TRY(ptx_advance(p));
    return skip_line(p, line);
}

/* .section NAME { ... } holds debugging data. */
static moe_status skip_section(ptx_parser *p) {
    while (!ptx_at_sign(p, '{') && p->token.kind != PTX_END) MOE_TRY(ptx_advance(p));
    while (!ptx_at_sign(p, '}') && p->token.kind != PTX_END) MOE_TRY(ptx_advance(p));
    return ptx_expect_sign(p, '}');
}

static moe_status skip_to_semicolon(ptx_parser *p) {
    while (!ptx_at_sign(p, ';') && p->token.kind != PTX_END) MOE_TRY(ptx_advance(p));
    return ptx_expect_sign(p, ';');
}

/* One directive, label or statement of a body. */
static moe_status parse_item(ptx_parser *p) {
    sim_space space;

    if (ptx_at_word(p, ".reg")) return ptx_parse_registers(p);
    if (ptx_at_word(p, ".loc")) return parse_place(p);
    if (ptx_at_word(p, ".file")) return parse_file(p);
    if (ptx_at_word(p, ".pragma")) return skip_to_semicolon(p);
    if (ptx_at_word(p, ".branchtargets")) return parse_targets(p);
    if (p->token.kind == PTX_WORD && ptx_space_of(&p->token, &space))
        return parse_variables(p, space, false);
    if (p->token.kind == PTX_WORD && p->token.text[0] == '.')
        return ptx_unexpected(p, "a statement");
    if (p->token.kind == PTX_WORD && *p->lexer.at == ':') {
        MOE_TRY(ptx_declare_label(p, &p->token));
        MOE_TRY(ptx_advance(p));
        return ptx_advance(p);
    }
    return parse_statement(p);
}

/* { ... } with what is declared inside. The brace is taken already. */
static moe_status parse_scope(ptx_parser *p) {
    uint32_t names = p->names, uses = p->uses;
    bool open;

    if (++p->depth > 64) return ptx_unexpected(p, "at most 64 nested scopes");
    while (!ptx_at_sign(p, '}')) {
        if (p->token.kind == PTX_END) return ptx_unexpected(p, "'}'");
        MOE_TRY(ptx_take_sign(p, '{', &open));
        MOE_TRY(open ? parse_scope(p) : parse_item(p));
    }
    ptx_close_scope(p, names, uses);
    p->depth--;
    return ptx_advance(p);
}

/* -------------------------------------------------------------------------------- functions */

static moe_status parse_formals(ptx_parser *p, uint32_t *count) {
    bool more = !ptx_at_sign(p, ')');

    while (more) {
        ptx_variable *v;
        if (!ptx_at_word(p, ".param") && !ptx_at_word(p, ".reg"))
            return ptx_unexpected(p, ".param");
        if (ptx_at_word(p, ".reg"))
            return moe_fail(MOE_E_UNSUPPORTED, "PTX line %u: parameters in registers",
                            p->token.line);
        MOE_TRY(ptx_advance(p));
        MOE_TRY(ptx_parse_variable(p, SIM_PARAM, false, &v));
        v->parameter = true;
        ++*count;
        MOE_TRY(ptx_take_sign(p, ',', &more));
    }
    return ptx_expect_sign(p, ')');
}

/* 128, 1, 1: up to three sizes; those that are left out are 1. */
static moe_status parse_sizes(ptx_parser *p, uint32_t size[3]) {
    bool more = true;

    size[0] = size[1] = size[2] = 1;
    for (int i = 0; more && i < 3; i++) {
        uint64_t value;
        MOE_TRY(ptx_expect_integer(p, &value));
        size[i] = value > UINT32_MAX ? UINT32_MAX : (uint32_t)value;
        MOE_TRY(ptx_take_sign(p, ',', &more));
    }
    return MOE_OK;
}

/* One directive between parameters and body: .maxntid 128, 1, 1 and the like. Of those that only
 * advise the compiler, the words are skipped. */
static moe_status parse_demand(ptx_parser *p, ptx_demands *d) {
    const struct {
        const char *name;
        uint32_t *size;
    } sizes[] = {
        {".maxntid", d->max_block}, {".reqntid", d->block}, {".reqnctapercluster", d->cluster}};
    uint32_t rank[3];

    for (int i = 0; i < 3; i++) {
        if (!ptx_at_word(p, sizes[i].name)) continue;
        MOE_TRY(ptx_advance(p));
        return parse_sizes(p, sizes[i].size);
    }
    if (ptx_at_word(p, ".pragma")) return skip_to_semicolon(p);
    if (ptx_at_word(p, ".explicitcluster")) d->clustered = true;
    bool ranked = ptx_at_word(p, ".maxclusterrank");
    MOE_TRY(ptx_advance(p));
    if (!ranked) return MOE_OK;
    MOE_TRY(parse_sizes(p, rank));
    d->max_cluster = rank[0];
    return MOE_OK;
}

/* Up to the body, or the end of a prototype. */
static moe_status parse_demands(ptx_parser *p, ptx_demands *demands) {
    while (!ptx_at_sign(p, '{') && !ptx_at_sign(p, ';')) {
        if (p->token.kind == PTX_END) return ptx_unexpected(p, "'{'");
        MOE_TRY(parse_demand(p, demands));
    }
    return MOE_OK;
}

static moe_status check_labels(const ptx_parser *p) {
    if (!p->uses) return MOE_OK;
    const ptx_label_use *use = &p->use[0];
    return moe_fail(MOE_E_PARSE, "PTX line %u: no label '%.*s'", use->line, (int)use->length,
                    use->name);
}

static moe_status parse_function(ptx_parser *p, bool entry) {
    ptx_module *m = p->module;
    bool list, prototype;

    m->function = sim_arena_grow(&m->arena, m->function, m->functions, sizeof *m->function);
    if (!m->function) return ptx_no_memory();
    ptx_function *f = &m->function[m->functions++];
    *f = (ptx_function){.entry = entry, .line = p->token.line};
    uint32_t names = p->names;
    p->function = f;
    p->place = (ptx_place){0};
    p->uses = p->registers_room = 0;
    MOE_TRY(ptx_advance(p));
    MOE_TRY(ptx_take_sign(p, '(', &list));
    if (list) MOE_TRY(parse_formals(p, &f->results));
    MOE_TRY(ptx_expect_word(p, &f->name));
    MOE_TRY(ptx_take_sign(p, '(', &list));
    if (list) MOE_TRY(parse_formals(p, &f->parameters));
    MOE_TRY(parse_demands(p, &f->demands));
    MOE_TRY(ptx_take_sign(p, ';', &prototype));
    if (!prototype) {
        f->body = true;
        MOE_TRY(ptx_expect_sign(p, '{'));
        MOE_TRY(parse_scope(p));
        MOE_TRY(check_labels(p));
    }
    p->function = NULL;
    ptx_close_scope(p, names, 0);
    return MOE_OK;
}

/* sm_90, sm_90a, sm_100f */
static bool is_target(const ptx_token *token) {
    uint32_t at = 3;

    if (token->kind != PTX_WORD || token->length < 5 || memcmp(token->text, "sm_", 3)) return false;
    while (at < token->length && token->text[at] >= '0' && token->text[at] <= '9') at++;
    if (at < token->length && (token->text[at] == 'a' || token->text[at] == 'f')) at++;
    return at == token->length;
}

static moe_status parse_target(ptx_parser *p) {
    uint32_t line = p->token.line;

    MOE_TRY(ptx_advance(p));
    if (!is_target(&p->token) || p->token.length >= sizeof p->module->target)
        return ptx_unexpected(p, "a target such as sm_90a");
    memcpy(p->module->target, p->token.text, p->token.length);
    return skip_line(p, line);
}

static bool is_linkage(const ptx_parser *p) {
    return ptx_at_word(p, ".visible") || ptx_at_word(p, ".weak") || ptx_at_word(p, ".common") ||
           ptx_at_word(p, ".extern");
}

static moe_status parse_top(ptx_parser *p) {
    uint32_t line = p->token.line;
    bool external = false;
    sim_space space;

    while (is_linkage(p)) {
        external |= ptx_at_word(p, ".extern");
        MOE_TRY(ptx_advance(p));
    }
    if (ptx_at_word(p, ".version") || ptx_at_word(p, ".address_size")) return skip_line(p, line);
    if (ptx_at_word(p, ".target")) return parse_target(p);
    if (ptx_at_word(p, ".file")) return parse_file(p);
    if (ptx_at_word(p, ".section")) return skip_section(p);
    if (ptx_at_word(p, ".pragma") || ptx_at_word(p, ".alias")) return skip_to_semicolon(p);
    if (ptx_at_word(p, ".entry") || ptx_at_word(p, ".func"))
        return parse_function(p, ptx_at_word(p, ".entry"));
    if (p->token.kind == PTX_WORD && ptx_space_of(&p->token, &space))
        return parse_variables(p, space, external);
    return ptx_unexpected(p, "a PTX directive");
}

/* ------------------------------------------------------------------------------------ modules */

/* The slot of a name: that of the function, or a free one. */
static uint32_t *function_slot(const ptx_module *m, const char *name) {
    for (uint32_t at = ptx_hash(name, strlen(name));; at++) {
        uint32_t *slot = &m->by_name[at & (m->slots - 1)];
        if (!*slot || strcmp(m->function[*slot - 1].name, name) == 0) return slot;
    }
}

static moe_status index_functions(ptx_module *m) {
    for (m->slots = 16; m->slots < 2 * m->functions; m->slots *= 2) continue;
    m->by_name = sim_arena_alloc(&m->arena, m->slots * sizeof *m->by_name);
    if (!m->by_name) return ptx_no_memory();
    for (uint32_t i = 0; i < m->functions; i++) {
        uint32_t *slot = function_slot(m, m->function[i].name);
        if (!*slot || m->function[i].body) *slot = i + 1;
    }
    return MOE_OK;
}

ptx_function *ptx_find_function(const ptx_module *module, const char *name) {
    uint32_t number = *function_slot(module, name);

    return number ? &module->function[number - 1] : NULL;
}

moe_status ptx_parse(const char *text, size_t size, ptx_module **out) {
    ptx_module *module = calloc(1, sizeof *module);
    ptx_parser p = {.lexer = {.at = text, .end = text + size, .line = 1}, .module = module};

    if (!module) return ptx_no_memory();
    moe_status status = ptx_advance(&p);
    while (status == MOE_OK && p.token.kind != PTX_END) status = parse_top(&p);
    if (status == MOE_OK) status = index_functions(module);
    if (status == MOE_OK && !module->target[0])
        status = moe_fail(MOE_E_PARSE, "this is no PTX: it has no .target line");
    if (status != MOE_OK) {
        ptx_module_free(module);
        return status;
    }
    *out = module;
    return MOE_OK;
}

void ptx_module_free(ptx_module *module) {
    if (!module) return;
    sim_arena_free(&module->arena);
    free(module);
}

