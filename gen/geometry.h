/* geometry.h - the table that `launch` returns, as data for a runtime without Lua. */
#ifndef GEN_GEOMETRY_H
#define GEN_GEOMETRY_H

#include "core/facts.h"
#include "core/launch.h"

#include <lua.h>

/* Pops the table. Kernels are called `symbol`, or `symbol`_name where they have names. Raises an
 * error on anything that a launch could not do, such as more shared memory than the device has. */
void gen_pop_launch(lua_State *L, const moe_facts *facts, const char *symbol, moe_launch *out);

#endif
