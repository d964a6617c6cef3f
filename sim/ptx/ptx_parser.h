/* ptx_parser.h - inside the parser: its state, and what its files offer one another. */
#ifndef SIM_PTX_PARSER_H
#define SIM_PTX_PARSER_H

#include "ptx/ptx.h"

/* What a name may mean while its scope is open: a register or a family of them (%r<12>), a
 * variable, a label. Names stand on a stack, and are found by hash. */
typedef enum ptx_meaning { PTX_IS_REGISTER, PTX_IS_VARIABLE, PTX_IS_LABEL } ptx_meaning;

typedef struct ptx_name {
    const char *text;
    uint32_t length, hash, older; /* older: number + 1 of the one before in its bucket; 0: none */
    ptx_meaning meaning;
    uint32_t count;         /* REGISTER: of the family; 0: exactly this name */
    uint32_t first;         /* REGISTER: the first; LABEL: its number */
    ptx_variable *variable; /* VARIABLE */
} ptx_name;

/* A label's use, before it is known what it means. */
typedef struct ptx_label_use {
    uint32_t *target;
    const char *name;
    uint32_t length, line;
} ptx_label_use;

typedef struct ptx_parser {
    ptx_lexer lexer;
    ptx_token token; /* the next one */
    ptx_module *module;
    ptx_function *function; /* being parsed */
    ptx_place place;
    uint32_t depth; /* of nested scopes */
    ptx_name *name;
    uint32_t names;
    uint32_t *bucket; /* number + 1 of the latest name; as many as there is room for names */
    uint32_t buckets;
    uint32_t registers_room; /* of function->width */
    uint32_t nesting; /* of the operand being parsed */
    ptx_label_use *use;
    uint32_t uses;
} ptx_parser;

/* ---- tokens and names (ptx_names.c) */

moe_status ptx_no_memory(void);
/* Fails: the next token is not what was wanted. */
moe_status ptx_unexpected(const ptx_parser *p, const char *wanted);
moe_status ptx_advance(ptx_parser *p);
bool ptx_is(const ptx_token *token, const char *text);
bool ptx_at_sign(const ptx_parser *p, char sign);
bool ptx_at_word(const ptx_parser *p, const char *word);
/* Takes the sign if it is next. */
moe_status ptx_take_sign(ptx_parser *p, char sign, bool *taken);
moe_status ptx_expect_sign(ptx_parser *p, char sign);
moe_status ptx_expect_word(ptx_parser *p, const char **out);
moe_status ptx_expect_integer(ptx_parser *p, uint64_t *out);

uint32_t ptx_hash(const char *text, size_t length);
/* The register's number in the function; UINT32_MAX if the name is none. */
uint32_t ptx_find_register(const ptx_parser *p, const ptx_token *name);
ptx_variable *ptx_find_variable(const ptx_parser *p, const ptx_token *name);
/* Puts a name on the stack; of `name`, the text and what it means are taken. */
moe_status ptx_declare(ptx_parser *p, ptx_name name);
moe_status ptx_declare_variable(ptx_parser *p, ptx_variable *variable);
moe_status ptx_declare_label(ptx_parser *p, const ptx_token *name);
/* *target gets the label's number when its scope ends. */
moe_status ptx_use_label(ptx_parser *p, const ptx_token *name, uint32_t *target);
/* Ends a scope that began when so many names were declared and so many labels used: gives these
 * uses their labels, as far as they are known, and takes the names from the stack. What is left of
 * the uses belongs to the scope around it. */
void ptx_close_scope(ptx_parser *p, uint32_t names, uint32_t uses);

/* ---- declarations (ptx_declare.c) */

bool ptx_space_of(const ptx_token *token, sim_space *out);
/* .reg .b32 %r<5>, x; */
moe_status ptx_parse_registers(ptx_parser *p);
/* What follows the state space, up to but without the final sign. */
moe_status ptx_parse_variable(ptx_parser *p, sim_space space, bool external, ptx_variable **out);

/* ---- operands (ptx_operand.c) */

/* `label`: a name that is nothing else is a label. */
moe_status ptx_parse_operand(ptx_parser *p, bool label, ptx_operand *out);

#endif
