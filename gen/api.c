/* api.c - what Lua sees: the environment of a chunk and the functions of moe.*.
 * templates/README.md documents every entry. */
#include "api.h"

#include "arguments.h"
#include "core/occupancy.h"
#include "readonly.h"
#include "rendering.h"
#include "sandbox.h"
#include "schema.h"
#include "values.h"

#include <lauxlib.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* moe.template{...}: checks the table and remembers it as the file's result */
static int api_template(lua_State *L) {
    gen_check_template(L, 1);
    lua_settop(L, 1);
    if (lua_getfield(L, LUA_REGISTRYINDEX, GEN_REGISTRY_TEMPLATE) != LUA_TNIL)
        return luaL_error(L, "moe.template was called before; a file holds one template");
    lua_pushvalue(L, 1);
    lua_setfield(L, LUA_REGISTRYINDEX, GEN_REGISTRY_TEMPLATE);
    lua_settop(L, 1);
    return 1;
}

/* An argument that must be a whole number, at least `low`. */
static lua_Integer whole(lua_State *L, int index, lua_Integer low) {
    lua_Integer value = luaL_checkinteger(L, index);
    if (value < low) luaL_error(L, "argument %d is %I; it must be at least %I", index, value, low);
    return value;
}

static int api_ceil_div(lua_State *L) {
    lua_Integer n = whole(L, 1, 0), m = whole(L, 2, 1);
    lua_pushinteger(L, n / m + (n % m != 0));
    return 1;
}

static int api_align(lua_State *L) {
    lua_Integer n = whole(L, 1, 0), m = whole(L, 2, 1);
    lua_pushinteger(L, (n / m + (n % m != 0)) * m);
    return 1;
}

static int api_log2(lua_State *L) {
    lua_Integer n = whole(L, 1, 1), bits = 0;
    if (n & (n - 1)) return luaL_error(L, "%I is not a power of two", n);
    while (n >>= 1) bits++;
    lua_pushinteger(L, bits);
    return 1;
}

/* moe.tile(rows): which table of tile_start counts tiles of so many rows */
static int api_tile(lua_State *L) {
    lua_Integer rows = luaL_checkinteger(L, 1);
    for (int i = 0; i < MOE_TILE_HEIGHTS; i++)
        if (moe_tile_heights[i] == rows) return lua_pushinteger(L, i), 1;
    return luaL_error(L, "permute counts no tiles of %I rows", rows);
}

/* moe.occupancy(d, threads, registers, smem): blocks of a kernel like this that an SM holds at
 * once */
static int api_occupancy(lua_State *L) {
    moe_facts facts = {0};
    gen_read_arch(L, 1, &facts);
    const moe_kernel kernel = {
        .block = whole(L, 2, 1), .regs = whole(L, 3, 0), .smem = whole(L, 4, 0)};
    lua_pushinteger(L, moe_occupancy(&kernel, &facts));
    return 1;
}

/* moe.loads(p): a list of {experts, rows that each keeps, chance that it gets any}. An expert that
 * keeps nothing is taken for one that keeps a row, as it costs as much. */
static int api_loads(lua_State *L) {
    moe_loads loads;
    moe_load kind;
    gen_read_loads(L, 1, &loads);
    if (loads.most < 1) loads.most = 1;
    gen_charge(L, (double)loads.experts);
    lua_newtable(L);
    for (lua_Integer i = 1; moe_loads_next(&loads, &kind); i++) {
        const double number[] = {kind.experts, kind.rows, kind.used};
        lua_createtable(L, 3, 0);
        for (int n = 0; n < 3; n++) {
            lua_pushnumber(L, number[n]);
            lua_rawseti(L, -2, n + 1);
        }
        lua_rawseti(L, -2, i);
    }
    return 1;
}

static int api_dtype(lua_State *L) {
    const char *name = luaL_checkstring(L, 1);
    int dtype = 0;
    while (moe_float_names[dtype] && strcmp(moe_float_names[dtype], name)) dtype++;
    if (!moe_float_names[dtype])
        return luaL_error(L, "'%s' is no dtype; use bf16, f16 or f32", name);
    lua_createtable(L, 0, 2);
    lua_pushstring(L, moe_dtype_table[dtype].cuda);
    lua_setfield(L, -2, "cuda");
    lua_pushinteger(L, (lua_Integer)moe_dtype_size((moe_dtype)dtype));
    lua_setfield(L, -2, "bytes");
    lua_pushnil(L);
    gen_push_readonly(L, "dtype");
    return 1;
}

/* moe.float(x): the shortest literal that reads back as the same float */
static int api_float(lua_State *L) {
    float value = (float)luaL_checknumber(L, 1);
    char digits[40];
    if (!isfinite(value)) return luaL_error(L, "a float literal must be finite");
    for (int precision = 1; precision <= 9; precision++) {
        snprintf(digits, sizeof digits, "%.*g", precision, (double)value);
        if (strtof(digits, NULL) == value) break;
    }
    lua_pushfstring(L, "%s%sf", digits, strpbrk(digits, ".e") ? "" : ".0");
    return 1;
}

