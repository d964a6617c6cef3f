/* ptx.h - PTX text as data: what the parser yields and the decoder takes.
 *
 * ptx_lex.c cuts text into tokens; ptx_parse.c makes modules, functions, variables and statements
 * of them, and knows scopes (registers, variables and labels of inline assembly blocks) but no
 * instruction. */
#ifndef SIM_PTX_H
#define SIM_PTX_H

#include "core/status.h"
#include "ptx/arena.h"

/* ---- tokens (ptx_lex.c) */

typedef enum ptx_kind { PTX_END, PTX_WORD, PTX_NUMBER, PTX_STRING, PTX_SIGN } ptx_kind;

typedef struct ptx_token {
    ptx_kind kind;
    const char *text; /* into the source; not terminated */
    uint32_t length;
    uint32_t line;   /* of the PTX text, from 1 */
    uint64_t value;  /* NUMBER: integer, or the bits of a float */
    uint8_t floated; /* NUMBER: 0 integer, 32 or 64: bits of that float type */
} ptx_token;

typedef struct ptx_lexer {
    const char *at, *end;
    uint32_t line;
} ptx_lexer;

/* Reads the next token. False where no token can start. */
bool ptx_next(ptx_lexer *lexer, ptx_token *out);

/* ---- the parsed form (ptx_parse.c) */

typedef enum sim_space {
    SIM_GENERIC,
    SIM_GLOBAL,
    SIM_SHARED,
    SIM_LOCAL,
    SIM_CONST,
    SIM_PARAM,
    SIM_SPACE_COUNT
} sim_space;

typedef struct ptx_variable ptx_variable;

/* An address inside an initialiser. */
typedef struct ptx_relocation {
    uint32_t at; /* byte of the variable that takes 8 bytes of address */
    const char *symbol;
    int64_t addend;
    struct ptx_relocation *next;
} ptx_relocation;

struct ptx_variable {
    const char *name;
    const char *type; /* of an element: "u32" */
    bool array;       /* with dimensions, or a vector */
    sim_space space;
    uint32_t align;
    uint64_t size;       /* bytes; 0 for dynamic shared memory */
    const uint8_t *init; /* NULL: zeros */
    ptx_relocation *relocations;
    bool external;    /* .extern */
    bool parameter;   /* a formal parameter of its function */
    uint32_t user;    /* the decoder's: the last kernel that was found to name it */
    uint64_t address; /* set by the decoder or the loader: offset in its space, or device address */
};

typedef enum ptx_operand_kind {
    PTX_NONE,
    PTX_REGISTER,
    PTX_IMMEDIATE,
    PTX_SYMBOL,
    PTX_LABEL,
    PTX_SPECIAL,
    PTX_MEMORY,
    PTX_LIST,
    PTX_SINK
} ptx_operand_kind;

typedef struct ptx_operand {
    ptx_operand_kind kind;
    bool negated;             /* !p */
    uint8_t floated;          /* IMMEDIATE: as in the token */
    uint32_t index;           /* REGISTER: number in the function; LABEL: label; LIST: elements */
    int64_t value;            /* IMMEDIATE; SYMBOL and MEMORY: addend */
    ptx_variable *variable;   /* SYMBOL, MEMORY with a symbol as its base */
    const char *name;         /* SPECIAL, and a SYMBOL that names a function */
    struct ptx_operand *list; /* LIST: elements; MEMORY: its base, or NULL */
    struct ptx_operand *pair; /* the q of p|q; MEMORY: the coordinates in a tensor */
} ptx_operand;

/* Where an instruction comes from. */
typedef struct ptx_place {
    uint32_t file, line;               /* of the source: .loc; 0 = unknown */
    uint32_t caller_file, caller_line; /* where that was inlined; 0 = not */
} ptx_place;

enum { PTX_MAX_OPERANDS = 8 };

typedef struct ptx_statement {
    const char *opcode; /* with all modifiers */
    int32_t guard;      /* register, -1 = none */
    bool guard_negated;
    uint32_t operands;
    ptx_operand *operand;
    uint32_t line; /* of the PTX text */
    ptx_place place;
} ptx_statement;

/* The targets of brx.idx. */
typedef struct ptx_targets {
    const char *name;
    uint32_t count, *label;
} ptx_targets;

/* What an entry demands of its launches; 0: nothing. */
typedef struct ptx_demands {
    uint32_t max_block[3]; /* .maxntid */
    uint32_t block[3];     /* .reqntid */
    uint32_t cluster[3];   /* .reqnctapercluster */
    uint32_t max_cluster;  /* .maxclusterrank */
    bool clustered;        /* .explicitcluster */
} ptx_demands;

typedef struct ptx_function {
    const char *name;
    bool entry, body;
    ptx_demands demands;
    uint32_t line;
    uint32_t parameters, results; /* first of `variable`: results, then parameters */
    uint32_t variables;
    ptx_variable **variable; /* .param, .shared and .local of this function */
    uint32_t registers;
    uint8_t *width; /* of each register in bits; 1 = predicate */
    uint32_t statements;
    ptx_statement *statement;
    uint32_t labels;
    uint32_t *label; /* the statement that each label stands before */
    uint32_t tables;
    ptx_targets *table;
    uint32_t user, frame; /* the decoder's: the last kernel that calls it, and which of its frames
                             it is */
} ptx_function;

typedef struct ptx_module {
    sim_arena arena;
    char target[16]; /* sm_80 */
    uint32_t variables;
    ptx_variable **variable; /* .global, .const, .shared of the module */
    uint32_t functions;
    ptx_function *function;
    uint32_t *by_name; /* number + 1 of functions, by hash of their names */
    uint32_t slots;
    uint32_t files;
    const char **file; /* by .file number; NULL where not declared */
    uint32_t kernels;  /* decoded so far */
} ptx_module;

/* Parses PTX text. MOE_E_PARSE names the line. The module is independent of the text and belongs to
 * the caller: ptx_module_free. */
moe_status ptx_parse(const char *text, size_t size, ptx_module **out);
void ptx_module_free(ptx_module *module);

/* A function of the module by name, the one with a body where there are two; NULL if none. */
ptx_function *ptx_find_function(const ptx_module *module, const char *name);

#endif
