/* rendering.h - one rendering under way: the text so far and where it stands in the template. */
#ifndef GEN_RENDERING_H
#define GEN_RENDERING_H

#include "buffer.h"
#include "template.h"

typedef struct gen_render {
    const moe_template *t;
    const moe_op *op;
    const moe_facts *facts;
    const moe_config *config;
    moe_launch launch;
    char symbol[MOE_SYMBOL_SIZE]; /* moe_<op>_<hash12> */
    bool plain;                   /* no #line marks */
    gen_buffer text;
    const char *label;            /* file and line that the compiler takes the next line for */
    int64_t line;
    uint64_t included;            /* files of gen->include that are in the text */
} gen_render;

/* Pushes the function that a chunk calls with each of its text lines: (line, part, ...). `label`
 * must outlive the state. */
void gen_push_line_writer(lua_State *L, const char *label);

#endif