static int api_error(lua_State *L) {
    return luaL_error(L, "%s", luaL_checkstring(L, 1));
}

/* The rendering under way; moe.<function> is an error without one. */
static gen_render *rendering(lua_State *L, const char *function) {
    gen_render *render = gen_host_of(L)->render;
    if (!render) luaL_error(L, "moe.%s works only while the body is rendered", function);
    return render;
}

static int find_include(const moe_gen *gen, const char *name) {
    int at = 0;
    while (at < gen->includes && strcmp(gen->include[at].name, name)) at++;
    return at;
}

/* The file of the include folder called `name`, which the template must name in its text. */
static const gen_file *named_include(lua_State *L, const moe_template *t, const char *name,
                                     uint64_t *bit) {
    int at = find_include(t->gen, name);
    *bit = at < t->gen->includes ? UINT64_C(1) << at : 0;
    if (!*bit) luaL_error(L, "there is no %s/include/%s", t->gen->label, name);
    if (!(t->includes & *bit))
        luaL_error(L, "write the name %s out in the template: its text counts in the template's "
                      "hash", name);
    return &t->gen->include[at];
}

/* moe.use(name): the value that a .lua file of the include folder returns */
static int api_use(lua_State *L) {
    uint64_t bit;
    const char *name = luaL_checkstring(L, 1);
    lua_getfield(L, LUA_REGISTRYINDEX, GEN_REGISTRY_SELF);
    const gen_file *file = named_include(L, lua_touserdata(L, -1), name, &bit);
    if (file->lua) return luaL_error(L, "%s is text for a body; use moe.include", name);
    gen_push_chunk(L, file);
    lua_call(L, 0, 1);
    return 1;
}

/* moe.include(name): the file's text, once; returns "" so that $( ) can call it too */
static int api_include(lua_State *L) {
    const char *name = luaL_checkstring(L, 1);
    gen_render *render = rendering(L, "include");
    uint64_t bit;
    const gen_file *file = named_include(L, render->t, name, &bit);
    if (!file->lua) return luaL_error(L, "%s is no text for a body; use moe.use", name);
    if (!(render->included & bit)) {
        render->included |= bit;
        gen_push_chunk(L, file);
        gen_push_line_writer(L, file->label);
        lua_call(L, 1, 0);
    }
    lua_pushliteral(L, "");
    return 1;
}

/* moe.args(): the text of struct args_<op> */
static int api_args(lua_State *L) {
    char text[GEN_ARGUMENTS_SIZE];
    const gen_render *render = rendering(L, "args");
    gen_arguments_print(render->op->kind, render->launch.maps.count, text, sizeof text);
    lua_pushstring(L, text);
    return 1;
}

/* moe.symbol([kernel]): the name of a kernel that launch returned */
static int api_symbol(lua_State *L) {
    const char *kernel = luaL_optstring(L, 1, NULL);
    const gen_render *render = rendering(L, "symbol");
    const moe_launch *launch = &render->launch;
    if (kernel)
        lua_pushfstring(L, "%s_%s", render->symbol, kernel);
    else
        lua_pushstring(L, render->symbol);
    for (int64_t i = 0; i < launch->kernels; i++)
        if (!strcmp(launch->kernel[i].symbol, lua_tostring(L, -1))) return 1;
    return luaL_error(L, "launch returned no kernel %s", kernel ? kernel : "without a name");
}

static const luaL_Reg functions[] = {
    {"template", api_template}, {"ceil_div", api_ceil_div}, {"align", api_align},
    {"log2", api_log2},         {"dtype", api_dtype},       {"float", api_float},
    {"error", api_error},       {"include", api_include},   {"args", api_args},
    {"symbol", api_symbol},     {"tile", api_tile},         {"use", api_use},
    {"occupancy", api_occupancy}, {"loads", api_loads},     {NULL, NULL},
};

void gen_open_names(lua_State *L) {
    gen_push_sandbox(L);
    luaL_newlib(L, functions);
    lua_pushnil(L);
    gen_push_readonly(L, "moe");
    lua_setfield(L, -2, "moe");
    lua_setfield(L, LUA_REGISTRYINDEX, GEN_REGISTRY_NAMES);
}

/* A view of the names as they are now becomes the chunk's environment. */
static void push_environment(lua_State *L) {
    lua_newtable(L);
    lua_getfield(L, LUA_REGISTRYINDEX, GEN_REGISTRY_NAMES);
    for (lua_pushnil(L); lua_next(L, -2);) {
        lua_pushvalue(L, -2);
        lua_insert(L, -2);
        lua_settable(L, -5);
    }
    lua_pop(L, 1);
    lua_pushnil(L);
    gen_push_readonly(L, "");
}

void gen_push_chunk(lua_State *L, const gen_file *file) {
    const char *text = file->lua ? file->lua : file->text;
    size_t size = file->lua ? file->lua_size : file->size;
    char name[GEN_LABEL_SIZE + 1];
    snprintf(name, sizeof name, "@%s", file->label);
    if (luaL_loadbufferx(L, text, size, name, "t") != LUA_OK) lua_error(L);
    push_environment(L);
    if (!lua_setupvalue(L, -2, 1)) lua_pop(L, 1);
}
