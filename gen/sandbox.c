/* sandbox.c - the part of Lua's library that a template may use. */
#include "sandbox.h"

#include "host.h"
#include "readonly.h"
#include "sort.h"

#include <lauxlib.h>
#include <lualib.h>
#include <string.h>

void gen_push_text(lua_State *L, int index) {
    switch (lua_type(L, index)) {
    case LUA_TTABLE:
    case LUA_TFUNCTION:
    case LUA_TUSERDATA:
    case LUA_TLIGHTUSERDATA:
    case LUA_TTHREAD: lua_pushstring(L, luaL_typename(L, index)); break;
    default: luaL_tolstring(L, index, NULL);
    }
}

static int sandbox_tostring(lua_State *L) {
    luaL_checkany(L, 1);
    gen_push_text(L, 1);
    return 1;
}

/* pairs(t): in the order of gen_push_sorted_keys. Iterator upvalues: values, keys, position. */
static int pairs_step(lua_State *L) {
    lua_Integer at = lua_tointeger(L, lua_upvalueindex(3));
    for (;;) {
        at++;
        if (lua_rawgeti(L, lua_upvalueindex(2), at) == LUA_TNIL) return 1;
        lua_pushvalue(L, -1);
        if (lua_rawget(L, lua_upvalueindex(1)) != LUA_TNIL) break;
        lua_settop(L, 0); /* removed since the keys were listed */
    }
    lua_pushinteger(L, at);
    lua_replace(L, lua_upvalueindex(3));
    return 2;
}

static int sandbox_pairs(lua_State *L) {
    luaL_checktype(L, 1, LUA_TTABLE);
    gen_push_values(L, 1);
    gen_push_sorted_keys(L, -1);
    lua_pushinteger(L, 0);
    lua_pushcclosure(L, pairs_step, 3);
    return 1;
}

static int less_than(lua_State *L) {
    lua_pushboolean(L, lua_compare(L, 1, 2, LUA_OPLT));
    return 1;
}

/* table.sort(t [, less]): stable */
static int sandbox_sort(lua_State *L) {
    luaL_checktype(L, 1, LUA_TTABLE);
    if (lua_isnoneornil(L, 2)) {
        lua_settop(L, 1);
        lua_pushcfunction(L, less_than);
    }
    luaL_checktype(L, 2, LUA_TFUNCTION);
    lua_settop(L, 2);
    gen_sort(L, 1, 2);
    return 0;
}

/* Calls Lua's own function, which is the upvalue, with the same arguments. */
static int forward(lua_State *L) {
    int count = lua_gettop(L);
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_insert(L, 1);
    lua_call(L, count, LUA_MULTRET);
    return lua_gettop(L);
}

/* string.format: %p is refused and what %s would print with its address is named by its type. */
static int sandbox_format(lua_State *L) {
    const char *format = luaL_checkstring(L, 1);
    for (const char *at = strchr(format, '%'); at; at = strchr(at + 1, '%')) {
        at++;
        at += strspn(at, "-+ #0123456789.");
        luaL_argcheck(L, *at != 'p', 1, "%p is not allowed: addresses differ from run to run");
        if (!*at) break;
    }
    for (int i = lua_gettop(L); i > 1; i--) {
        if (lua_type(L, i) < LUA_TTABLE) continue;
        gen_push_text(L, i);
        lua_replace(L, i);
    }
    return forward(L);
}

/* The most character comparisons that a pattern can take on a string of this length. */
static double worst_case(const char *pattern, size_t pattern_size, size_t length) {
    double ways = (double)length + 1, worst = ways;
    for (size_t i = 0; i < pattern_size; i++) {
        if (strchr("*+-", pattern[i]) && pattern[i]) worst *= ways;
        if (pattern[i] == '?') worst *= 2;
        if (pattern[i] == '%' && i + 1 < pattern_size && pattern[i + 1] == 'b') worst *= ways;
    }
    return worst;
}

/* match, gmatch, gsub: matching runs inside C, where no instructions are counted and a pattern can
 * take exponential time, so its worst case is charged ahead. */
