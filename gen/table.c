/* table.c - reading the tables that a template hands over, strictly. */
#include "table.h"

#include "sandbox.h"

#include <lauxlib.h>
#include <string.h>

static const gen_key *find(const gen_key *keys, const char *name) {
    for (; keys->name; keys++)
        if (!strcmp(keys->name, name)) return keys;
    return NULL;
}

/* Pushes "a b c": the names of `keys`. */
static const char *push_names(lua_State *L, const gen_key *keys) {
    lua_pushstring(L, keys->name);
    while ((++keys)->name) {
        lua_pushfstring(L, " %s", keys->name);
        lua_concat(L, 2);
    }
    return lua_tostring(L, -1);
}

/* The first in order of a table's names that is not in `keys`, or NULL. */
static const char *unknown_name(lua_State *L, int index, const gen_key *keys, const char *what) {
    const char *first = NULL;
    for (lua_pushnil(L); lua_next(L, index); lua_pop(L, 1)) {
        if (lua_type(L, -2) != LUA_TSTRING) {
            luaL_error(L, "%s: every entry needs a name; known names: %s", what,
                       push_names(L, keys));
            return NULL;
        }
        const char *name = lua_tostring(L, -2);
        if (!find(keys, name) && (!first || strcmp(name, first) < 0)) first = name;
    }
    return first;
}

void gen_check_table(lua_State *L, int index, const gen_key *keys, const char *what) {
    index = lua_absindex(L, index);
    if (!lua_istable(L, index))
        luaL_error(L, "%s: a %s instead of a table", what, luaL_typename(L, index));
    const char *unknown = unknown_name(L, index, keys, what);
    if (unknown)
        luaL_error(L, "%s: unknown entry '%s'; known entries: %s", what, unknown,
                   push_names(L, keys));
    for (const gen_key *key = keys; key->name; key++) {
        int type = lua_getfield(L, index, key->name);
        if (type == LUA_TNIL && key->required)
            luaL_error(L, "%s: '%s' is missing", what, key->name);
        if (type != LUA_TNIL && !(key->types & GEN_IS(type)))
            luaL_error(L, "%s: '%s' cannot be a %s", what, key->name, lua_typename(L, type));
        lua_pop(L, 1);
    }
}

int64_t gen_pop_integer(lua_State *L, int64_t low, int64_t high, const char *what) {
    int whole = 0;
    lua_Integer value = lua_type(L, -1) == LUA_TNUMBER ? lua_tointegerx(L, -1, &whole) : 0;
    if (!whole) {
        gen_push_text(L, -1);
        luaL_error(L, "%s: %s is not a whole number", what, lua_tostring(L, -1));
    }
    if (value < low || value > high)
        luaL_error(L, "%s: %I is not in %I..%I", what, value, (LUAI_UACINT)low, (LUAI_UACINT)high);
    lua_pop(L, 1);
    return value;
}

int64_t gen_get_integer(lua_State *L, int index, const char *key, int64_t low, int64_t high,
                        int64_t absent, const char *what) {
    if (lua_getfield(L, index, key) == LUA_TNIL) {
        lua_pop(L, 1);
        return absent;
    }
    const char *full = lua_pushfstring(L, "%s: %s", what, key);
    lua_insert(L, -2);
    int64_t value = gen_pop_integer(L, low, high, full);
    lua_pop(L, 1);
    return value;
}
