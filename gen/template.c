/* template.c - a template in memory: loading, identity, and its own answers. */
#include "template.h"

#include "api.h"
#include "arguments.h"
#include "ask.h"
#include "table.h"

#include <lauxlib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

/* Runs the .lua and takes over what it says of itself. `job` is the template, or NULL for a state
 * that only needs the table. */
static int load_lua(lua_State *L) {
    const moe_template *t = lua_touserdata(L, 1);
    gen_open_names(L);
    lua_pushlightuserdata(L, (void *)(uintptr_t)t);
    lua_setfield(L, LUA_REGISTRYINDEX, GEN_REGISTRY_SELF);
    gen_push_chunk(L, &t->lua);
    lua_call(L, 0, 1);
    lua_getfield(L, LUA_REGISTRYINDEX, GEN_REGISTRY_TEMPLATE);
    if (lua_isnil(L, -1) || !lua_rawequal(L, -1, -2)) {
        lua_pushfstring(L, "%s: must end with: return moe.template{ name = \"%s\", ... }",
                        t->lua.label, t->name);
        return lua_error(L);
    }
    return 0;
}

static void add_op(lua_State *L, moe_template *t) {
    moe_op_kind kind;
    if (!moe_op_kind_parse(lua_tostring(L, -1), &kind)) t->op[kind] = true;
}

/* Copies the checked table's head. */
static int describe(lua_State *L) {
    moe_template *t = lua_touserdata(L, 1);
    lua_getfield(L, LUA_REGISTRYINDEX, GEN_REGISTRY_TEMPLATE);
    lua_getfield(L, 2, "name");
    if (strcmp(lua_tostring(L, -1), t->name))
        return luaL_error(L, "name: '%s' should be '%s', as the file", lua_tostring(L, -1),
                          t->name);
    if (lua_getfield(L, 2, "op") == LUA_TSTRING) add_op(L, t);
    else
        for (lua_Integer i = 1; lua_rawgeti(L, 4, i) != LUA_TNIL; i++, lua_pop(L, 1)) add_op(L, t);
    t->max_slots = gen_get_integer(L, 2, "max_slots", 1, INT32_MAX, 0, "max_slots");
    lua_getfield(L, 2, "arch");
    for (int i = 0; i < 2; i++) {
        lua_rawgeti(L, -1 - i, i + 1);
        t->arch[i] = lua_tointeger(L, -1);
    }
    return 0;
}

/* Raises the syntax errors of the body and of the files it includes. */
static int check_syntax(lua_State *L) {
    const moe_template *t = lua_touserdata(L, 1);
    gen_push_chunk(L, &t->cu);
    for (int i = 0; i < t->gen->includes; i++)
        if (t->includes & UINT64_C(1) << i) gen_push_chunk(L, &t->gen->include[i]);
    return 0;
}

/* The files of the include folder that a text names. */
static uint64_t named_in(const moe_gen *gen, const char *text) {
    uint64_t set = 0;
    for (int i = 0; i < gen->includes; i++)
        if (strstr(text, gen->include[i].name)) set |= UINT64_C(1) << i;
    return set;
}

/* All files that the template can include, through others too. */
static uint64_t find_includes(const moe_template *t) {
    uint64_t set = named_in(t->gen, t->lua.text) | named_in(t->gen, t->cu.text), before;
    do {
        before = set;
        for (int i = 0; i < t->gen->includes; i++)
            if (set & UINT64_C(1) << i) set |= named_in(t->gen, t->gen->include[i].text);
    } while (set != before);
    return set;
}

static void hash_text(XXH64_state_t *state, const char *name, const char *text, size_t size) {
    XXH64_update(state, name, strlen(name) + 1);
    XXH64_update(state, &size, sizeof size);
    XXH64_update(state, text, size);
}

/* Over every text that can reach a source: both files, what they include, and the structs of
 * arguments, whose order the runtime relies on. */
static uint64_t hash_template(const moe_template *t, XXH64_state_t *state) {
    XXH64_reset(state, 0);
    hash_text(state, t->lua.name, t->lua.text, t->lua.size);
    hash_text(state, t->cu.name, t->cu.text, t->cu.size);
    for (int i = 0; i < t->gen->includes; i++) {
        const gen_file *file = &t->gen->include[i];
        if (t->includes & UINT64_C(1) << i) hash_text(state, file->name, file->text, file->size);
    }
    for (int i = 0; i < MOE_OP_COUNT; i++) {
        char text[GEN_ARGUMENTS_SIZE];
        if (!t->op[i]) continue;
        gen_arguments_print((moe_op_kind)i, 0, text, sizeof text);
        hash_text(state, moe_op_names[i], text, strlen(text));
    }
    return XXH64_digest(state);
}

static moe_status identify(moe_template *t) {
    XXH64_state_t *state = XXH64_createState();
    if (!state) return moe_fail(MOE_E_MEMORY, "%s: out of memory", t->lua.label);
    t->hash = hash_template(t, state);
    XXH64_freeState(state);
    snprintf(t->id, sizeof t->id, "%s@%08x", t->name, (unsigned)(t->hash >> 32));
    return MOE_OK;
}

moe_status gen_template_host(const moe_template *t, gen_host **out) {
    gen_host *host;
    MOE_TRY(gen_host_open(t->lua.label, &host));
    moe_status status = gen_host_run(host, load_lua, (void *)(uintptr_t)t, GEN_STEPS);
    if (status) {
        gen_host_close(host);
        return status;
    }
    *out = host;
    return MOE_OK;
}

static moe_status read_files(moe_template *t, const char *folder) {
    char name[GEN_NAME_SIZE];
    snprintf(name, sizeof name, "%s.lua", t->name);
    MOE_TRY(gen_file_open(folder, t->gen->label, name, false, &t->lua));
    snprintf(name, sizeof name, "%s.cu", t->name);
    return gen_file_open(folder, t->gen->label, name, true, &t->cu);
}

