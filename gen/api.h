/* api.h - what Lua sees: the environment of a chunk and the functions of moe.*. */
#ifndef GEN_API_H
#define GEN_API_H

#include "file.h"

/* Fields of the registry. */
#define GEN_REGISTRY_TEMPLATE "moe.template" /* the template's table */
#define GEN_REGISTRY_SELF "moe.self"         /* its moe_template */
#define GEN_REGISTRY_NAMES "moe.names"       /* values of the global names */

/* Fills the registry's global names: the sandbox and moe. Once for each state. */
void gen_open_names(lua_State *L);

/* Pushes a file's chunk with the names as its environment; raises its syntax errors. */
void gen_push_chunk(lua_State *L, const gen_file *file);

#endif
