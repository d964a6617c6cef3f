/* sandbox.h - the part of Lua's library that a template may use.
 *
 * Nothing that reaches the outside (io, os, require, load), that differs from run to run (random,
 * addresses, next), or that could catch a limit's error (pcall, coroutines, metatables). */
#ifndef GEN_SANDBOX_H
#define GEN_SANDBOX_H

#include <lua.h>

/* Pushes a new table with the library's names. */
void gen_push_sandbox(lua_State *L);

/* Pushes the value at `index` as text that is the same in every run: no addresses. */
void gen_push_text(lua_State *L, int index);

#endif
