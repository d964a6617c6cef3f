/* values.c - what a template may know: p (the op), c (the config) and d (the device). */
#include "values.h"

#include "core/occupancy.h"
#include "core/router.h"
#include "readonly.h"

#include <lauxlib.h>
#include <string.h>

static const char *const workload[] = {"t", "routing", "cache", "capacity_rows", NULL};

#define SERVES_TOKENS                                                                              \
    "is known only to default and cost: one kernel serves every token count, routing and cache"
#define SERVES_DEVICES                                                                             \
    "is not known to the body: one kernel serves every device of its arch; use it in params, "    \
    "require or launch, or make it a parameter"

/* Facts of the arch come first: the body may use these. A name such as "sim:h100" is in neither
 * list, so a template cannot tell a simulated device from a real one. */
enum { ARCH_FACTS = 6 };

#define AT(member) offsetof(moe_facts, member)
static const moe_field numbers[] = {
    {"sm", AT(sm), &moe_field_integer, NULL, NULL, 0, 0, false},
    {"smem", AT(smem), &moe_field_integer, NULL, NULL, 0, 0, false},
    {"smem_sm", AT(smem_sm), &moe_field_integer, NULL, NULL, 0, 0, false},
    {"regs_sm", AT(regs_sm), &moe_field_integer, NULL, NULL, 0, 0, false},
    {"threads_sm", AT(threads_sm), &moe_field_integer, NULL, NULL, 0, 0, false},
    {"blocks_sm", AT(blocks_sm), &moe_field_integer, NULL, NULL, 0, 0, false},
    {"sms", AT(sms), &moe_field_integer, NULL, NULL, 0, 0, false},
    {"l2", AT(l2), &moe_field_integer, NULL, NULL, 0, 0, false},
    {"memory", AT(memory), &moe_field_integer, NULL, NULL, 0, 0, false},
    {"clock", AT(clock), &moe_field_integer, NULL, NULL, 0, 0, false},
    {"bandwidth", AT(bandwidth), &moe_field_integer, NULL, NULL, 0, 0, false},
    {"tensor_rate", AT(tensor_rate), &moe_field_integer, NULL, NULL, 0, 0, false},
    {NULL, 0, NULL, NULL, NULL, 0, 0, false},
};
#undef AT

static void set_integer(lua_State *L, const char *name, int64_t value) {
    lua_pushinteger(L, value);
    lua_setfield(L, -2, name);
}

static void set_number(lua_State *L, const char *name, double value) {
    lua_pushnumber(L, value);
    lua_setfield(L, -2, name);
}

static void set_boolean(lua_State *L, const char *name, bool value) {
    lua_pushboolean(L, value);
    lua_setfield(L, -2, name);
}

static void set_text(lua_State *L, const char *name, const char *value) {
    lua_pushstring(L, value);
    lua_setfield(L, -2, name);
}

static void set_field(lua_State *L, const moe_field *field, const void *object) {
    const void *value = (const char *)object + field->offset;
    char data[128];
    moe_text text = moe_text_start(data, sizeof data);
    if (field->type->integer) {
        set_integer(L, field->name, *(const int64_t *)value);
        return;
    }
    field->type->print(field, value, &text);
    set_text(L, field->name, data);
}

/* A router's choices, as p.router_NAME. */
static void set_router(lua_State *L, const moe_router *router) {
    set_text(L, "router_rule", moe_rule_table[router->rule].name);
    set_text(L, "router_pick", moe_pick_table[router->pick].name);
    set_text(L, "router_second", moe_second_table[router->second].name);
    set_number(L, "router_jitter_input", router->jitter_input);
    set_number(L, "router_noise", router->noise);
    set_text(L, "router_score", moe_score_table[router->score].name);
    set_text(L, "router_weigh", moe_weigh_table[router->weigh].name);
    set_text(L, "router_group_rule", moe_group_table[router->group_rule].name);
    set_integer(L, "router_groups", router->groups);
    set_integer(L, "router_groups_kept", router->groups_kept);
    set_boolean(L, "router_key_bias", router->key_bias);
    set_boolean(L, "router_zero_fill", router->zero_fill);
    set_boolean(L, "router_by_logits", moe_router_selects_logits(router));
    set_boolean(L, "router_among", moe_router_among_chosen(router));
    set_boolean(L, "router_renorm", router->renorm);
    set_boolean(L, "router_input", router->input);
    set_number(L, "router_epsilon", router->epsilon);
    set_number(L, "router_scale", router->scale);
    set_number(L, "router_jitter", router->jitter);
    set_integer(L, "router_heads", router->heads);
    set_integer(L, "router_keys", router->keys);
    set_integer(L, "router_key_width", router->key_width);
}

