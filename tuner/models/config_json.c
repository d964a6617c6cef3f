/* config_json.c - the MoE layers of a Hugging Face config.json. */
#include "models/config_json.h"

#include "core/router.h"
#include "models/model_family.h"
#include "models/model_keys.h"
#include "models/model_size.h"
#include "models/python_json.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

/* Activations by their name in config.json; gated layers multiply them with the up projection. */
static const struct {
    const char *name;
    moe_act_kind plain, gated;
} acts[] = {
    {"silu", MOE_ACT_SILU, MOE_ACT_SWIGLU},
    {"swish", MOE_ACT_SILU, MOE_ACT_SWIGLU},
    {"gelu", MOE_ACT_GELU, MOE_ACT_GEGLU},
    {"gelu_new", MOE_ACT_GELU_TANH, MOE_ACT_GEGLU_TANH},
    {"gelu_pytorch_tanh", MOE_ACT_GELU_TANH, MOE_ACT_GEGLU_TANH},
    {"relu", MOE_ACT_RELU, MOE_ACT_COUNT},
    {"relu2", MOE_ACT_RELU2, MOE_ACT_COUNT},
    {"gpt_oss", MOE_ACT_COUNT, MOE_ACT_SWIGLU_CLAMP},
    {"swigluoai", MOE_ACT_COUNT, MOE_ACT_SWIGLU_CLAMP},
};

enum { MAX_DEPTH = 3 }; /* of models within models */

#define COUNT(table) (sizeof(table) / sizeof *(table))

static const char padded[] =
    "its shared expert is narrower, and made up to a multiple of f by weights of zero";
static const char experts[] = "num_experts|num_local_experts|n_routed_experts";

/* A column of the family, or the usual key where it is empty. */
static const char *usual(const char *column, const char *key) { return column ? column : key; }

static moe_status read_clamp(const json_t *root, moe_act *out) {
    MOE_TRY(moe_config_number(root, "swiglu_alpha", 1.702, &out->alpha));
    MOE_TRY(moe_config_number(root, "swiglu_limit", 7, &out->limit));
    return out->limit > 0 && out->alpha > 0
               ? MOE_OK
               : moe_fail(MOE_E_CORRUPT, "'swiglu_limit' and 'swiglu_alpha' are not above 0");
}

static moe_status read_act(const json_t *root, const moe_family *family, moe_act *out) {
    const char *key = usual(family->act, "hidden_act");
    const json_t *value = *key ? moe_config_at(root, key) : NULL;
    const char *name = value ? json_string_value(value) : usual(family->act_default, "silu");
    for (size_t i = 0; name && i < COUNT(acts); i++) {
        moe_act_kind kind = family->plain ? acts[i].plain : acts[i].gated;
        if (strcmp(acts[i].name, name) || kind == MOE_ACT_COUNT) continue;
        *out = (moe_act){.kind = kind};
        return kind == MOE_ACT_SWIGLU_CLAMP ? read_clamp(root, out) : MOE_OK;
    }
    return moe_fail(MOE_E_UNSUPPORTED, "'%s' is '%.32s', an activation that layers do not have%s",
                    key, name ? name : "no string",
                    family->plain ? "" : " beside a gate, act(gate) * up");
}

static moe_status read_dtype(const json_t *root, moe_dtype *out) {
    const json_t *value = moe_config_at(root, "torch_dtype|dtype");
    *out = MOE_BF16;
    if (!value) return MOE_OK;
    const char *name = json_string_value(value);
    for (int dtype = 0; name && dtype < MOE_FLOATS; dtype++) {
        if (strcmp(moe_dtype_table[dtype].config, name)) continue;
        *out = (moe_dtype)dtype;
        return MOE_OK;
    }
    return moe_fail(MOE_E_UNSUPPORTED, "dtype '%.32s' is none of bfloat16, float16, float32",
                    name ? name : "(no string)");
}

static moe_status read_groups(const json_t *root, const moe_family *family, moe_router *router) {
    char count[32], kept[32];
    double number;
    if (!family->groups || sscanf(family->groups, "%31s %31s", count, kept) != 2) return MOE_OK;
    MOE_TRY(moe_config_number(root, count, 1, &number));
    const char *method = json_string_value(moe_config_at(root, "topk_method"));
    const char *when = family->groups_when;
    if (number == 1 || (when && (!method || strcmp(method, when) != 0))) return MOE_OK;
    MOE_TRY(moe_config_size(root, count, &router->groups));
    MOE_TRY(moe_config_size(root, kept, &router->groups_kept));
    router->group_rule = family->group_rule;
    if (router->groups < 1 || router->groups_kept < 1)
        return moe_fail(MOE_E_INVALID, "'%s' and '%s' must be 1 or more", count, kept);
    return MOE_OK;
}

