/* layer.c - what a MoE layer is: names, text form, limits. */
#include "core/layer.h"

#include "core/router.h"
#include "core/sized.h"

#include <stdio.h>
#include <string.h>

const char *const moe_layout_names[] = {
    [MOE_LAYOUT_GATE_UP] = "gate_up",
    [MOE_LAYOUT_UP_GATE] = "up_gate",
    [MOE_LAYOUT_INTERLEAVED] = "interleaved",
    [MOE_LAYOUT_COUNT] = NULL,
};

const char *const moe_priority_names[] = {
    [MOE_PRIORITY_ORDER] = "order", [MOE_PRIORITY_GATE] = "gate", [MOE_PRIORITY_COUNT] = NULL};

const char *const moe_drop_names[] = {
    [MOE_DROP_PLAIN] = "plain", [MOE_DROP_RENORM] = "renorm", [MOE_DROP_COUNT] = NULL};
const char *const moe_router_dtype_names[] = {
    [MOE_ROUTER_W] = "w", [MOE_ROUTER_F32] = "f32", [MOE_ROUTER_DTYPE_COUNT] = NULL,
};

static const char *const bias_names[] = {"router", "up", "down", NULL}; /* ORDER MOE_BIAS */

static moe_status parse_bias(const moe_field *field, const char *text, void *value) {
    (void)field;
    unsigned set = 0;
    for (bool none = !strcmp(text, "none"); *text && !none;) {
        size_t length = strcspn(text, ",");
        int bit = 0;
        while (bias_names[bit] && (strlen(bias_names[bit]) != length ||
                                   strncmp(bias_names[bit], text, length) != 0))
            bit++;
        if (!bias_names[bit])
            return moe_fail(MOE_E_PARSE, "'%.64s' should be 'none' or a list of router,up,down",
                            text);
        set |= 1u << bit;
        text += length + (text[length] == ',');
    }
    *(unsigned *)value = set;
    return MOE_OK;
}

static void print_bias(const moe_field *field, const void *value, moe_text *out) {
    (void)field;
    unsigned set = *(const unsigned *)value;
    if (!set) moe_text_add(out, "none");
    const char *comma = "";
    for (int bit = 0; bias_names[bit]; bit++) {
        if (!(set & 1u << bit)) continue;
        moe_text_add(out, "%s%s", comma, bias_names[bit]);
        comma = ",";
    }
}

static moe_status parse_shared(const moe_field *field, const char *text, void *value) {
    (void)field;
    moe_shared shared = {0};
    char number[24];
    size_t length = strcspn(text, ",");
    if (strcmp(text, "none")) {
        snprintf(number, sizeof number, "%.*s", (int)length, text);
        shared.gated = !strcmp(text + length, ",gated");
        if (length >= sizeof number || moe_integer_parse(number, &shared.f) || shared.f < 1 ||
            (text[length] && !shared.gated))
            return moe_fail(MOE_E_PARSE, "'%.64s' should read like none, 2048 or 2048,gated", text);
    }
    *(moe_shared *)value = shared;
    return MOE_OK;
}

static void print_shared(const moe_field *field, const void *value, moe_text *out) {
    (void)field;
    const moe_shared *shared = value;
    if (shared->f)
        moe_text_add(out, "%lld%s", (long long)shared->f, shared->gated ? ",gated" : "");
    else
        moe_text_add(out, "none");
}

const moe_field_type moe_field_shared = {parse_shared, print_shared, false};
const moe_field_type moe_field_bias = {parse_bias, print_bias, false};

