/* schema.c - a template's table: its shape, and what its functions answer, as C structs. */
#include "schema.h"

#include "api.h"
#include "choice.h"
#include "sandbox.h"
#include "table.h"
#include "values.h"

#include <ctype.h>
#include <lauxlib.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#define BOOLEAN GEN_IS(LUA_TBOOLEAN)
#define FUNCTION GEN_IS(LUA_TFUNCTION)
#define NUMBER GEN_IS(LUA_TNUMBER)
#define STRING GEN_IS(LUA_TSTRING)
#define TABLE GEN_IS(LUA_TTABLE)

static const gen_key template_keys[] = {
    {"name", STRING, true},         {"op", STRING | TABLE, true},  {"arch", TABLE, true},
    {"params", TABLE | FUNCTION, true}, {"supports", FUNCTION, false}, {"require", FUNCTION, false},
    {"default", FUNCTION, true},    {"launch", FUNCTION, true},    {"cost", FUNCTION, true},
    {"lib", TABLE, false},          {NULL, 0, false},
};
static const gen_key launch_keys[] = {
    {"kernels", TABLE, true},       {"align", NUMBER, false},   {"scratch", TABLE, false},
    {"deterministic", BOOLEAN, false}, {NULL, 0, false},
};
static const gen_key kernel_keys[] = {
    {"name", STRING, false}, {"grid", TABLE, true},     {"block", NUMBER, true},
    {"smem", NUMBER, false}, {"cluster", NUMBER, false}, {NULL, 0, false},
};
static const gen_key scratch_keys[] = {
    {"fixed", NUMBER, false}, {"token", NUMBER, false}, {"block", NUMBER, false}, {NULL, 0, false},
};
static const gen_key cost_keys[] = {
    {"flops", NUMBER, true}, {"bytes", NUMBER, true}, {"ns", NUMBER, false}, {NULL, 0, false},
};

/* ------------------------------------------------------------------ the shape of the table */

/* A name that can stand in C, in lower case. */
static bool is_name(const char *name, size_t size) {
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

#define LARGEST_VALUE (INT64_C(1) << 53) /* what a double holds exactly as well */

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
    if (!is_name(name, sizeof out->param[0].name) || is_reserved(name))
        luaL_error(L, "%s: a name is lower case, shorter than %d, and not d, e, f or k", what,
                   MOE_PARAM_NAME_SIZE);
    for (int i = 0; i < out->count; i++)
        if (!strcmp(out->param[i].name, name)) luaL_error(L, "%s: comes twice", what);
    strcpy(out->param[out->count].name, name);
    read_values(L, list, what, &out->param[out->count].count, out->param[out->count].value);
    out->count++;
}

/* The list of parameters on top of the stack, popped. */
static void pop_params(lua_State *L, gen_params *out) {
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
    if (!is_name(lua_tostring(L, -1), 33))
        luaL_error(L, "name: '%s' should be at most 32 lower-case letters, digits and _",
                   lua_tostring(L, -1));
    lua_pop(L, 1);
    check_ops(L, index);
    check_arch(L, index);
    if (lua_getfield(L, index, "params") == LUA_TTABLE)
        pop_params(L, &params);
    else
        lua_pop(L, 1);
}

/* ------------------------------------------------------------------ asking its functions */

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

/* Calls template.name(p[, c], d), which pushes one result. */
static void ask(lua_State *L, const char *name, const gen_question *question, gen_view view) {
    push_entry(L, name);
    gen_push_op(L, question->op, view);
    if (question->config) gen_push_config(L, question->config);
    gen_push_facts(L, question->facts, view);
    lua_call(L, question->config ? 3 : 2, 1);
}

void gen_ask_params(lua_State *L, const gen_question *question, gen_params *out) {
    if (push_entry(L, "params") == LUA_TFUNCTION) {
        lua_pop(L, 1);
        ask(L, "params", question, GEN_VIEW_SHAPE);
    }
    pop_params(L, out);
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
    if (!gen_ask_require(L, &full, reason))
        luaL_error(L, "default: '%s' is not legal: %s", text, reason);
}

/* ------------------------------------------------------------------ launch and cost */

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
        if (!is_name(name, 24)) luaL_error(L, "launch: '%s' cannot be a kernel's name", name);
        snprintf(out->symbol, sizeof out->symbol, "%s_%s", symbol, name);
    }
    lua_pop(L, 1);
}

static void read_kernel(lua_State *L, int entry, const gen_question *question, const char *symbol,
                        moe_kernel *out) {
    gen_check_table(L, entry, kernel_keys, "launch: kernel");
    *out = (moe_kernel){0};
    name_kernel(L, entry, symbol, out);
    lua_getfield(L, entry, "grid");
    pop_grid(L, &out->grid);
    out->block = gen_get_integer(L, entry, "block", 1, 1024, 0, "launch");
    out->cluster = gen_get_integer(L, entry, "cluster", 1, 16, 1, "launch");
    out->smem = gen_get_integer(L, entry, "smem", 0, 1 << 20, 0, "launch");
    if (out->smem > question->facts->smem)
        luaL_error(L, "launch: %I bytes of shared memory, but a block has at most %I on this "
                      "device; let require refuse the config",
                   (LUAI_UACINT)out->smem, (LUAI_UACINT)question->facts->smem);
}

/* The list of kernels at the top, popped. */
static void pop_kernels(lua_State *L, const gen_question *question, const char *symbol,
                        moe_launch *out) {
    int list = lua_gettop(L);
    lua_Integer size = (lua_Integer)lua_rawlen(L, list);
    if (size < 1 || size > MOE_MAX_KERNELS)
        luaL_error(L, "launch: %d kernels; it takes 1 to %d", (int)size, MOE_MAX_KERNELS);
    for (out->kernels = 0; out->kernels < size; out->kernels++) {
        moe_kernel *kernel = &out->kernel[out->kernels];
        lua_rawgeti(L, list, out->kernels + 1);
        read_kernel(L, list + 1, question, symbol, kernel);
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

void gen_ask_launch(lua_State *L, const gen_question *question, const char *symbol,
                    moe_launch *out) {
    ask(L, "launch", question, GEN_VIEW_SHAPE);
    int table = lua_gettop(L);
    *out = (moe_launch){0};
    gen_check_table(L, table, launch_keys, "launch");
    lua_getfield(L, table, "kernels");
    pop_kernels(L, question, symbol, out);
    out->align = gen_get_integer(L, table, "align", 1, 1 << 16, 1, "launch");
    if (out->align & (out->align - 1)) luaL_error(L, "launch: align must be a power of two");
    read_scratch(L, table, out);
    lua_getfield(L, table, "deterministic");
    out->deterministic = lua_isnil(L, -1) || lua_toboolean(L, -1);
    lua_settop(L, table - 1);
}

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