static int sandbox_pattern(lua_State *L) {
    enum { COMPARISONS_A_STEP = 16 };
    size_t length, size;
    luaL_checklstring(L, 1, &length);
    const char *pattern = luaL_checklstring(L, 2, &size);
    double steps = worst_case(pattern, size, length) / COMPARISONS_A_STEP;
    if (steps > (double)GEN_STEPS)
        return luaL_error(L, "the pattern '%s' could take for ever on a string of %d bytes; use "
                             "fewer of * + - or a shorter string", pattern, (int)length);
    gen_charge(L, steps);
    return forward(L);
}

/* find also has a plain form, which takes no pattern. */
static int sandbox_find(lua_State *L) {
    if (!lua_toboolean(L, 4)) return sandbox_pattern(L);
    gen_charge(L, (double)luaL_len(L, 1));
    return forward(L);
}

static const char *const base_names[] = {
    "assert", "error", "ipairs", "select", "tonumber", "type", NULL,
};
static const char *const string_names[] = {
    "byte", "char", "len", "lower", "rep", "reverse", "sub", "upper", NULL,
};
static const char *const pattern_names[] = {"gmatch", "gsub", "match", NULL};
static const char *const table_names[] = {"concat", "insert", "pack", "remove", "unpack", NULL};
static const char *const math_names[] = {
    "abs", "ceil", "exp", "floor", "fmod", "huge", "log", "max", "maxinteger", "min", "mininteger",
    "pi", "sqrt", "tointeger", "type", "ult", NULL,
};

/* Copies the named fields of the library at `from` to the table at `to`. */
static void copy(lua_State *L, int from, int to, const char *const *names) {
    from = lua_absindex(L, from);
    to = lua_absindex(L, to);
    for (; *names; names++) {
        lua_getfield(L, from, *names);
        lua_setfield(L, to, *names);
    }
}

/* to.name = wrapper, whose upvalue is from.name */
static void wrap(lua_State *L, int from, int to, const char *name, lua_CFunction wrapper) {
    from = lua_absindex(L, from);
    to = lua_absindex(L, to);
    lua_getfield(L, from, name);
    lua_pushcclosure(L, wrapper, 1);
    lua_setfield(L, to, name);
}

static void open_library(lua_State *L, lua_CFunction library) {
    lua_pushcfunction(L, library);
    lua_call(L, 0, 1);
}

/* The table on top becomes the read-only field `name` of the table at `sandbox`. */
static void add_library(lua_State *L, int sandbox, const char *name) {
    lua_pushnil(L);
    gen_push_readonly(L, name);
    lua_setfield(L, sandbox, name);
    lua_pop(L, 1);
}

static void add_string(lua_State *L, int sandbox) {
    open_library(L, luaopen_string);
    lua_newtable(L);
    copy(L, -2, -1, string_names);
    wrap(L, -2, -1, "format", sandbox_format);
    wrap(L, -2, -1, "find", sandbox_find);
    for (int i = 0; pattern_names[i]; i++) wrap(L, -2, -1, pattern_names[i], sandbox_pattern);
    /* ("text"):method() finds the same functions; arithmetic on strings is gone */
    lua_pushliteral(L, "");
    lua_createtable(L, 0, 1);
    lua_pushvalue(L, -3);
    lua_setfield(L, -2, "__index");
    lua_setmetatable(L, -2);
    lua_pop(L, 1);
    add_library(L, sandbox, "string");
}

static void add_table(lua_State *L, int sandbox) {
    open_library(L, luaopen_table);
    lua_newtable(L);
    copy(L, -2, -1, table_names);
    lua_pushcfunction(L, sandbox_sort);
    lua_setfield(L, -2, "sort");
    add_library(L, sandbox, "table");
}

static void add_math(lua_State *L, int sandbox) {
    open_library(L, luaopen_math);
    lua_newtable(L);
    copy(L, -2, -1, math_names);
    add_library(L, sandbox, "math");
}

/* luaopen_base fills the global table, which templates never see. */
void gen_push_sandbox(lua_State *L) {
    lua_newtable(L);
    int sandbox = lua_gettop(L);
    open_library(L, luaopen_base);
    copy(L, -1, sandbox, base_names);
    lua_pop(L, 1);
    lua_pushcfunction(L, sandbox_tostring);
    lua_setfield(L, sandbox, "tostring");
    lua_pushcfunction(L, sandbox_pairs);
    lua_setfield(L, sandbox, "pairs");
    add_string(L, sandbox);
    add_table(L, sandbox);
    add_math(L, sandbox);
}
