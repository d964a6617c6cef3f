/* schema.h - the shape of a template's table. */
#ifndef GEN_SCHEMA_H
#define GEN_SCHEMA_H

#include "params.h"

#include <lua.h>

/* Checks the table at `index`: known names, right types, sound static values. Raises errors. */
void gen_check_template(lua_State *L, int index);

/* The list of parameters on top of the stack, popped. Raises errors. */
void gen_pop_params(lua_State *L, gen_params *out);

/* True if a name can stand in C, in lower case, and is shorter than `size`. */
bool gen_is_name(const char *name, size_t size);

#endif
