/* ptx_names.c - the token stream of the parser, and what names mean in which scope. */
#include "ptx/ptx_parser.h"

#include <string.h>

moe_status ptx_no_memory(void) {
    return moe_fail(MOE_E_MEMORY, "out of memory while parsing PTX");
}

moe_status ptx_unexpected(const ptx_parser *p, const char *wanted) {
    int length = p->token.length > 60 ? 60 : (int)p->token.length;

    if (p->token.kind == PTX_END)
        return moe_fail(MOE_E_PARSE,
                        "PTX line %u: the text ends where %s should be; is it truncated?",
                        p->token.line, wanted);
    return moe_fail(MOE_E_PARSE, "PTX line %u: '%.*s' where %s should be", p->token.line, length,
                    p->token.text, wanted);
}

moe_status ptx_advance(ptx_parser *p) {
    if (!ptx_next(&p->lexer, &p->token))
        return moe_fail(MOE_E_PARSE, "PTX line %u: a character that no PTX token starts with",
                        p->lexer.line);
    return MOE_OK;
}

bool ptx_is(const ptx_token *token, const char *text) {
    return strlen(text) == token->length && memcmp(token->text, text, token->length) == 0;
}

bool ptx_at_sign(const ptx_parser *p, char sign) {
    return p->token.kind == PTX_SIGN && p->token.text[0] == sign;
}

bool ptx_at_word(const ptx_parser *p, const char *word) {
    return p->token.kind == PTX_WORD && ptx_is(&p->token, word);
}

/* Takes the sign if it is next. */
moe_status ptx_take_sign(ptx_parser *p, char sign, bool *taken) {
    *taken = ptx_at_sign(p, sign);
    return *taken ? ptx_advance(p) : MOE_OK;
}

moe_status ptx_expect_sign(ptx_parser *p, char sign) {
    char wanted[] = {'\'', sign, '\'', 0};

    if (!ptx_at_sign(p, sign)) return ptx_unexpected(p, wanted);
    return ptx_advance(p);
}

moe_status ptx_expect_word(ptx_parser *p, const char **out) {
    if (p->token.kind != PTX_WORD) return ptx_unexpected(p, "a name");
    *out = sim_arena_text(&p->module->arena, p->token.text, p->token.length);
    if (!*out) return ptx_no_memory();
    return ptx_advance(p);
}

moe_status ptx_expect_integer(ptx_parser *p, uint64_t *out) {
    bool negative;

    MOE_TRY(ptx_take_sign(p, '-', &negative));
    if (p->token.kind != PTX_NUMBER || p->token.floated) return ptx_unexpected(p, "an integer");
    *out = negative ? 0 - p->token.value : p->token.value;
    return ptx_advance(p);
}

/* ------------------------------------------------------------------------------ scoped names */

uint32_t ptx_hash(const char *text, size_t length) {
    uint32_t h = 5381;

    for (size_t i = 0; i < length; i++) h = h * 33 ^ (uint8_t)text[i];
    return h ^ h >> 15;
}

/* The latest name of a meaning; a family goes by its name without the number. NULL: there is none.
 */
static const ptx_name *find(const ptx_parser *p, const char *text, uint32_t length,
                            ptx_meaning meaning, bool family) {
    if (!p->buckets) return NULL;
    uint32_t hash = ptx_hash(text, length);
    for (uint32_t at = p->bucket[hash & (p->buckets - 1)]; at; at = p->name[at - 1].older) {
        const ptx_name *n = &p->name[at - 1];
        if (n->hash == hash && n->length == length && n->meaning == meaning &&
            (n->count != 0) == family && memcmp(n->text, text, length) == 0)
            return n;
    }
    return NULL;
}

static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

/* The family whose member the name is: %r12 may be number 12 of %r, or number 2 of %r1. The latest
 * counts. */
static const ptx_name *find_family(const ptx_parser *p, const ptx_token *name, uint32_t *number) {
    const ptx_name *best = NULL;
    uint64_t value = 0, scale = 1;

    for (uint32_t at = name->length; at > 1 && is_digit(name->text[at - 1]) && scale < 1u << 31;
         scale *= 10) {
        at--;
        value += scale * (uint64_t)(name->text[at] - '0');
        const ptx_name *n = find(p, name->text, at, PTX_IS_REGISTER, true);
        if (!n || value >= n->count || (best && n < best)) continue;
        best = n;
        *number = (uint32_t)value;
    }
    return best;
}

