/* values.h - what a template may know: p (the op), c (the config), d (the device) and b (the
 * kernels as compiled). */
#ifndef GEN_VALUES_H
#define GEN_VALUES_H

#include "core/config.h"
#include "core/facts.h"
#include "core/launch.h"
#include "core/loads.h"
#include "core/op.h"

#include <lua.h>

/* Who asks. One image serves every token count and every device of its arch, so the body sees
 * neither; only the functions that rank and choose see the token count. */
typedef enum gen_view {
    GEN_VIEW_CHOOSE, /* default, cost: everything */
    GEN_VIEW_SHAPE,  /* params, supports, require, launch: no t, routing, cache */
    GEN_VIEW_BODY,   /* the body: nor facts that differ between devices of one arch */
} gen_view;

/* Each pushes a read-only table. */
void gen_push_op(lua_State *L, const moe_op *op, gen_view view);
void gen_push_facts(lua_State *L, const moe_facts *facts, gen_view view);
void gen_push_config(lua_State *L, const moe_config *config);
void gen_push_built(lua_State *L, const moe_launch *built, const moe_facts *facts);

/* Reads what a table such as d says of the arch, and leaves the rest of *out. Raises an error where
 * it does not. */
void gen_read_arch(lua_State *L, int index, moe_facts *out);

/* Reads from a table such as p how its tokens spread. Raises an error where it does not say. */
void gen_read_loads(lua_State *L, int index, moe_loads *out);

/* Writes all that a body can know of the device. */
void gen_arch_print(const moe_facts *facts, moe_text *out);

#endif
