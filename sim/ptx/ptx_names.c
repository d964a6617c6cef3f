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

uint32_t ptx_find_register(const ptx_parser *p, const ptx_token *name) {
    for (uint32_t i = p->ranges; i-- > 0;) {
        const ptx_range *r = &p->range[i];
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

ptx_variable *ptx_find_variable(const ptx_parser *p, const ptx_token *name) {
    for (uint32_t i = p->visibles; i-- > 0;)
        if (ptx_is(name, p->visible[i]->name)) return p->visible[i];
    return NULL;
}

moe_status ptx_declare_variable(ptx_parser *p, ptx_variable *variable) {
    sim_arena *arena = &p->module->arena;

    p->visible = sim_arena_grow(arena, p->visible, p->visibles, sizeof *p->visible);
    if (!p->visible) return ptx_no_memory();
    p->visible[p->visibles++] = variable;
    uint32_t *count = p->function ? &p->function->variables : &p->module->variables;
    ptx_variable ***list = p->function ? &p->function->variable : &p->module->variable;
    *list = sim_arena_grow(arena, *list, *count, sizeof **list);
    if (!*list) return ptx_no_memory();
    (*list)[(*count)++] = variable;
    return MOE_OK;
}

moe_status ptx_declare_label(ptx_parser *p, const ptx_token *name) {
    ptx_function *f = p->function;
    sim_arena *arena = &p->module->arena;

    p->label = sim_arena_grow(arena, p->label, p->labels, sizeof *p->label);
    f->label = sim_arena_grow(arena, f->label, f->labels, sizeof *f->label);
    if (!p->label || !f->label) return ptx_no_memory();
    p->label[p->labels++] = (ptx_label){
        .name = name->text, .length = name->length, .index = f->labels, .depth = p->depth};
    f->label[f->labels++] = f->statements;
    return MOE_OK;
}

moe_status ptx_use_label(ptx_parser *p, const ptx_token *name, uint32_t *target) {
    p->use = sim_arena_grow(&p->module->arena, p->use, p->uses, sizeof *p->use);
    if (!p->use) return ptx_no_memory();
    p->use[p->uses++] = (ptx_label_use){.target = target,
                                        .name = name->text,
                                        .length = name->length,
                                        .depth = p->depth,
                                        .line = name->line};
    return MOE_OK;
}

/* Gives the uses of this scope their labels; what is left belongs to the scope around it. */
void ptx_close_labels(ptx_parser *p) {
    uint32_t kept = 0;

    for (uint32_t i = 0; i < p->uses; i++) {
        ptx_label_use use = p->use[i];
        bool found = false;
        for (uint32_t k = p->labels; use.depth == p->depth && k-- > 0 && !found;) {
            const ptx_label *label = &p->label[k];
            if (label->depth < p->depth) break;
            if (label->length != use.length || memcmp(label->name, use.name, use.length) != 0)
                continue;
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