uint32_t ptx_find_register(const ptx_parser *p, const ptx_token *name) {
    uint32_t number = 0;
    const ptx_name *one = find(p, name->text, name->length, PTX_IS_REGISTER, false);
    const ptx_name *family = find_family(p, name, &number);

    if (one && (!family || one > family)) return one->first;
    return family ? family->first + number : UINT32_MAX;
}

ptx_variable *ptx_find_variable(const ptx_parser *p, const ptx_token *name) {
    const ptx_name *n = find(p, name->text, name->length, PTX_IS_VARIABLE, false);

    return n ? n->variable : NULL;
}

static void enter(ptx_parser *p, uint32_t number) {
    uint32_t *bucket = &p->bucket[p->name[number].hash & (p->buckets - 1)];

    p->name[number].older = *bucket;
    *bucket = number + 1;
}

/* Twice the buckets, with all names in them. */
static moe_status grow_buckets(ptx_parser *p) {
    uint32_t more = p->buckets ? 2 * p->buckets : 64;

    p->bucket = sim_arena_alloc(&p->module->arena, more * sizeof *p->bucket);
    if (!p->bucket) return ptx_no_memory();
    p->buckets = more;
    for (uint32_t i = 0; i < p->names; i++) enter(p, i);
    return MOE_OK;
}

moe_status ptx_declare(ptx_parser *p, ptx_name name) {
    name.hash = ptx_hash(name.text, name.length);
    if (p->names == p->buckets) {
        MOE_TRY(grow_buckets(p));
        ptx_name *bigger = sim_arena_alloc(&p->module->arena, p->buckets * sizeof *bigger);
        if (!bigger) return ptx_no_memory();
        if (p->names) memcpy(bigger, p->name, p->names * sizeof *bigger);
        p->name = bigger;
    }
    p->name[p->names++] = name;
    enter(p, p->names - 1);
    return MOE_OK;
}

moe_status ptx_declare_variable(ptx_parser *p, ptx_variable *variable) {
    sim_arena *arena = &p->module->arena;

    MOE_TRY(ptx_declare(p, (ptx_name){.text = variable->name,
                                      .length = (uint32_t)strlen(variable->name),
                                      .meaning = PTX_IS_VARIABLE,
                                      .variable = variable}));
    uint32_t *count = p->function ? &p->function->variables : &p->module->variables;
    ptx_variable ***list = p->function ? &p->function->variable : &p->module->variable;
    *list = sim_arena_grow(arena, *list, *count, sizeof **list);
    if (!*list) return ptx_no_memory();
    (*list)[(*count)++] = variable;
    return MOE_OK;
}

moe_status ptx_declare_label(ptx_parser *p, const ptx_token *name) {
    ptx_function *f = p->function;

    MOE_TRY(ptx_declare(p, (ptx_name){.text = name->text,
                                      .length = name->length,
                                      .meaning = PTX_IS_LABEL,
                                      .first = f->labels}));
    f->label = sim_arena_grow(&p->module->arena, f->label, f->labels, sizeof *f->label);
    if (!f->label) return ptx_no_memory();
    f->label[f->labels++] = f->statements;
    return MOE_OK;
}

moe_status ptx_use_label(ptx_parser *p, const ptx_token *name, uint32_t *target) {
    p->use = sim_arena_grow(&p->module->arena, p->use, p->uses, sizeof *p->use);
    if (!p->use) return ptx_no_memory();
    p->use[p->uses++] = (ptx_label_use){
        .target = target, .name = name->text, .length = name->length, .line = name->line};
    return MOE_OK;
}

void ptx_close_scope(ptx_parser *p, uint32_t names, uint32_t uses) {
    uint32_t kept = uses;

    for (uint32_t i = uses; i < p->uses; i++) {
        const ptx_label_use *use = &p->use[i];
        const ptx_name *label = find(p, use->name, use->length, PTX_IS_LABEL, false);
        if (label) *use->target = label->first;
        else p->use[kept++] = *use;
    }
    p->uses = kept;
    while (p->names > names) {
        const ptx_name *n = &p->name[--p->names];
        p->bucket[n->hash & (p->buckets - 1)] = n->older;
    }
}
