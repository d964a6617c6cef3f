/* geometry.c - the table that `launch` returns, as data for a runtime without Lua. */
#include "geometry.h"

#include "core/map.h"
#include "schema.h"
#include "table.h"

#include <lauxlib.h>
#include <stdio.h>
#include <string.h>

static const gen_key launch_keys[] = {
    {"kernels", GEN_TABLE, true},
    {"align", GEN_NUMBER, false},
    {"scratch", GEN_TABLE, false},
    {"deterministic", GEN_BOOLEAN, false},
    {"maps", GEN_TABLE, false},
    {NULL, 0, false},
};
static const gen_key kernel_keys[] = {
    {"name", GEN_STRING, false},
    {"grid", GEN_TABLE, true},
    {"block", GEN_NUMBER, true},
    {"smem", GEN_NUMBER, false},
    {"cluster", GEN_NUMBER, false},
    {"overlap", GEN_BOOLEAN, false},
    {"cooperative", GEN_BOOLEAN, false},
    {NULL, 0, false},
};
static const gen_key scratch_keys[] = {
    {"fixed", GEN_NUMBER, false},
    {"token", GEN_NUMBER, false},
    {"block", GEN_NUMBER, false},
    {NULL, 0, false},
};

/* {"row_tiles", 64, 12} at the top, popped */
static void pop_grid(lua_State *L, moe_grid *out) {
    char text[96];
    if (!lua_istable(L, -1) || lua_rawgeti(L, -1, 1) != LUA_TSTRING)
        luaL_error(L, "launch: grid: should read like {\"row_tiles\", 64, 12}");
    int64_t number[2] = {1, 1};
    lua_Integer size = (lua_Integer)lua_rawlen(L, -2);
    if (size < 2 || size > 3) luaL_error(L, "launch: grid: a rule and one or two numbers");
    for (int i = 0; i < size - 1; i++) {
        lua_rawgeti(L, -2, i + 2);
        number[i] = gen_pop_integer(L, 1, INT64_C(1) << 40, "launch: grid");
    }
    snprintf(text, sizeof text, "%.32s(%lld,%lld)", lua_tostring(L, -1), (long long)number[0],
             (long long)number[1]);
    if (moe_grid_parse(text, out)) luaL_error(L, "launch: %s", moe_error_text());
    lua_pop(L, 2);
}

static void name_kernel(lua_State *L, int entry, const char *symbol, moe_kernel *out) {
    if (lua_getfield(L, entry, "name") == LUA_TNIL) {
        snprintf(out->symbol, sizeof out->symbol, "%s", symbol);
    } else {
        const char *name = lua_tostring(L, -1);
        if (!gen_is_name(name, 24)) luaL_error(L, "launch: '%s' cannot be a kernel's name", name);
        snprintf(out->symbol, sizeof out->symbol, "%s_%s", symbol, name);
    }
    lua_pop(L, 1);
}

static int64_t get_flag(lua_State *L, int table, const char *key) {
    lua_getfield(L, table, key);
    int64_t flag = lua_toboolean(L, -1);
    lua_pop(L, 1);
    return flag;
}

static void read_kernel(lua_State *L, int entry, const moe_facts *facts, const char *symbol,
                        moe_kernel *out) {
    gen_check_table(L, entry, kernel_keys, "launch: kernel");
    *out = (moe_kernel){0};
    name_kernel(L, entry, symbol, out);
    lua_getfield(L, entry, "grid");
    pop_grid(L, &out->grid);
    out->block = gen_get_integer(L, entry, "block", 1, 1024, 0, "launch");
    out->cluster = gen_get_integer(L, entry, "cluster", 1, 16, 1, "launch");
    out->smem = gen_get_integer(L, entry, "smem", 0, 1 << 20, 0, "launch");
    out->overlap = get_flag(L, entry, "overlap");
    out->cooperative = get_flag(L, entry, "cooperative");
    if (out->smem > facts->smem)
        luaL_error(L, "launch: %I bytes of shared memory, but a block has at most %I on this "
                      "device; let require refuse the config",
                   (LUAI_UACINT)out->smem, (LUAI_UACINT)facts->smem);
}