/* Weights are divided by a norm of theirs: by their sum where its p is 1. */
static moe_status read_norm(const json_t *root, const char *key, bool *renorm) {
    double p = 1;
    *renorm = false;
    if (moe_config_is_null(root, key)) return MOE_OK;
    MOE_TRY(moe_config_number(root, key, 1, &p));
    *renorm = p == 1;
    return p == 1 ? MOE_OK
                  : moe_fail(MOE_E_UNSUPPORTED,
                             "'%s' is %g: weights are divided by their norm of that p, which "
                             "routers cannot do yet (1, a sum, and null, nothing, they can)",
                             key, p);
}

static moe_status read_renorm(const json_t *root, const moe_family *family, moe_router *out) {
    bool renorm = out->renorm;
    if (family->renorm_by_norm) MOE_TRY(read_norm(root, family->renorm, &renorm));
    else if (family->renorm)
        renorm |= moe_config_true(root, family->renorm, family->renorm_default);
    if (!renorm || out->renorm) return MOE_OK;
    out->renorm = true;
    out->epsilon = moe_router_epsilon(out->score);
    return MOE_OK;
}

static moe_status read_router(const json_t *root, const moe_family *family, moe_router *out) {
    MOE_TRY(moe_field_router.parse(NULL, family->router, out));
    MOE_TRY(read_renorm(root, family, out));
    if (family->scale) MOE_TRY(moe_config_number(root, family->scale, 1, &out->scale));
    if (!(out->scale > 0)) return moe_fail(MOE_E_INVALID, "'%s' is not above 0", family->scale);
    if (family->jitter) {
        MOE_TRY(moe_config_number(root, family->jitter, out->jitter, &out->jitter));
        if (!(out->jitter > 0))
            return moe_fail(MOE_E_INVALID, "'%s' is not above 0", family->jitter);
    }
    return read_groups(root, family, out);
}

/* One expert of a width of its own, or several that are one of their widths' sum. Layers have some
 * multiple of f. */
static moe_status read_shared(const json_t *root, const moe_family *family, moe_layer *out,
                              int64_t *exact) {
    int64_t count = family->shared ? 1 : family->shared_default, width = out->f;
    if (family->shared_count && moe_config_at(root, family->shared_count))
        MOE_TRY(moe_config_size(root, family->shared_count, &count));
    if (family->shared && !moe_config_at(root, family->shared)) count = 0;
    else if (family->shared) MOE_TRY(moe_config_size(root, family->shared, &width));
    if (count == 0 || width == 0) return MOE_OK;
    if (count < 0 || width < 0 || count > 1024 || width > 1 << 24)
        return moe_fail(MOE_E_INVALID, "%" PRId64 " shared experts of width %" PRId64
                                       " are out of range", count, width);
    *exact = count * width;
    out->shared.f = out->f < 1 ? *exact : ((*exact - 1) / out->f + 1) * out->f;
    out->shared.gated = family->shared_gated;
    return MOE_OK;
}

static moe_status read_layer(const json_t *root, const moe_family *family, moe_model *out) {
    moe_layer layer = {.size = sizeof layer, .k = family->k_fixed, .bias = family->bias,
                       .layout = family->layout, .capacity = {.factor = family->capacity}};
    MOE_TRY(moe_config_size(root, usual(family->d, "hidden_size"), &layer.d));
    MOE_TRY(moe_config_size(root, usual(family->f, "moe_intermediate_size"), &layer.f));
    MOE_TRY(moe_config_size(root, usual(family->e, experts), &layer.e));
    if (!layer.k)
        MOE_TRY(moe_config_size(root, usual(family->k, "num_experts_per_tok"), &layer.k));
    MOE_TRY(read_act(root, family, &layer.act));
    MOE_TRY(read_dtype(root, &layer.x));
    layer.w = layer.x;
    if (layer.w != MOE_F32) layer.router_dtype = family->router_dtype;
    MOE_TRY(read_router(root, family, &layer.router));
    MOE_TRY(read_shared(root, family, &layer, &out->shared));
    MOE_TRY(moe_model_keys_check(root, family, &layer));
    MOE_TRY(moe_layer_check(&layer));
    out->layer = layer;
    return MOE_OK;
}

