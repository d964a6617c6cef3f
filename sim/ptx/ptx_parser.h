/* ptx_parser.h - inside the parser: its state, and what its files offer one another. */
#ifndef SIM_PTX_PARSER_H
#define SIM_PTX_PARSER_H

#include "ptx/ptx.h"

/* %r<12>: a family of registers; or one name. */
typedef struct ptx_range {
    const char *name;
    uint32_t length, count, first; /* count 0: exactly this name */
} ptx_range;

typedef struct ptx_label {
    const char *name;
    uint32_t length, index, depth;
} ptx_label;

/* A label's use, before it is known what it means. */
typedef struct ptx_label_use {
    uint32_t *target;
    const char *name;
    uint32_t length, depth, line;
} ptx_label_use;

typedef struct ptx_parser {
    ptx_lexer lexer;
    ptx_token token; /* the next one */
    ptx_module *module;
    ptx_function *function; /* being parsed */
    ptx_place place;
    uint32_t depth; /* of nested scopes */
    ptx_range *range;
    uint32_t ranges;
    ptx_variable **visible; /* variables that names may mean: module's, then the scopes' */
    uint32_t visibles;
    ptx_label *label;
    uint32_t labels;
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

/* The register's number in the function; UINT32_MAX if the name is none. */
uint32_t ptx_find_register(const ptx_parser *p, const ptx_token *name);
ptx_variable *ptx_find_variable(const ptx_parser *p, const ptx_token *name);
moe_status ptx_declare_variable(ptx_parser *p, ptx_variable *variable);
moe_status ptx_declare_label(ptx_parser *p, const ptx_token *name);
/* *target gets the label's number when its scope ends. */
moe_status ptx_use_label(ptx_parser *p, const ptx_token *name, uint32_t *target);
/* Gives the uses of this scope their labels; what is left belongs to the scope around it. */
void ptx_close_labels(ptx_parser *p);

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
