/* sort.h - a stable sort: the same order on every machine, unlike Lua's own. */
#ifndef GEN_SORT_H
#define GEN_SORT_H

#include <lua.h>

/* Sorts the array at `list` by the function at `less`. Equal elements keep their order. */
void gen_sort(lua_State *L, int list, int less);

#endif
