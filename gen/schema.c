/* schema.c - the shape of a template's table. */
#include "schema.h"

#include "core/op.h"
#include "file.h"
#include "table.h"

#include <ctype.h>
#include <lauxlib.h>
#include <string.h>

#define LARGEST_VALUE (INT64_C(1) << 53) /* what a double holds exactly as well */

static const gen_key template_keys[] = {
    {"name", GEN_STRING, true},
    {"op", GEN_STRING | GEN_TABLE, true},
    {"arch", GEN_TABLE, true},
    {"params", GEN_TABLE | GEN_FUNCTION, true},
    {"max_slots", GEN_NUMBER, false},
    {"supports", GEN_FUNCTION, false},
    {"require", GEN_FUNCTION, false},
    {"default", GEN_FUNCTION, true},
    {"launch", GEN_FUNCTION, true},
    {"cost", GEN_FUNCTION, true},
    {"lib", GEN_TABLE, false},
    {NULL, 0, false},
};

bool gen_is_name(const char *name, size_t size) {
    if (!islower((unsigned char)*name) || strlen(name) >= size) return false;
    for (; *name; name++)
        if (!islower((unsigned char)*name) && !isdigit((unsigned char)*name) && *name != '_')
            return false;
    return true;
}

static void check_op(lua_State *L, int index) {
    moe_op_kind kind;
    if (lua_type(L, index) != LUA_TSTRING || moe_op_kind_parse(lua_tostring(L, index), &kind))
        luaL_error(L, "op: not a list of ops such as {\"gemm_up\", \"gemm_down\"}");
}

static void check_ops(lua_State *L, int table) {
    if (lua_getfield(L, table, "op") == LUA_TTABLE) {
        if (lua_rawlen(L, -1) == 0) luaL_error(L, "op: an empty list");
        for (lua_Integer i = 1; lua_rawgeti(L, -1, i) != LUA_TNIL; i++, lua_pop(L, 1))
            check_op(L, -1);
        lua_pop(L, 1);
    } else {
        check_op(L, -1);
    }
    lua_pop(L, 1);
}

static void check_arch(lua_State *L, int table) {
    int64_t range[2];
    lua_getfield(L, table, "arch");
    for (int i = 0; i < 2; i++) {
        lua_rawgeti(L, -1, i + 1);
        range[i] = gen_pop_integer(L, 0, 999, "arch");
    }
    if (range[0] > range[1] || lua_rawlen(L, -1) != 2)
        luaL_error(L, "arch: should read like {80, 120}, lowest and highest sm");
    lua_pop(L, 1);
}

/* Names that the generator itself gives to constants. */
static bool is_reserved(const char *name) {
    return strlen(name) == 1 && strchr("defk", *name);
}

static void read_values(lua_State *L, int list, const char *what, int *count, int64_t *value) {
    lua_Integer size = (lua_Integer)lua_rawlen(L, list);
    if (size < 1 || size > GEN_MAX_VALUES)
        luaL_error(L, "%s: %d values; it takes 1 to %d", what, (int)size, GEN_MAX_VALUES);
    for (int i = 0; i < size; i++) {
        lua_rawgeti(L, list, i + 1);
        value[i] = gen_pop_integer(L, -LARGEST_VALUE, LARGEST_VALUE, what);
        if (i > 0 && value[i] <= value[i - 1])
            luaL_error(L, "%s: values must ascend, but %I follows %I", what,
                       (LUAI_UACINT)value[i], (LUAI_UACINT)value[i - 1]);
    }
    *count = (int)size;
}

/* One {"bm", {16, 32}} at `entry`. */
static void read_param(lua_State *L, int entry, gen_params *out) {
    if (!lua_istable(L, entry) || lua_rawgeti(L, entry, 1) != LUA_TSTRING ||
        lua_rawgeti(L, entry, 2) != LUA_TTABLE)
        luaL_error(L, "params: entry %d should read like {\"bm\", {16, 32, 64}}", out->count + 1);
    const char *name = lua_tostring(L, -2);
    const char *what = lua_pushfstring(L, "params: %s", name);
    int list = lua_absindex(L, -2);
    if (!gen_is_name(name, sizeof out->param[0].name) || is_reserved(name))
        luaL_error(L, "%s: a name is lower case, shorter than %d, and not d, e, f or k", what,
                   MOE_PARAM_NAME_SIZE);
    for (int i = 0; i < out->count; i++)
        if (!strcmp(out->param[i].name, name)) luaL_error(L, "%s: comes twice", what);
    strcpy(out->param[out->count].name, name);
    read_values(L, list, what, &out->param[out->count].count, out->param[out->count].value);
    out->count++;
}

void gen_pop_params(lua_State *L, gen_params *out) {
    int list = lua_gettop(L);
    out->count = 0;
    if (!lua_istable(L, list)) luaL_error(L, "params: not a list");
    lua_Integer size = (lua_Integer)lua_rawlen(L, list);
    if (size < 1 || size > MOE_MAX_PARAMS)
        luaL_error(L, "params: %d parameters; a template takes 1 to %d", (int)size, MOE_MAX_PARAMS);
    for (lua_Integer i = 1; i <= size; i++) {
        lua_rawgeti(L, list, i);
        read_param(L, list + 1, out);
        lua_settop(L, list);
    }
    lua_pop(L, 1);
}

void gen_check_template(lua_State *L, int index) {
    gen_params params;
    index = lua_absindex(L, index);
    gen_check_table(L, index, template_keys, "template");
    lua_getfield(L, index, "name");
    if (!gen_is_name(lua_tostring(L, -1), GEN_STEM_SIZE))
        luaL_error(L, "name: '%s' should be at most %d lower-case letters, digits and _",
                   lua_tostring(L, -1), GEN_STEM_SIZE - 1);
    lua_pop(L, 1);
    check_ops(L, index);
    check_arch(L, index);
    if (lua_getfield(L, index, "params") == LUA_TTABLE)
        gen_pop_params(L, &params);
    else
        lua_pop(L, 1);
}
