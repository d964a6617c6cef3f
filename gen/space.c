/* space.c - the legal configs of a template for an op on a device.
 *
 * All configs are numbered by their parameters' values, last parameter fastest; `require` is asked
 * once for each, and the numbers of the legal ones are kept in order. */
#include "ask.h"
#include "template.h"
#include "values.h"

#include <stdlib.h>

enum { LARGEST_SPACE = 1 << 20, STEPS_A_CONFIG = 2000 };

struct moe_space {
    const moe_template *t;
    moe_op op;
    moe_facts facts;
    gen_params params;
    int64_t total, count;
    uint32_t *legal; /* numbers of the legal configs, ascending */
};

static int read_params(lua_State *L) {
    moe_space *space = lua_touserdata(L, 1);
    gen_question question = {.op = &space->op, .facts = &space->facts};
    gen_ask_params(L, &question, &space->params);
    return 0;
}

static int list_legal(lua_State *L) {
    moe_space *space = lua_touserdata(L, 1);
    char reason[GEN_REASON_SIZE];
    gen_push_op(L, &space->op, GEN_VIEW_SHAPE);
    gen_push_facts(L, &space->facts, GEN_VIEW_SHAPE);
    for (int64_t at = 0; at < space->total; at++) {
        moe_config config;
        gen_params_config(&space->params, at, &config);
        gen_push_config(L, &config);
        if (gen_call_require(L, 2, 4, 3, reason)) space->legal[space->count++] = (uint32_t)at;
        lua_settop(L, 3);
    }
    return 0;
}

static moe_status enumerate(moe_space *space, gen_host *host) {
    MOE_TRY(gen_host_run(host, read_params, space, GEN_STEPS));
    space->total = gen_params_total(&space->params);
    if (space->total > LARGEST_SPACE)
        return moe_fail(MOE_E_TEMPLATE, "%s: params: more than %d configs; offer fewer values",
                        space->t->lua.label, LARGEST_SPACE);
    space->legal = malloc((size_t)space->total * sizeof *space->legal);
    if (!space->legal) return moe_fail(MOE_E_MEMORY, "%s: out of memory", space->t->name);
    return gen_host_run(host, list_legal, space, GEN_STEPS + STEPS_A_CONFIG * space->total);
}

moe_status moe_space_open(const moe_template *t, const moe_op *op, const moe_facts *facts,
                          moe_space **out) {
    gen_host *host = NULL;
    MOE_TRY(gen_template_check(t, op, facts));
    moe_space *space = calloc(1, sizeof *space);
    if (!space) return moe_fail(MOE_E_MEMORY, "%s: out of memory", t->name);
    space->t = t;
    space->op = *op;
    space->facts = *facts;
    moe_status status = gen_template_host(t, &host);
    if (!status) status = enumerate(space, host);
    gen_host_close(host);
    if (status) {
        moe_space_close(space);
        return status;
    }
    *out = space;
    return MOE_OK;
}

void moe_space_close(moe_space *space) {
    if (!space) return;
    free(space->legal);
    free(space);
}

int64_t moe_space_count(const moe_space *space) { return space->count; }

int64_t moe_space_total(const moe_space *space) { return space->total; }

moe_status moe_space_config(const moe_space *space, int64_t index, moe_config *out) {
    if (index < 0 || index >= space->count)
        return moe_fail(MOE_E_INVALID, "%s: config %lld of %lld", space->t->name,
                        (long long)index, (long long)space->count);
    gen_params_config(&space->params, space->legal[index], out);
    return MOE_OK;
}

/* The index of a config by its number among all; -1 if it is not legal. */
static int64_t find_legal(const moe_space *space, int64_t number) {
    int64_t low = 0, high = space->count;
    while (low < high) {
        int64_t middle = low + (high - low) / 2;
        if (space->legal[middle] < number) low = middle + 1;
        else high = middle;
    }
    return low < space->count && space->legal[low] == number ? low : -1;
}

/* Asks again why a config is not legal. */
typedef struct inquiry {
    gen_question question;
    char reason[GEN_REASON_SIZE];
} inquiry;

static int ask_reason(lua_State *L) {
    inquiry *job = lua_touserdata(L, 1);
    gen_ask_require(L, &job->question, job->reason);
    return 0;
}

static moe_status fail_illegal(const moe_space *space, const moe_config *config) {
    inquiry job = {.question = {&space->op, &space->facts, config}};
    MOE_TRY(gen_host_run(space->t->host, ask_reason, &job, GEN_STEPS));
    return moe_fail(MOE_E_INVALID, "%s: config: not legal: %s", space->t->name, job.reason);
}

moe_status moe_space_index(const moe_space *space, const moe_config *config, int64_t *out) {
    int64_t number;
    moe_status status = gen_params_index(&space->params, config, &number);
    if (status) return moe_fail_context(status, "%s", space->t->name);
    int64_t index = find_legal(space, number);
    if (index < 0) return fail_illegal(space, config);
    *out = index;
    return MOE_OK;
}

/* The next legal config from `number` in steps of `stride`, at most `steps` of them; -1 if none. */
static int64_t walk(const moe_space *space, int64_t number, int64_t stride, int64_t steps) {
    for (; steps > 0; steps--) {
        number += stride;
        int64_t index = find_legal(space, number);
        if (index >= 0) return index;
    }
    return -1;
}

int moe_space_neighbours(const moe_space *space, int64_t index, int64_t *out, int room) {
    int found = 0;
    int64_t stride = 1;
    if (index < 0 || index >= space->count) return 0;
    int64_t number = space->legal[index];
    for (int i = space->params.count - 1; i >= 0; i--) {
        int64_t values = space->params.param[i].count, at = number / stride % values;
        int64_t next[2] = {walk(space, number, -stride, at),
                           walk(space, number, stride, values - 1 - at)};
        for (int side = 0; side < 2; side++)
            if (next[side] >= 0 && found < room) out[found++] = next[side];
        stride *= values;
    }
    return found;
}
