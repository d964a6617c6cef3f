/* op.c - one step of a layer under a workload. */
#include "core/op.h"

#include "core/args.h"
#include "core/capacity.h"
#include "core/router.h"

#include <assert.h>
#include <string.h>

/* What an op depends on: fields of the layer, and where the router's weights apply. */
#define F(name) (UINT64_C(1) << MOE_LAYER_##name)
#define EXPERTS (F(E) | F(K) | F(SHARED) | F(LOCAL) | F(CAPACITY))
#define WEIGH (UINT64_C(1) << MOE_LAYER_FIELDS)

/* The bias that an op adds: a bit of its own above all fields; the others' bits are not its own. */
enum { BIAS_SHIFT = 60 };
#define B(name) (F(BIAS) | (uint64_t)MOE_BIAS_##name << BIAS_SHIFT)
#define FIELDS (2 * WEIGH - 1)

static const struct {
    const char *name;
    uint64_t layer; /* bits of moe_layer_fields, WEIGH and biases */
    bool routing;
} kinds[] = {
#define MOE_OP(name, fields, workload, help, args) {#name, fields, workload},
#include "core/op.def"
#undef MOE_OP
};

const char *const moe_op_names[] = {
#define MOE_OP(name, fields, workload, help, args) #name,
#include "core/op.def"
#undef MOE_OP
    NULL,
};

const char *const moe_routing_names[] = {"uniform", "zipf", "one", "empty", NULL};
const char *const moe_cache_names[] = {"cold", "warm", NULL};

/* Weights that multiply inputs: unlike those of the blank router, they differ where k = 1, too. */
static const moe_router weighs_input = {.weigh = MOE_WEIGH_SIGMOID, .scale = 1, .input = true};

static const char *const weigh_names[] = {"output", "input", NULL};

static moe_status parse_weigh(const moe_field *field, const char *text, void *value) {
    int number;
    MOE_TRY(moe_field_enum.parse(field, text, &number));
    *(bool *)value = number;
    return MOE_OK;
}

static void print_weigh(const moe_field *field, const void *value, moe_text *out) {
    moe_text_add(out, "%s", field->names[*(const bool *)value]);
}

static const moe_field_type field_weigh = {parse_weigh, print_weigh, false};