const moe_field moe_layer_fields[] = {
#define MOE_LAYER_FIELD(constant, key, type, initial, blank, names, least, most, quiet)            \
    {#key, offsetof(moe_layer, key), &moe_field_##type, initial, names, least, most, quiet},
#include "core/layer.def"
#undef MOE_LAYER_FIELD
    {NULL, 0, NULL, NULL, NULL, 0, 0, false},
};

bool moe_layer_gated(const moe_layer *layer) { return moe_act_table[layer->act.kind].gated; }

bool moe_layer_router_bias(const moe_layer *layer) {
    return layer->bias & MOE_BIAS_ROUTER || layer->router.key_bias;
}

int64_t moe_layer_held(const moe_layer *layer) { return layer->local ? layer->local : layer->e; }

int64_t moe_layer_shared_experts(const moe_layer *layer) { return layer->shared.f / layer->f; }

int64_t moe_layer_listed(const moe_layer *layer) {
    return moe_layer_held(layer) + moe_layer_shared_experts(layer);
}

int64_t moe_layer_up_rows(const moe_layer *layer) {
    if (moe_act_table[layer->act.kind].constant) return 0;
    return moe_layer_gated(layer) ? 2 * layer->f : layer->f;
}

bool moe_layer_neurons(const moe_layer *layer) { return layer->f == 1; }

size_t moe_layer_size(void) { return sizeof(moe_layer); }

moe_dtype moe_layer_router_dtype(const moe_layer *layer) {
    return layer->router_dtype == MOE_ROUTER_F32 ? MOE_F32 : layer->w;
}

static moe_status check_shared(const moe_layer *layer) {
    if (layer->shared.f < 0 || layer->shared.f % layer->f)
        return moe_fail(MOE_E_UNSUPPORTED,
                        "layer: shared=%lld must be a multiple of f=%lld; pad its weights with "
                        "zeros",
                        (long long)layer->shared.f, (long long)layer->f);
    if (moe_layer_shared_experts(layer) > MOE_MAX_SHARED)
        return moe_fail(MOE_E_UNSUPPORTED, "layer: shared=%lld is more than %d times f=%lld",
                        (long long)layer->shared.f, MOE_MAX_SHARED, (long long)layer->f);
    if (layer->shared.f && layer->bias & (MOE_BIAS_UP | MOE_BIAS_DOWN))
        return moe_fail(MOE_E_UNSUPPORTED, "layer: shared experts have no biases, so that "
                                           "bias=up,down does not go with shared=%lld",
                        (long long)layer->shared.f);
    return MOE_OK;
}

static moe_status check_matrices(const moe_layer *layer) {
    if (layer->e > MOE_MAX_EXPERTS)
        return moe_fail(MOE_E_INVALID, "layer: e=%lld is not in 1..%d", (long long)layer->e,
                        MOE_MAX_EXPERTS);
    if (moe_act_table[layer->act.kind].constant)
        return moe_fail(MOE_E_INVALID, "layer: act=%s is of experts that are single values, f=1",
                        moe_act_names[layer->act.kind]);
    return MOE_OK;
}

static moe_status has_gate(const moe_layer *layer) {
    char names[256];
    moe_text plain = moe_text_start(names, sizeof names);
    moe_act_add_plain(&plain);
    return moe_fail(MOE_E_UNSUPPORTED, "layer: experts of f=1 have no gate; %s should be one of %s",
                    moe_act_names[layer->act.kind], names);
}

/* Single neurons are looked up one by one: nothing is shared out, and so nothing dropped. */
static moe_status check_neurons(const moe_layer *layer) {
    if (moe_layer_gated(layer)) return has_gate(layer);
    if (layer->shared.f || layer->bias & (MOE_BIAS_UP | MOE_BIAS_DOWN))
        return moe_fail(MOE_E_UNSUPPORTED, "layer: experts of f=1 have neither bias=up,down nor "
                                           "shared ones beside them");
    if (layer->capacity.factor != 0)
        return moe_fail(MOE_E_INVALID, "layer: experts of f=1 have no capacity; leave it out");
    return MOE_OK;
}

static moe_status check_ranges(const moe_layer *layer) {
    for (const moe_field *field = moe_layer_fields; field->name; field++) {
        if (!field->type->integer) continue;
        int64_t value = *(const int64_t *)((const char *)layer + field->offset);
        if (value < field->minimum || value > field->maximum)
            return moe_fail(MOE_E_INVALID, "layer: %s=%lld is not in %lld..%lld", field->name,
                            (long long)value, (long long)field->minimum,
                            (long long)field->maximum);
    }
    return MOE_OK;
}

moe_status moe_layer_check_fields(const moe_layer *layer) {
    MOE_TRY(check_ranges(layer));
    if (layer->k > layer->e)
        return moe_fail(MOE_E_INVALID, "layer: k=%lld is more than e=%lld experts",
                        (long long)layer->k, (long long)layer->e);
    MOE_TRY(moe_layer_neurons(layer) ? check_neurons(layer) : check_matrices(layer));
    if (layer->d % 8 || (layer->f % 8 && !moe_layer_neurons(layer)))
        return moe_fail(MOE_E_UNSUPPORTED,
                        "layer: d=%lld and f=%lld must be multiples of 8; pad the weights",
                        (long long)layer->d, (long long)layer->f);
    if (layer->x != layer->w && (int)layer->w < MOE_FLOATS)
        return moe_fail(MOE_E_UNSUPPORTED, "layer: x=%s and w=%s must be the same dtype",
                        moe_dtype_names[layer->x], moe_dtype_names[layer->w]);
    if (layer->local > layer->e)
        return moe_fail(MOE_E_INVALID, "layer: local=%lld is more than e=%lld experts",
                        (long long)layer->local, (long long)layer->e);
    MOE_TRY(check_shared(layer));
    if (layer->layout != MOE_LAYOUT_GATE_UP && !moe_layer_gated(layer))
        return moe_fail(MOE_E_INVALID, "layer: %s has no gate, so there is no layout=%s",
                        moe_act_names[layer->act.kind], moe_layout_names[layer->layout]);
    if (layer->router_dtype == MOE_ROUTER_F32 && layer->w == MOE_F32)
        return moe_fail(MOE_E_INVALID, "layer: w is f32 already; leave router_dtype out");
    if (layer->router.key_bias && layer->bias & MOE_BIAS_ROUTER)
        return moe_fail(MOE_E_INVALID, "layer: the router's bias joins the logits (bias=router) or "
                                       "the keys (+bias), not both");
    if (layer->router.input && layer->drop == MOE_DROP_RENORM)
        return moe_fail(MOE_E_INVALID, "layer: drop=renorm changes weights behind the experts, and "
                                       "the router's are on their input");
    return MOE_OK;
}

/* ----------------------------------------------------------------------------------- text */

/* Numbers of choices, which index tables: those of a field's names, and these. */
static const struct {
    const char *name;
    size_t offset;
    unsigned count;
} choices[] = {
    {"act.kind", offsetof(moe_layer, act.kind), MOE_ACT_COUNT},
    {"router.rule", offsetof(moe_layer, router.rule), MOE_RULE_COUNT},
    {"router.score", offsetof(moe_layer, router.score), MOE_SCORE_COUNT},
    {"router.pick", offsetof(moe_layer, router.pick), MOE_PICK_COUNT},
    {"router.group_rule", offsetof(moe_layer, router.group_rule), MOE_GROUP_COUNT},
    {"router.weigh", offsetof(moe_layer, router.weigh), MOE_WEIGH_COUNT},
    {"router.second", offsetof(moe_layer, router.second), MOE_SECOND_COUNT},
    {"capacity.rule", offsetof(moe_layer, capacity.rule), MOE_CAPACITY_COUNT},
    {"bias", offsetof(moe_layer, bias), 2 * MOE_BIAS_DOWN},
};

static moe_status check_choice(const moe_layer *layer, const char *name, size_t offset,
                               unsigned count) {
    unsigned value;
    memcpy(&value, (const char *)layer + offset, sizeof value);
    if (value < count) return MOE_OK;
    return moe_fail(MOE_E_INVALID, "layer.%s is %d, which is none of its values", name, (int)value);
}

static moe_status check_choices(const moe_layer *layer) {
    for (size_t i = 0; i < sizeof choices / sizeof *choices; i++)
        MOE_TRY(check_choice(layer, choices[i].name, choices[i].offset, choices[i].count));
    for (const moe_field *field = moe_layer_fields; field->name; field++) {
        unsigned count = 0;
        while (field->names && field->names[count]) count++;
        if (count) MOE_TRY(check_choice(layer, field->name, field->offset, count));
    }
    return MOE_OK;
}

static moe_status parse(const char *text, moe_layer *out) {
    moe_layer layer = {.size = sizeof layer};
    MOE_TRY(moe_fields_parse(moe_layer_fields, "layer", text, &layer));
    /* w defaults to x, which the table cannot say. */
    if (!moe_text_has_key(text, "w")) layer.w = layer.x;
    if (layer.capacity.factor == 0 && (layer.priority || layer.drop))
        return moe_fail(MOE_E_INVALID, "layer: priority and drop say what a capacity does, and "
                                       "there is none; add capacity=1.25 or leave them out");
    MOE_TRY(moe_layer_check_fields(&layer));
    MOE_TRY(moe_rule_check(&layer));
    MOE_TRY(moe_router_check(&layer.router, layer.e, layer.k));
    *out = layer;
    return MOE_OK;
}

static moe_status print(const moe_layer *layer, char *text, size_t size) {
    moe_text out = moe_text_start(text, size);
    MOE_TRY(check_choices(layer));
    moe_fields_print(moe_layer_fields, UINT64_MAX, layer, &out);
    return out.cut ? moe_fail(MOE_E_INVALID, "the layer's text needs more than %zu bytes", size)
                   : MOE_OK;
}

moe_status moe_layer_parse_sized(const char *text, size_t size, moe_layer *out) {
    moe_layer layer;
    MOE_TRY(parse(text, &layer));
    return moe_sized_write("layer", "moe_layer", &layer, sizeof layer, out, size);
}

moe_status moe_layer_print(const moe_layer *given, char *text, size_t size) {
    moe_layer layer;
    if (size) text[0] = '\0';
    MOE_TRY(moe_sized_read("layer", "moe_layer", given, &layer, sizeof layer));
    return print(&layer, text, size);
}

moe_status moe_layer_settle(const moe_layer *layer, moe_layer *out) {
    char text[MOE_LAYER_TEXT_SIZE];
    MOE_TRY(print(layer, text, sizeof text));
    MOE_TRY(check_ranges(layer)); /* whose words name a member */
    moe_status status = parse(text, out);
    return status == MOE_E_PARSE ? MOE_E_INVALID : status; /* of a struct: a number is out of
                                                              range */
}

moe_status moe_layer_check(const moe_layer *layer) {
    moe_layer settled;
    return moe_layer_settle(layer, &settled);
}