/* What follows from the fields, so that no template has to take their text apart. */
static void set_derived(lua_State *L, const moe_op *op) {
    const moe_layer *layer = &op->layer;
    bool act = moe_op_mask(op) &
               UINT64_C(1) << (moe_field_find(moe_op_fields, "act") - moe_op_fields);
    set_text(L, "kind", moe_op_names[op->kind]);
    set_text(L, "act_kind", moe_act_names[layer->act.kind]);
    set_number(L, "act_limit", layer->act.limit);
    set_number(L, "act_alpha", layer->act.alpha);
    set_router(L, &layer->router);
    set_boolean(L, "gated", act && moe_layer_gated(layer));
    set_integer(L, "up_rows", act ? moe_layer_up_rows(layer) : layer->f);
    set_integer(L, "held", moe_layer_held(layer));
    set_integer(L, "shared_experts", moe_layer_shared_experts(layer));
    set_boolean(L, "shared_gated", layer->shared.gated);
    set_integer(L, "listed", moe_layer_listed(layer));
    set_boolean(L, "bias_router", layer->bias & MOE_BIAS_ROUTER);
    set_boolean(L, "bias_up", layer->bias & MOE_BIAS_UP);
    set_boolean(L, "bias_down", layer->bias & MOE_BIAS_DOWN);
    set_text(L, "router_w", moe_dtype_names[moe_layer_router_dtype(layer)]);
    set_integer(L, "router_wbytes", (int64_t)moe_dtype_size(moe_layer_router_dtype(layer)));
    set_integer(L, "xbytes", (int64_t)moe_dtype_size(layer->x));
    set_integer(L, "wbytes", (int64_t)moe_dtype_size(layer->w));
}

static bool depends_on_workload(const char *name) {
    for (int i = 0; workload[i]; i++)
        if (!strcmp(workload[i], name)) return true;
    return false;
}

void gen_push_op(lua_State *L, const moe_op *op, gen_view view) {
    lua_newtable(L);
    for (const moe_field *field = moe_op_fields; field->name; field++)
        if (view == GEN_VIEW_CHOOSE || !depends_on_workload(field->name)) set_field(L, field, op);
    set_derived(L, op);
    if (view == GEN_VIEW_CHOOSE)
        set_integer(L, "capacity_rows", moe_layer_capacity(&op->layer, op->t));
    lua_newtable(L);
    for (int i = 0; workload[i]; i++) set_text(L, workload[i], SERVES_TOKENS);
    gen_push_readonly(L, "p");
}

void gen_push_facts(lua_State *L, const moe_facts *facts, gen_view view) {
    lua_newtable(L);
    set_text(L, "arch", facts->arch);
    for (const moe_field *field = numbers; field->name; field++)
        if (view != GEN_VIEW_BODY || field - numbers < ARCH_FACTS) set_field(L, field, facts);
    lua_newtable(L);
    for (const moe_field *field = numbers; field->name; field++)
        set_text(L, field->name, SERVES_DEVICES);
    gen_push_readonly(L, "d");
}

void gen_push_config(lua_State *L, const moe_config *config) {
    lua_newtable(L);
    for (int64_t i = 0; i < config->count; i++)
        set_integer(L, config->param[i].name, config->param[i].value);
    lua_pushnil(L);
    gen_push_readonly(L, "c");
}

static int64_t get_integer(lua_State *L, int table, const char *name, int64_t low) {
    if (lua_getfield(L, table, name) != LUA_TNUMBER || !lua_isinteger(L, -1) ||
        lua_tointeger(L, -1) < low)
        luaL_error(L, "argument %d has no whole '%s' of at least %I; pass p or d", table, name,
                   (LUAI_UACINT)low);
    int64_t value = lua_tointeger(L, -1);
    lua_pop(L, 1);
    return value;
}

static moe_routing get_routing(lua_State *L, int table) {
    int routing = 0;
    lua_getfield(L, table, "routing");
    const char *name = lua_tostring(L, -1);
    while (name && moe_routing_names[routing] && strcmp(moe_routing_names[routing], name))
        routing++;
    if (!name || !moe_routing_names[routing])
        luaL_error(L, "argument %d has no routing; pass p", table);
    lua_pop(L, 1);
    return (moe_routing)routing;
}

void gen_read_arch(lua_State *L, int index, moe_facts *out) {
    luaL_checktype(L, index, LUA_TTABLE);
    for (int i = 0; i < ARCH_FACTS; i++) {
        *(int64_t *)((char *)out + numbers[i].offset) = get_integer(L, index, numbers[i].name, 0);
    }
}

void gen_read_loads(lua_State *L, int index, moe_loads *out) {
    luaL_checktype(L, index, LUA_TTABLE);
    *out = (moe_loads){
        .tokens = get_integer(L, index, "t", 0),
        .experts = get_integer(L, index, "e", 1),
        .chosen = get_integer(L, index, "k", 1),
        .most = get_integer(L, index, "capacity_rows", 0),
        .held = get_integer(L, index, "held", 0),
        .shared = get_integer(L, index, "shared_experts", 0),
        .routing = get_routing(L, index),
    };
}

/* A list of a number of each kernel. */
static void set_list(lua_State *L, const char *name, const int64_t *value, int64_t count) {
    lua_newtable(L);
    for (int64_t i = 0; i < count; i++) {
        lua_pushinteger(L, value[i]);
        lua_rawseti(L, -2, i + 1);
    }
    lua_setfield(L, -2, name);
}

void gen_push_built(lua_State *L, const moe_launch *built, const moe_facts *facts) {
    int64_t registers[MOE_MAX_KERNELS], blocks[MOE_MAX_KERNELS];
    for (int64_t i = 0; i < built->kernels; i++) {
        registers[i] = built->kernel[i].regs;
        blocks[i] = moe_occupancy(&built->kernel[i], facts);
    }
    lua_newtable(L);
    set_list(L, "registers", registers, built->kernels);
    set_list(L, "blocks", blocks, built->kernels);
    lua_pushnil(L);
    gen_push_readonly(L, "b");
}

void gen_arch_print(const moe_facts *facts, moe_text *out) {
    moe_text_add(out, "%s ", facts->arch);
    moe_fields_print(numbers, (UINT64_C(1) << ARCH_FACTS) - 1, facts, out);
}
