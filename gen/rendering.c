/* rendering.c - the lines of a body as they come, with marks that keep the compiler in step with
 * the template. */
#include "rendering.h"

#include <lauxlib.h>
#include <string.h>

enum { LARGEST_SOURCE = 4 << 20 };

/* Tells the compiler which template line comes next, where it would not know by counting. */
static void mark_line(gen_render *render, const char *label, int64_t line) {
    if (!render->plain && (render->line != line || render->label != label))
        gen_buffer_format(&render->text, "#line %lld \"%s\"\n", (long long)line, label);
    render->label = label;
    render->line = line + 1;
}

static void add_part(lua_State *L, gen_render *render, int index) {
    size_t size;
    int type = lua_type(L, index);
    if (type == LUA_TBOOLEAN) {
        gen_buffer_format(&render->text, lua_toboolean(L, index) ? "true" : "false");
        return;
    }
    if (type == LUA_TNUMBER && !lua_isinteger(L, index))
        luaL_error(L, "$( ) got the float %f; use // for a whole number or moe.float for a literal",
                   lua_tonumber(L, index));
    if (type != LUA_TNUMBER && type != LUA_TSTRING)
        luaL_error(L, "$( ) got a %s; it takes text, whole numbers and booleans",
                   luaL_typename(L, index));
    const char *text = lua_tolstring(L, index, &size);
    for (const char *at = text; (at = memchr(at, '\n', size - (size_t)(at - text))); at++)
        render->line++; /* the compiler counts this line as well */
    gen_buffer_add(&render->text, text, size);
}

/* line(number, part, ...). Upvalue: label of the file. */
static int write_line(lua_State *L) {
    gen_render *render = gen_host_of(L)->render;
    if (!render) return luaL_error(L, "text lines work only while the body is rendered");
    mark_line(render, lua_touserdata(L, lua_upvalueindex(1)), lua_tointeger(L, 1));
    int count = lua_gettop(L);
    for (int i = 2; i <= count; i++) add_part(L, render, i);
    gen_buffer_add(&render->text, "\n", 1);
    if (render->text.failed) return luaL_error(L, "out of memory");
    if (render->text.size > LARGEST_SOURCE)
        return luaL_error(L, "the source is larger than %d bytes", LARGEST_SOURCE);
    return 0;
}

void gen_push_line_writer(lua_State *L, const char *label) {
    lua_pushlightuserdata(L, (void *)(uintptr_t)label);
    lua_pushcclosure(L, write_line, 1);
}
