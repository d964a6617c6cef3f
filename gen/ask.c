/* ask.c - what a template's functions answer, as C structs. */
#include "ask.h"

#include "api.h"
#include "geometry.h"
#include "sandbox.h"
#include "schema.h"
#include "table.h"
#include "values.h"

#include <lauxlib.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

/* Pushes a field of the template's table. What its value makes go wrong later is blamed on the line
 * where the function is defined. */
static int push_entry(lua_State *L, const char *name) {
    gen_host *host = gen_host_of(L);
    lua_Debug where;
    lua_getfield(L, LUA_REGISTRYINDEX, GEN_REGISTRY_TEMPLATE);
    int type = lua_getfield(L, -1, name);
    lua_remove(L, -2);
    if (type != LUA_TFUNCTION) return type;
    lua_pushvalue(L, -1);
    lua_getinfo(L, ">S", &where);
    snprintf(host->position, sizeof host->position, "%s:%d", where.short_src, where.linedefined);
    return type;
}

/* Calls template.name(p[, c], d[, b]), which pushes one result. */
static void ask(lua_State *L, const char *name, const gen_question *question, gen_view view) {
    push_entry(L, name);
    gen_push_op(L, question->op, view);
    if (question->config) gen_push_config(L, question->config);
    gen_push_facts(L, question->facts, view);
    if (question->built) gen_push_built(L, question->built, question->facts);
    lua_call(L, 2 + (question->config != NULL) + (question->built != NULL), 1);
}

void gen_ask_params(lua_State *L, const gen_question *question, gen_params *out) {
    if (push_entry(L, "params") == LUA_TFUNCTION) {
        lua_pop(L, 1);
        ask(L, "params", question, GEN_VIEW_SHAPE);
    }
    gen_pop_params(L, out);
}

/* The results `true` or `false, reason` on top of the stack, popped. */
static bool pop_verdict(lua_State *L, const char *what, char *reason) {
    if (!lua_isboolean(L, -2))
        luaL_error(L, "%s: returned a %s; return true, or false and a reason", what,
                   luaL_typename(L, -2));
    bool good = lua_toboolean(L, -2);
    gen_push_text(L, -1);
    snprintf(reason, GEN_REASON_SIZE, "%s",
             good ? "" : lua_isnil(L, -2) ? "no reason given" : lua_tostring(L, -1));
    lua_pop(L, 3);
    return good;
}

bool gen_ask_supports(lua_State *L, const gen_question *question, char *reason) {
    if (push_entry(L, "supports") == LUA_TNIL) {
        lua_pop(L, 1);
        return true;
    }
    gen_push_op(L, question->op, GEN_VIEW_SHAPE);
    gen_push_facts(L, question->facts, GEN_VIEW_SHAPE);
    lua_call(L, 2, 2);
    return pop_verdict(L, "supports", reason);
}

bool gen_call_require(lua_State *L, int p, int c, int d, char *reason) {
    if (push_entry(L, "require") == LUA_TNIL) {
        lua_pop(L, 1);
        return true;
    }
    lua_pushvalue(L, p);
    lua_pushvalue(L, c);
    lua_pushvalue(L, d);
    lua_call(L, 3, 2);
    return pop_verdict(L, "require", reason);
}

bool gen_ask_require(lua_State *L, const gen_question *question, char *reason) {
    int p = lua_gettop(L) + 1;
    gen_push_op(L, question->op, GEN_VIEW_SHAPE);
    gen_push_config(L, question->config);
    gen_push_facts(L, question->facts, GEN_VIEW_SHAPE);
    bool legal = gen_call_require(L, p, p + 1, p + 2, reason);
    lua_settop(L, p - 1);
    return legal;
}

static bool has_param(const gen_params *params, const char *name) {
    for (int i = 0; i < params->count; i++)
        if (!strcmp(params->param[i].name, name)) return true;
    return false;
}

static void check_default_names(lua_State *L, int table, const gen_params *params) {
    for (lua_pushnil(L); lua_next(L, table); lua_pop(L, 1))
        if (lua_type(L, -2) != LUA_TSTRING || !has_param(params, lua_tostring(L, -2))) {
            gen_push_text(L, -2);
            luaL_error(L, "default: '%s' is no parameter", lua_tostring(L, -1));
        }
}

void gen_ask_default(lua_State *L, const gen_question *question, const gen_params *params,
                     moe_config *out) {
    gen_question plain = *question;
    plain.config = NULL;
    ask(L, "default", &plain, GEN_VIEW_CHOOSE);
    int table = lua_gettop(L);
    if (!lua_istable(L, table)) luaL_error(L, "default: not a table");
    check_default_names(L, table, params);
    out->count = params->count;
    for (int i = 0; i < params->count; i++) {
        const char *name = params->param[i].name;
        const char *what = lua_pushfstring(L, "default: %s", name);
        lua_getfield(L, table, name);
        out->param[i].value = gen_pop_integer(L, INT64_MIN, INT64_MAX, what);
        strcpy(out->param[i].name, name);
    }
    lua_settop(L, table - 1);
}

void gen_check_default(lua_State *L, const gen_question *question, const gen_params *params,
                       const moe_config *config) {
    char reason[GEN_REASON_SIZE], text[MOE_CONFIG_TEXT_SIZE];
    gen_question full = *question;
    int64_t index;
    full.config = config;
    moe_config_print(config, text, sizeof text);
    if (gen_params_index(params, config, &index))
        luaL_error(L, "default: '%s': %s", text, moe_error_text());
    bool legal = gen_ask_require(L, &full, reason);
    push_entry(L, "default"); /* which is to blame, not require */
    if (!legal)
        luaL_error(L, "default: '%s' is not legal: %s", text, reason);
    lua_pop(L, 1);
}

void gen_ask_launch(lua_State *L, const gen_question *question, const char *symbol,
                    moe_launch *out) {
    ask(L, "launch", question, GEN_VIEW_SHAPE);
    gen_pop_launch(L, question->facts, symbol, out);
}

static const gen_key cost_keys[] = {
    {"flops", GEN_NUMBER, true},
    {"bytes", GEN_NUMBER, true},
    {"ns", GEN_NUMBER, false},
    {NULL, 0, false},
};

static double get_amount(lua_State *L, int table, const char *key) {
    lua_getfield(L, table, key);
    double value = lua_tonumber(L, -1); /* 0 where there is none */
    if (!isfinite(value) || value < 0) luaL_error(L, "cost: %s is negative or not finite", key);
    lua_pop(L, 1);
    return value;
}

void gen_ask_cost(lua_State *L, const gen_question *question, moe_cost *out) {
    ask(L, "cost", question, GEN_VIEW_CHOOSE);
    int table = lua_gettop(L);
    gen_check_table(L, table, cost_keys, "cost");
    out->flops = get_amount(L, table, "flops");
    out->bytes = get_amount(L, table, "bytes");
    out->ns = get_amount(L, table, "ns");
    lua_settop(L, table - 1);
}