#define AT(member) offsetof(moe_op, member)
const moe_field moe_op_fields[] = {
    {"t", AT(t), &moe_field_integer, NULL, NULL, 0, INT32_MAX, false},
#define MOE_LAYER_FIELD(constant, key, type, initial, blank, names, least, most, quiet)            \
    {#key, AT(layer.key), &moe_field_##type, blank, names, 0, 0, quiet},
#include "core/layer.def"
#undef MOE_LAYER_FIELD
    {"weigh", AT(layer.router.input), &field_weigh, "output", weigh_names, 0, 0, true},
    {"routing", AT(routing), &moe_field_enum, "uniform", moe_routing_names, 0, 0, false},
    {"cache", AT(cache), &moe_field_enum, "cold", moe_cache_names, 0, 0, false},
    {NULL, 0, NULL, NULL, NULL, 0, 0, false},
};
#undef AT

enum { ROW_T = 0, ROW_LAYER = 1, ROW_WEIGH = ROW_LAYER + MOE_LAYER_FIELDS, ROW_ROUTING, ROW_CACHE };

/* What an op of the kind depends on. Sums of rows depend on the experts only where some are
 * elsewhere, and rows with them; on weights, only where the shared expert has a gate. */
static uint64_t depends(moe_op_kind kind, const moe_layer *layer) {
    const uint64_t fields = kinds[kind].layer & FIELDS;
    if (kind != MOE_OP_combine) return fields;
    const uint64_t whole = moe_layer_held(layer) == layer->e ? F(E) | F(LOCAL) : 0;
    return fields & ~(whole | (layer->shared.gated ? 0 : F(W)));
}

static uint64_t shape_mask(const moe_op *op) { return depends(op->kind, &op->layer) << ROW_LAYER; }

uint64_t moe_op_mask(const moe_op *op) {
    uint64_t routing = kinds[op->kind].routing ? UINT64_C(1) << ROW_ROUTING : 0;
    return UINT64_C(1) << ROW_T | shape_mask(op) | routing | UINT64_C(1) << ROW_CACHE;
}

/* A step knows of how many of the experts that it sees the shared one is made. Its gate is known
 * to those that sum, and so make y. */
static moe_shared shared_of(moe_op_kind kind, const moe_layer *layer, int64_t f) {
    bool gated = layer->shared.gated && moe_op_writes(kind, MOE_ARG_y);
    return (moe_shared){moe_layer_shared_experts(layer) * f, gated};
}

/* Ops that know of no hidden width: whether what they deal with are single neurons. */
static bool is_of_neurons(moe_op_kind kind, const moe_layer *layer) {
    bool keys = kinds[kind].layer & F(ROUTER) && moe_layer_rule(layer)->keys;
    return kind == MOE_OP_neurons || keys;
}

static void blank_neurons(moe_op_kind kind, moe_layer *layer) {
    layer->f = 1;
    if (!(kinds[kind].layer & F(ACT))) layer->act.kind = MOE_ACT_NONE;
}

/* Where each field lies in a layer. */
static const struct {
    size_t offset, size;
} members[MOE_LAYER_FIELDS] = {
#define MOE_LAYER_FIELD(constant, key, ...)                                                        \
    [MOE_LAYER_##constant] = {offsetof(moe_layer, key), sizeof((moe_layer *)0)->key},
#include "core/layer.def"
#undef MOE_LAYER_FIELD
};

/* What stands in fields that an op does not depend on. */
static moe_op blank_op(void) {
    moe_op op = {.layer.size = sizeof op.layer};
    moe_status status = moe_fields_parse(moe_op_fields, "op", "t=0", &op);
    assert(status == MOE_OK); /* the table's own texts */
    return (void)status, op;
}

static void keep_fields(moe_layer *to, const moe_layer *from, uint64_t keep) {
    for (int i = 0; i < MOE_LAYER_FIELDS; i++)
        if (keep & UINT64_C(1) << i)
            memcpy((char *)to + members[i].offset, (const char *)from + members[i].offset,
                   members[i].size);
}

moe_op moe_op_make(moe_op_kind kind, const moe_layer *layer, int64_t tokens, moe_routing routing,
                   moe_cache cache) {
    uint64_t keep = depends(kind, layer);
    moe_op op = blank_op();
    op.kind = kind;
    op.t = tokens;
    op.cache = cache;
    if (kinds[kind].routing) op.routing = routing;
    keep_fields(&op.layer, layer, keep);
    op.layer.router.input = false; /* changes no weight */
    if (keep & WEIGH && layer->router.input) op.layer.router = weighs_input;
    if (is_of_neurons(kind, layer)) blank_neurons(kind, &op.layer);
    if (layer->local == layer->e) op.layer.local = 0;
    if (keep & F(SHARED)) op.layer.shared = shared_of(kind, layer, op.layer.f);
    if (keep & F(BIAS)) op.layer.bias = layer->bias & (unsigned)(kinds[kind].layer >> BIAS_SHIFT);
    return op;
}

moe_status moe_op_kind_parse(const char *name, moe_op_kind *out) {
    const moe_field names = {.names = moe_op_names};
    int kind;
    MOE_TRY(moe_field_enum.parse(&names, name, &kind));
    *out = (moe_op_kind)kind;
    return MOE_OK;
}

/* Sizes that the kind depends on must be written; the table cannot say so, since they differ. */
static moe_status check_sizes(const moe_op *op, const char *text) {
    for (int i = 0; i < MOE_LAYER_FIELDS; i++) {
        const moe_field *field = &moe_layer_fields[i];
        bool needed = depends(op->kind, &op->layer) & UINT64_C(1) << i && !field->initial;
        if (needed && !moe_text_has_key(text, field->name))
            return moe_fail(MOE_E_PARSE, "op: '%s=' is missing", field->name);
    }
    return MOE_OK;
}

moe_status moe_op_parse(const char *text, moe_op *out) {
    char name[32];
    moe_op op = {0};
    if (!moe_next_word(&text, name, sizeof name)) return moe_fail(MOE_E_PARSE, "op: empty text");
    moe_status status = moe_op_kind_parse(name, &op.kind);
    if (status) return moe_fail_context(status, "op");
    MOE_TRY(moe_fields_parse(moe_op_fields, "op", text, &op));
    MOE_TRY(check_sizes(&op, text));
    if (!(depends(op.kind, &op.layer) & F(W)) || !moe_text_has_key(text, "w"))
        op.layer.w = op.layer.x;
    if (!(depends(op.kind, &op.layer) & F(E))) op.layer.e = op.layer.k;
    if (is_of_neurons(op.kind, &op.layer)) blank_neurons(op.kind, &op.layer);
    else if (moe_layer_neurons(&op.layer))
        return moe_fail(MOE_E_UNSUPPORTED, "op: experts of f=1 are the op neurons'");
    bool routes = kinds[op.kind].layer & F(ROUTER);
    MOE_TRY(routes ? moe_layer_check(&op.layer) : moe_layer_check_fields(&op.layer));
    *out = moe_op_make(op.kind, &op.layer, op.t, op.routing, op.cache);
    return MOE_OK;
}

void moe_op_print(const moe_op *op, char *text, size_t size) {
    moe_text out = moe_text_start(text, size);
    moe_text_add(&out, "%s ", moe_op_names[op->kind]);
    moe_fields_print(moe_op_fields, moe_op_mask(op), op, &out);
}

void moe_op_shape(const moe_op *op, char *text, size_t size) {
    moe_text out = moe_text_start(text, size);
    moe_fields_print(moe_op_fields, shape_mask(op), op, &out);
}

bool moe_op_equal(const moe_op *a, const moe_op *b) {
    char text_a[MOE_OP_TEXT_SIZE], text_b[MOE_OP_TEXT_SIZE];
    moe_op_print(a, text_a, sizeof text_a);
    moe_op_print(b, text_b, sizeof text_b);
    return !strcmp(text_a, text_b);
}
