/* readonly.h - tables that templates can read but not change, and that reject unknown names. */
#ifndef GEN_READONLY_H
#define GEN_READONLY_H

#include <lua.h>

/* Pops the values and, above them, a table {name = why it cannot be read here} or nil; pushes a
 * read-only view. `name` is what the view is called in errors: "p"; "" for the global names. */
void gen_push_readonly(lua_State *L, const char *name);

/* Pushes the values behind a view at `index`, or the value itself where it is no view. */
void gen_push_values(lua_State *L, int index);

/* Pushes an array of a table's keys in order: booleans, numbers, strings. Raises an error on keys
 * of other types, which have no order. */
void gen_push_sorted_keys(lua_State *L, int index);

#endif