moe_status gen_template_open(const moe_gen *gen, const char *folder, const char *stem,
                             moe_template **out) {
    if (strlen(stem) >= GEN_STEM_SIZE)
        return moe_fail(MOE_E_TEMPLATE, "%s/%.64s.lua: the name is longer than %d characters",
                        gen->label, stem, GEN_STEM_SIZE - 1);
    moe_template *t = calloc(1, sizeof *t);
    if (!t) return moe_fail(MOE_E_MEMORY, "%s: out of memory", stem);
    t->gen = gen;
    snprintf(t->name, sizeof t->name, "%s", stem);
    moe_status status = read_files(t, folder);
    if (!status) {
        t->includes = find_includes(t);
        status = gen_template_host(t, &t->host);
    }
    if (!status) status = gen_host_run(t->host, describe, t, GEN_STEPS);
    if (!status) status = gen_host_run(t->host, check_syntax, t, GEN_STEPS);
    if (!status) status = identify(t);
    if (status) {
        gen_template_close(t);
        return status;
    }
    *out = t;
    return MOE_OK;
}

void gen_template_close(moe_template *t) {
    if (!t) return;
    gen_host_close(t->host);
    gen_file_close(&t->lua);
    gen_file_close(&t->cu);
    free(t);
}

const char *moe_template_name(const moe_template *t) { return t->name; }

const char *moe_template_id(const moe_template *t) { return t->id; }

/* ------------------------------------------------------------------ questions */

typedef struct answer {
    gen_question question;
    gen_params params;
    moe_config config;
    moe_cost cost;
    moe_launch launch;
    bool good;
    char reason[GEN_REASON_SIZE];
} answer;

static int answer_supports(lua_State *L) {
    answer *job = lua_touserdata(L, 1);
    job->good = gen_ask_supports(L, &job->question, job->reason);
    return 0;
}

static int answer_default(lua_State *L) {
    answer *job = lua_touserdata(L, 1);
    gen_ask_params(L, &job->question, &job->params);
    gen_ask_default(L, &job->question, &job->params, &job->config);
    gen_check_default(L, &job->question, &job->params, &job->config);
    return 0;
}

static int answer_cost(lua_State *L) {
    answer *job = lua_touserdata(L, 1);
    gen_ask_cost(L, &job->question, &job->cost);
    return 0;
}

static int answer_launch(lua_State *L) {
    answer *job = lua_touserdata(L, 1);
    gen_ask_launch(L, &job->question, "", &job->launch);
    return 0;
}

/* Bodies read weights as they read x; what is stored otherwise none of them takes. */
static moe_status check_weights(const moe_template *t, const moe_op *op) {
    if (op->layer.w == op->layer.x) return MOE_OK;
    const moe_field *w = moe_field_find(moe_op_fields, "w");
    if (!(moe_op_mask(op) & UINT64_C(1) << (w - moe_op_fields))) return MOE_OK;
    return moe_fail(MOE_E_INVALID, "%s takes weights of x's dtype, %s, not w=%s", t->name,
                    moe_dtype_names[op->layer.x], moe_dtype_names[op->layer.w]);
}

moe_status gen_template_check(const moe_template *t, const moe_op *op, const moe_facts *facts) {
    answer job = {.question = {.op = op, .facts = facts}};
    if (!t->op[op->kind])
        return moe_fail(MOE_E_INVALID, "%s makes no %s", t->name, moe_op_names[op->kind]);
    if (facts->sm < t->arch[0] || facts->sm > t->arch[1])
        return moe_fail(MOE_E_INVALID, "%s serves sm_%d to sm_%d, not %s", t->name,
                        (int)t->arch[0], (int)t->arch[1], facts->arch);
    if (t->max_slots && op->t > t->max_slots / op->layer.k)
        return moe_fail(MOE_E_INVALID, "%s serves at most %lld routed rows", t->name,
                        (long long)t->max_slots);
    MOE_TRY(check_weights(t, op));
    MOE_TRY(gen_host_run(t->host, answer_supports, &job, GEN_STEPS));
    return job.good ? MOE_OK : moe_fail(MOE_E_INVALID, "%s: %s", t->name, job.reason);
}

bool moe_template_serves(const moe_template *t, const moe_op *op, const moe_facts *facts,
                         char *reason, size_t size) {
    moe_status status = gen_template_check(t, op, facts);
    if (reason && size) snprintf(reason, size, "%s", status ? moe_error_text() : "");
    return !status;
}

moe_status moe_template_default(const moe_template *t, const moe_op *op, const moe_facts *facts,
                                moe_config *out) {
    answer job = {.question = {.op = op, .facts = facts}};
    MOE_TRY(gen_host_run(t->host, answer_default, &job, GEN_STEPS));
    *out = job.config;
    return MOE_OK;
}

moe_status moe_template_cost(const moe_template *t, const moe_op *op, const moe_facts *facts,
                             const moe_config *config, const moe_launch *built, moe_cost *out) {
    answer job = {.question = {.op = op, .facts = facts, .config = config, .built = built}};
    MOE_TRY(gen_host_run(t->host, answer_cost, &job, GEN_STEPS));
    *out = job.cost;
    return MOE_OK;
}

moe_status moe_template_repeats(const moe_template *t, const moe_op *op, const moe_facts *facts,
                                const moe_config *config, bool *out) {
    answer job = {.question = {.op = op, .facts = facts, .config = config}};
    MOE_TRY(gen_host_run(t->host, answer_launch, &job, GEN_STEPS));
    *out = job.launch.deterministic != 0;
    return MOE_OK;
}
