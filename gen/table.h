/* table.h - reading the tables that a template hands over, strictly. */
#ifndef GEN_TABLE_H
#define GEN_TABLE_H

#include "core/status.h"

#include <lua.h>

/* Sets of Lua's types. */
#define GEN_IS(type) (1u << (type))
#define GEN_BOOLEAN GEN_IS(LUA_TBOOLEAN)
#define GEN_FUNCTION GEN_IS(LUA_TFUNCTION)
#define GEN_NUMBER GEN_IS(LUA_TNUMBER)
#define GEN_STRING GEN_IS(LUA_TSTRING)
#define GEN_TABLE GEN_IS(LUA_TTABLE)

/* One key that a table may have. */
typedef struct gen_key {
    const char *name;  /* NULL ends a list */
    unsigned types;    /* that its value may have */
    bool required;
} gen_key;

/* Raises an error that starts with `what` if the value at `index` is no table, has a key that is
 * not in `keys`, or one of the wrong type, or lacks a required one. */
void gen_check_table(lua_State *L, int index, const gen_key *keys, const char *what);

/* A whole number of the table at `index`; `absent` where there is none. Raises an error out of
 * low..high. */
int64_t gen_get_integer(lua_State *L, int index, const char *key, int64_t low, int64_t high,
                        int64_t absent, const char *what);

/* The value on top of the stack as a whole number, popped. */
int64_t gen_pop_integer(lua_State *L, int64_t low, int64_t high, const char *what);

#endif