/* The list of kernels at the top, popped. */
static void pop_kernels(lua_State *L, const moe_facts *facts, const char *symbol,
                        moe_launch *out) {
    int list = lua_gettop(L);
    lua_Integer size = (lua_Integer)lua_rawlen(L, list);
    if (size < 1 || size > MOE_MAX_KERNELS)
        luaL_error(L, "launch: %d kernels; it takes 1 to %d", (int)size, MOE_MAX_KERNELS);
    for (out->kernels = 0; out->kernels < size; out->kernels++) {
        moe_kernel *kernel = &out->kernel[out->kernels];
        lua_rawgeti(L, list, out->kernels + 1);
        read_kernel(L, list + 1, facts, symbol, kernel);
        lua_settop(L, list);
        for (int64_t i = 0; i < out->kernels; i++)
            if (!strcmp(out->kernel[i].symbol, kernel->symbol))
                luaL_error(L, "launch: two kernels of the same name");
    }
    lua_pop(L, 1);
}

static void read_scratch(lua_State *L, int table, moe_launch *out) {
    const int64_t most = INT64_C(1) << 40;
    if (lua_getfield(L, table, "scratch") == LUA_TTABLE) {
        int scratch = lua_gettop(L);
        gen_check_table(L, scratch, scratch_keys, "launch: scratch");
        out->scratch_fixed = gen_get_integer(L, scratch, "fixed", 0, most, 0, "launch: scratch");
        out->scratch_token = gen_get_integer(L, scratch, "token", 0, most, 0, "launch: scratch");
        out->scratch_block = gen_get_integer(L, scratch, "block", 0, most, 0, "launch: scratch");
    }
    lua_pop(L, 1);
}

/* {"up", {64, 128, 2, 1}, 128} at `entry` */
static void read_map(lua_State *L, int entry, moe_map *out) {
    int64_t box[MOE_MAP_RANK];
    if (!lua_istable(L, entry) || lua_rawgeti(L, entry, 1) != LUA_TSTRING ||
        lua_rawgeti(L, entry, 2) != LUA_TTABLE)
        luaL_error(L, "launch: maps: should read like {\"up\", {64, 128, 2, 1}, 128}");
    int sizes = lua_gettop(L), rank = (int)lua_rawlen(L, sizes);
    if (rank > MOE_MAP_RANK) luaL_error(L, "launch: maps: a box of %d dimensions", rank);
    for (int i = 0; i < rank; i++) {
        lua_rawgeti(L, sizes, i + 1);
        box[i] = gen_pop_integer(L, 1, INT32_MAX, "launch: maps");
    }
    lua_rawgeti(L, entry, 3);
    int64_t swizzle = gen_pop_integer(L, 0, 128, "launch: maps: swizzle");
    if (moe_map_make(lua_tostring(L, sizes - 1), rank, box, swizzle, out))
        luaL_error(L, "launch: maps: %s", moe_error_text());
}

static void read_maps(lua_State *L, int table, moe_map_list *out) {
    if (lua_getfield(L, table, "maps") == LUA_TTABLE) {
        int list = lua_gettop(L);
        int64_t size = (int64_t)lua_rawlen(L, list);
        if (size > MOE_MAX_MAPS)
            luaL_error(L, "launch: maps: %d; it takes at most %d", (int)size, MOE_MAX_MAPS);
        for (; out->count < size; out->count++) {
            lua_rawgeti(L, list, out->count + 1);
            read_map(L, list + 1, &out->map[out->count]);
            lua_settop(L, list);
        }
    }
    lua_pop(L, 1);
}

void gen_pop_launch(lua_State *L, const moe_facts *facts, const char *symbol, moe_launch *out) {
    int table = lua_gettop(L);
    *out = (moe_launch){0};
    gen_check_table(L, table, launch_keys, "launch");
    lua_getfield(L, table, "kernels");
    pop_kernels(L, facts, symbol, out);
    out->align = gen_get_integer(L, table, "align", 1, 1 << 16, 1, "launch");
    if (out->align & (out->align - 1)) luaL_error(L, "launch: align must be a power of two");
    read_scratch(L, table, out);
    read_maps(L, table, &out->maps);
    lua_getfield(L, table, "deterministic");
    out->deterministic = lua_isnil(L, -1) || lua_toboolean(L, -1);
    lua_settop(L, table - 1);
}