/* All layers, of encoder and decoder together; 0 where the file does not say. */
static moe_status count_layers(const json_t *root, const moe_family *family, int64_t *out) {
    char keys[2][40] = {"", ""};
    sscanf(usual(family->layers, "num_hidden_layers"), "%39s %39s", keys[0], keys[1]);
    int64_t sum = 0;
    for (int i = 0; i < 2 && *keys[i]; i++) {
        int64_t count;
        if (!moe_config_at(root, keys[i])) return MOE_OK;
        MOE_TRY(moe_config_size(root, keys[i], &count));
        if (count < 1 || count > MOE_MODEL_LAYERS - sum)
            return moe_fail(MOE_E_INVALID, "'%s' is %" PRId64 ", not in 1..%d", keys[i], count,
                            MOE_MODEL_LAYERS);
        sum += count;
    }
    *out = sum;
    return MOE_OK;
}

static moe_status read_pattern(const json_t *root, const moe_family *family, moe_model *out) {
    MOE_TRY(count_layers(root, family, &out->layers));
    for (int64_t i = 0; i < out->layers; i++) {
        out->moe[i] = !family->moe || family->moe(root, i, out->layers);
        out->moe_layers += out->moe[i];
    }
    if (out->layers && !out->moe_layers)
        return moe_fail(MOE_E_INVALID, "none of its %" PRId64 " layers has experts", out->layers);
    return MOE_OK;
}

static moe_status read_model(const json_t *root, const char *type, const moe_family *family,
                             moe_model *out) {
    if (family->missing && (!family->refuse || moe_config_at(root, family->refuse)))
        return moe_fail(MOE_E_UNSUPPORTED, "a %s layer has %s, which layers cannot have yet", type,
                        family->missing);
    if (family->needs && !moe_config_at(root, family->needs))
        return moe_fail(MOE_E_CORRUPT, "'%s' is missing, which tells a %s from an older one",
                        family->needs, type);
    const bool noted = !family->note_when || moe_config_true(root, family->note_when, false);
    *out = (moe_model){.note = noted ? family->note : NULL};
    snprintf(out->family, sizeof out->family, "%s", type);
    MOE_TRY(read_layer(root, family, out));
    if (out->shared != out->layer.shared.f) out->note = padded;
    MOE_TRY(read_pattern(root, family, out));
    moe_model_count(root, family, out);
    return MOE_OK;
}

/* Sizes of a model, and none of experts: it is dense. */
static bool is_dense(const json_t *root, const moe_family *family) {
    const char *keys = usual(family ? family->e : NULL, experts);
    const bool sized = moe_config_at(root, "hidden_size|d_model|n_embd|dim") != NULL;
    const json_t *count = moe_config_at(root, keys);
    const json_t *block = moe_config_at(root, "enable_moe_block");
    if (json_is_false(block) || (json_is_integer(count) && json_integer_value(count) == 0))
        return true;
    if (family) return !count && moe_config_is_null(root, keys);
    return sized && !count && !moe_config_at(root, "moe_num_experts|num_experts_per_tok|moe_top_k|"
                                                   "moe_intermediate_size|ffn_config");
}

static moe_status dense_model(const char *type) {
    return moe_fail(MOE_E_UNSUPPORTED, "model_type '%.40s' has no experts: a dense model", type);
}

static moe_status unknown_family(const char *type) {
    char known[1024];
    moe_family_list(known, sizeof known);
    return moe_fail(MOE_E_UNSUPPORTED,
                    "model_type '%.40s' is none of %s; say --as FAMILY where it is made like one "
                    "of these, or write the layer as text",
                    type, known);
}

/* A model of text and images keeps the layers' keys one level down. */
static const char inner[] = "text_config|llm_config|language_config|thinker_config";

/* What stands without that is of the whole model, its dtype. */
static const json_t *inner_of(const json_t *root) {
    static const char *const names[] = {"dtype", "torch_dtype"};
    const json_t *text = moe_config_at(root, inner);
    if (!json_is_object(text) || moe_config_at(text, "torch_dtype|dtype")) return text;
    for (int i = 0; i < 2; i++)
        if (json_object_get(root, names[i]))
            json_object_set((json_t *)(uintptr_t)text, names[i], json_object_get(root, names[i]));
    return text;
}

static moe_status read_family(const json_t *root, const char *type, const moe_family *family,
                              moe_model *out) {
    return is_dense(root, family) ? dense_model(type) : read_model(root, type, family, out);
}

/* As the family that the user names, where the keys of the layers are. */
static moe_status read_as(const json_t *root, const char *as, int depth, moe_model *out) {
    const moe_family *family = moe_family_find(as, NULL);
    const json_t *text = inner_of(root);
    if (!family) return unknown_family(as);
    if (json_is_object(text) && depth < MAX_DEPTH &&
        !moe_config_at(root, usual(family->e, experts)))
        return read_as(text, as, depth + 1, out);
    return read_family(root, as, family, out);
}

