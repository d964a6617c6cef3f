/* sort.c - a stable merge sort of a Lua array. Lua's table.sort picks pivots by the clock where an
 * array is long, so equal elements could come out in any order. */
#include "sort.h"

#include <lauxlib.h>

/* list[b] < list[a]? Where not, the element of the left run goes first. */
static int right_first(lua_State *L, int list, int less, lua_Integer a, lua_Integer b) {
    lua_pushvalue(L, less);
    lua_rawgeti(L, list, b);
    lua_rawgeti(L, list, a);
    lua_call(L, 2, 1);
    int result = lua_toboolean(L, -1);
    lua_pop(L, 1);
    return result;
}

/* Merges from[a..middle-1] and from[middle..end-1] into `to`. */
static void merge(lua_State *L, int from, int to, int less, lua_Integer a, lua_Integer middle,
                  lua_Integer end) {
    lua_Integer b = middle;
    for (lua_Integer out = a; out < end; out++) {
        int left = b >= end || (a < middle && !right_first(L, from, less, a, b));
        lua_rawgeti(L, from, left ? a++ : b++);
        lua_rawseti(L, to, out);
    }
}

static lua_Integer least(lua_Integer a, lua_Integer b) { return a < b ? a : b; }

void gen_sort(lua_State *L, int list, int less) {
    list = lua_absindex(L, list);
    less = lua_absindex(L, less);
    lua_Integer count = (lua_Integer)lua_rawlen(L, list);
    luaL_checkstack(L, 8, "sort");
    lua_newtable(L);
    int from = list, to = lua_gettop(L);
    for (lua_Integer run = 1; run < count; run *= 2) {
        for (lua_Integer a = 1; a <= count; a += 2 * run)
            merge(L, from, to, less, a, least(a + run, count + 1), least(a + 2 * run, count + 1));
        int other = from;
        from = to;
        to = other;
    }
    for (lua_Integer i = 1; from != list && i <= count; i++) {
        lua_rawgeti(L, from, i);
        lua_rawseti(L, list, i);
    }
    lua_pop(L, 1);
}
