/* readonly.c - tables that templates can read but not change, and that reject unknown names.
 *
 * A view is an empty table whose metatable's __index is the table of values; the values' own
 * metatable explains what is missing. Reads of what exists stay inside Lua. */
#include "readonly.h"

#include "sort.h"

#include <lauxlib.h>

static int key_rank(int type) {
    switch (type) {
    case LUA_TBOOLEAN: return 0;
    case LUA_TNUMBER: return 1;
    case LUA_TSTRING: return 2;
    default: return -1;
    }
}

/* less(a, b) of two keys */
static int key_less(lua_State *L) {
    int a = key_rank(lua_type(L, 1)), b = key_rank(lua_type(L, 2));
    int less = a != b ? a < b : a == 0 ? !lua_toboolean(L, 1) && lua_toboolean(L, 2)
                                       : lua_compare(L, 1, 2, LUA_OPLT);
    lua_pushboolean(L, less);
    return 1;
}

void gen_push_sorted_keys(lua_State *L, int index) {
    index = lua_absindex(L, index);
    lua_Integer n = 0;
    lua_newtable(L);
    for (lua_pushnil(L); lua_next(L, index); lua_pop(L, 1)) {
        if (key_rank(lua_type(L, -2)) < 0)
            luaL_error(L, "a key that is a %s has no order; use strings or numbers as keys",
                       luaL_typename(L, -2));
        lua_pushvalue(L, -2);
        lua_rawseti(L, -4, ++n);
    }
    lua_pushcfunction(L, key_less);
    gen_sort(L, -2, -1);
    lua_pop(L, 1);
}

/* Pushes "a b c": the keys of the table at `index`. */
static void push_key_list(lua_State *L, int index) {
    luaL_Buffer list;
    gen_push_sorted_keys(L, index);
    int keys = lua_gettop(L);
    lua_Integer count = (lua_Integer)lua_rawlen(L, keys);
    luaL_buffinit(L, &list);
    for (lua_Integer i = 1; i <= count; i++) {
        if (i > 1) luaL_addchar(&list, ' ');
        lua_rawgeti(L, keys, i);
        luaL_addvalue(&list);
    }
    luaL_pushresult(&list);
    lua_remove(L, keys);
}

/* __index(values, key) of values without that key. Upvalues: name of the view, hidden or nil. */
static int missing(lua_State *L) {
    const char *name = lua_tostring(L, lua_upvalueindex(1));
    const char *key = lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : luaL_typename(L, 2);
    if (lua_istable(L, lua_upvalueindex(2))) {
        lua_pushvalue(L, 2);
        if (lua_rawget(L, lua_upvalueindex(2)) == LUA_TSTRING)
            return luaL_error(L, "%s.%s %s", name, key, lua_tostring(L, -1));
    }
    if (!*name)
        return luaL_error(L, "unknown name '%s'; declare it with local, or see templates/README.md "
                             "for what a template may use", key);
    push_key_list(L, 1);
    return luaL_error(L, "%s has no '%s'; it has: %s", name, key, lua_tostring(L, -1));
}

/* __newindex(view, key, value). Upvalue: name of the view. */
static int refuse(lua_State *L) {
    const char *name = lua_tostring(L, lua_upvalueindex(1));
    const char *key = lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : luaL_typename(L, 2);
    if (!*name) return luaL_error(L, "'%s' would become global; declare it with local", key);
    return luaL_error(L, "%s is read-only; '%s' cannot be set", name, key);
}

void gen_push_readonly(lua_State *L, const char *name) {
    int values = lua_gettop(L) - 1, hidden = values + 1;
    lua_createtable(L, 0, 1); /* metatable of the values */
    lua_pushstring(L, name);
    lua_pushvalue(L, hidden);
    lua_pushcclosure(L, missing, 2);
    lua_setfield(L, -2, "__index");
    lua_setmetatable(L, values);
    lua_newtable(L); /* the view */
    lua_createtable(L, 0, 2);
    lua_pushvalue(L, values);
    lua_setfield(L, -2, "__index");
    lua_pushstring(L, name);
    lua_pushcclosure(L, refuse, 1);
    lua_setfield(L, -2, "__newindex");
    lua_setmetatable(L, -2);
    lua_replace(L, values);
    lua_settop(L, values);
}

void gen_push_values(lua_State *L, int index) {
    index = lua_absindex(L, index);
    int type = luaL_getmetafield(L, index, "__index");
    if (type == LUA_TTABLE) return;
    if (type != LUA_TNIL) lua_pop(L, 1);
    lua_pushvalue(L, index);
}