static moe_status read_root(const json_t *root, int depth, moe_model *out) {
    const char *type = json_string_value(moe_config_at(root, "model_type"));
    const json_t *classes = moe_config_at(root, "architectures");
    const char *class = json_string_value(json_array_get(classes, 0));
    const json_t *text = inner_of(root);
    const moe_family *family = moe_family_find(type, class);
    if (family) return read_family(root, type ? type : class, family, out);
    if (json_is_object(text) && depth < MAX_DEPTH) return read_root(text, depth + 1, out);
    if (type && is_dense(root, NULL)) return dense_model(type);
    return type ? unknown_family(type) : moe_fail(MOE_E_CORRUPT, "'model_type' is missing");
}

/* Blocks of 128 x 128 alone are unpacked, and MXFP4. */
static void read_quantised(const json_t *root, moe_model *out) {
    const json_t *how = moe_config_at(root, "quantization_config|text_config.quantization_config|"
                                            "compression_config");
    const char *method = json_string_value(moe_config_at(how, "quant_method"));
    const json_t *block = moe_config_at(how, "weight_block_size");
    bool square = true;
    for (size_t i = 0; i < json_array_size(block); i++)
        square &= json_integer_value(json_array_get(block, i)) == 128;
    if (!how || (method && !strcmp(method, "mxfp4"))) return;
    if (method && !strcmp(method, "fp8") && square) return;
    snprintf(out->quantised, sizeof out->quantised, "%s%s", method ? method : "no quant_method",
             square ? "" : ", other blocks");
}

/* Takes over `root`, which is NULL where the text was no JSON. */
static moe_status read_json(json_t *root, const json_error_t *error, const char *as,
                            moe_model *out) {
    if (!root)
        return moe_fail(MOE_E_CORRUPT, "not JSON: %.100s at line %d", error->text, error->line);
    moe_status status = !json_is_object(root) ? moe_fail(MOE_E_CORRUPT, "it is not a JSON object")
                        : as                  ? read_as(root, as, 0, out)
                                              : read_root(root, 0, out);
    if (!status) read_quantised(root, out);
    json_decref(root);
    return status;
}

moe_status moe_config_model_text(const char *text, size_t size, moe_model *out) {
    json_error_t error;
    return read_json(moe_python_json(text, size, &error), &error, NULL, out);
}

moe_status moe_config_model_as(const char *path, const char *family, moe_model *out) {
    char file[4096];
    struct stat facts;
    json_error_t error;
    bool folder = stat(path, &facts) == 0 && S_ISDIR(facts.st_mode);
    int length = snprintf(file, sizeof file, "%s%s", path, folder ? "/config.json" : "");
    if ((size_t)length >= sizeof file)
        return moe_fail(MOE_E_NOT_FOUND, "%.64s...: the path is too long", path);
    if (stat(file, &facts)) return moe_fail(MOE_E_NOT_FOUND, "%s: %s", file, strerror(errno));
    moe_status status = read_json(moe_python_json_file(file, &error), &error, family, out);
    return status ? moe_fail_context(status, "%s", file) : MOE_OK;
}

moe_status moe_config_model(const char *path, moe_model *out) {
    return moe_config_model_as(path, NULL, out);
}

moe_status moe_model_check_quantised(const moe_model *model) {
    if (!*model->quantised) return MOE_OK;
    return moe_fail(MOE_E_UNSUPPORTED,
                    "quant_method '%s' is not one that run --weights unpacks (fp8 in blocks of 128 "
                    "x 128, mxfp4); convert the model to bf16 first, or take a copy of it that was "
                    "published in bf16",
                    model->quantised);
}

moe_status moe_config_json(const char *path, moe_layer *out) {
    moe_model model;
    MOE_TRY(moe_config_model(path, &model));
    *out = model.layer;
    return MOE_OK;
}

moe_status moe_model_check_layer(const moe_model *model, int64_t index) {
    char list[80];
    moe_text text = moe_text_start(list, sizeof list);
    if (!model->layers || (index >= 0 && index < model->layers && model->moe[index])) return MOE_OK;
    if (index < 0 || index >= model->layers)
        return moe_fail(MOE_E_INVALID, "layer %" PRId64 " is not in 0..%" PRId64, index,
                        model->layers - 1);
    for (int64_t i = 0, shown = 0; i < model->layers && shown < 4; i++)
        if (model->moe[i]) moe_text_add(&text, "%s%" PRId64, shown++ ? ", " : "", i);
    return moe_fail(MOE_E_INVALID, "layer %" PRId64 " has no experts; the first that do are %s",
                    index, list);
}
