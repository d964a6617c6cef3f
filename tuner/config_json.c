/* config_json.c - the MoE layer of a Hugging Face config.json.
 *
 * One row a model family says which keys hold what. Keys with a dot are one level down. */
#include "config_json.h"

#include "router.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include <jansson.h>

typedef struct family {
    const char *type; /* model_type */
    const char *d, *f, *e, *k;
    const char *act;         /* key of the activation's name */
    const char *act_default; /* where the key is absent */
    bool gated;
    const char *router; /* as in a layer's text */
    const char *renorm; /* key: true adds renorm to the router */
    unsigned bias;
    double capacity;
} family;

static const family families[] = {
    {"mixtral", "hidden_size", "intermediate_size", "num_local_experts", "num_experts_per_tok",
     "hidden_act", "silu", true, "softmax>topk>renorm", NULL, 0, 0},
    {"qwen3_moe", "hidden_size", "moe_intermediate_size", "num_experts", "num_experts_per_tok",
     "hidden_act", "silu", true, "softmax>topk", "norm_topk_prob", 0, 0},
    {"olmoe", "hidden_size", "intermediate_size", "num_experts", "num_experts_per_tok",
     "hidden_act", "silu", true, "softmax>topk", "norm_topk_prob", 0, 0},
    {"granitemoe", "hidden_size", "intermediate_size", "num_local_experts", "num_experts_per_tok",
     "hidden_act", "silu", true, "topk>softmax", NULL, 0, 0},
    {"gpt_oss", "hidden_size", "intermediate_size", "num_local_experts", "num_experts_per_tok",
     NULL, "gpt_oss", true, "topk>softmax", NULL,
     MOE_BIAS_ROUTER | MOE_BIAS_UP | MOE_BIAS_DOWN, 0},
    {"dbrx", "d_model", "ffn_config.ffn_hidden_size", "ffn_config.moe_num_experts",
     "ffn_config.moe_top_k", "ffn_config.ffn_act_fn.name", "silu", true, "softmax>topk",
     "ffn_config.moe_normalize_expert_weights", 0, 0},
    {"switch_transformers", "d_model", "d_ff", "num_experts", NULL, "dense_act_fn", "relu", false,
     "softmax>topk", NULL, 0, 1.25},
};

/* Families whose layers need more than layer text can say. */
static const struct {
    const char *type, *missing;
} wanting[] = {
    {"qwen2_moe", "a gated shared expert"},
    {"qwen3_next", "a gated shared expert"},
    {"qwen3_5_moe", "a gated shared expert"},
    {"deepseek", "shared experts"},
    {"deepseek_v2", "shared experts and grouped selection"},
    {"deepseek_v3", "a shared expert and grouped sigmoid selection with a bias"},
    {"kimi_k2", "a shared expert and sigmoid selection with a bias"},
    {"glm4_moe", "a shared expert and sigmoid selection with a bias"},
    {"llama4", "a shared expert and sigmoid weights on the input"},
    {"llama4_text", "a shared expert and sigmoid weights on the input"},
    {"phimoe", "sparsemixer selection"},
    {"minimax_m2", "sigmoid selection with a bias"},
    {"granitemoeshared", "a shared expert"},
    {"granitemoehybrid", "a shared expert"},
    {"hunyuan_v1_moe", "a shared expert"},
    {"ernie4_5_moe", "shared experts and selection with a bias"},
    {"nllb-moe", "top-2 rules with capacity of their own"},
    {"gemma4", "a scale for each expert"},
};

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
};

static const struct {
    const char *name;
    moe_dtype dtype;
} dtypes[] = {{"bfloat16", MOE_BF16}, {"float16", MOE_F16}, {"float32", MOE_F32}};

#define COUNT(table) (sizeof(table) / sizeof *(table))

/* The value at a path such as "ffn_config.moe_top_k", or NULL. */
static const json_t *value_at(const json_t *root, const char *path) {
    char key[64];
    for (size_t length; root && *path; path += length + (path[length] == '.')) {
        length = strcspn(path, ".");
        snprintf(key, sizeof key, "%.*s", (int)length, path);
        root = json_object_get(root, key);
    }
    return json_is_null(root) ? NULL : root;
}

static moe_status read_size(const json_t *root, const char *path, int64_t *out) {
    const json_t *value = value_at(root, path);
    if (!json_is_integer(value))
        return moe_fail(MOE_E_CORRUPT, "'%s' is %s", path,
                        value ? "not a whole number" : "missing");
    *out = json_integer_value(value);
    return MOE_OK;
}

/* Truth as Python has it: true, or a number other than 0 (dbrx holds the order of a norm). */
static bool is_true(const json_t *value) {
    return json_is_true(value) || (json_is_number(value) && json_number_value(value) != 0);
}

static moe_status read_act(const json_t *root, const family *model, moe_act *out) {
    const json_t *value = model->act ? value_at(root, model->act) : NULL;
    const char *name = value ? json_string_value(value) : model->act_default;
    for (size_t i = 0; name && i < COUNT(acts); i++) {
        moe_act_kind kind = model->gated ? acts[i].gated : acts[i].plain;
        if (strcmp(acts[i].name, name) || kind == MOE_ACT_COUNT) continue;
        *out = (moe_act){.kind = kind};
        if (kind != MOE_ACT_SWIGLU_CLAMP) return MOE_OK;
        const json_t *limit = value_at(root, "swiglu_limit");
        out->limit = limit ? json_number_value(limit) : 7;
        out->alpha = 1.702; /* fixed in the model's code */
        return out->limit > 0 ? MOE_OK : moe_fail(MOE_E_CORRUPT, "'swiglu_limit' is not above 0");
    }
    return moe_fail(MOE_E_UNSUPPORTED, "'%s' is '%.32s', an activation that layers do not have",
                    model->act, name ? name : "no string");
}

static moe_status read_dtype(const json_t *root, moe_dtype *out) {
    const json_t *value = value_at(root, "torch_dtype");
    if (!value) value = value_at(root, "dtype");
    *out = MOE_BF16;
    if (!value) return MOE_OK;
    const char *name = json_string_value(value);
    for (size_t i = 0; name && i < COUNT(dtypes); i++) {
        if (strcmp(dtypes[i].name, name)) continue;
        *out = dtypes[i].dtype;
        return MOE_OK;
    }
    return moe_fail(MOE_E_UNSUPPORTED, "dtype '%.32s' is none of bfloat16, float16, float32",
                    name ? name : "(no string)");
}

static moe_status read_layer(const json_t *root, const family *model, moe_layer *out) {
    moe_layer layer = {.k = 1, .bias = model->bias, .capacity = model->capacity};
    MOE_TRY(read_size(root, model->d, &layer.d));
    MOE_TRY(read_size(root, model->f, &layer.f));
    MOE_TRY(read_size(root, model->e, &layer.e));
    if (model->k) MOE_TRY(read_size(root, model->k, &layer.k));
    MOE_TRY(read_act(root, model, &layer.act));
    MOE_TRY(read_dtype(root, &layer.x));
    layer.w = layer.x;
    MOE_TRY(moe_field_router.parse(NULL, model->router, &layer.router));
    layer.router.renorm |= model->renorm && is_true(value_at(root, model->renorm));
    MOE_TRY(moe_layer_check(&layer));
    *out = layer;
    return MOE_OK;
}

static moe_status unknown_family(const char *type) {
    char known[256];
    moe_text list = moe_text_start(known, sizeof known);
    for (size_t i = 0; i < COUNT(wanting); i++)
        if (!strcmp(wanting[i].type, type))
            return moe_fail(MOE_E_UNSUPPORTED, "a %s layer has %s, which layers cannot have yet",
                            type, wanting[i].missing);
    for (size_t i = 0; i < COUNT(families); i++)
        moe_text_add(&list, "%s%s", i ? ", " : "", families[i].type);
    return moe_fail(MOE_E_UNSUPPORTED,
                    "model_type '%.40s' is none of %s; write the layer as text instead", type,
                    known);
}

static moe_status read_root(const json_t *root, moe_layer *out) {
    const char *type = json_string_value(value_at(root, "model_type"));
    const json_t *text = value_at(root, "text_config");
    if (!type) return moe_fail(MOE_E_CORRUPT, "'model_type' is missing");
    for (size_t i = 0; i < COUNT(families); i++)
        if (!strcmp(families[i].type, type)) return read_layer(root, &families[i], out);
    /* A model of text and images keeps the layer's keys one level down. */
    if (json_is_object(text) && json_is_string(value_at(text, "model_type")))
        return read_root(text, out);
    return unknown_family(type);
}

/* Takes over `root`, which is NULL where the text was no JSON. */
static moe_status read_json(json_t *root, const json_error_t *error, moe_layer *out) {
    if (!root)
        return moe_fail(MOE_E_CORRUPT, "not JSON: %.100s at line %d", error->text, error->line);
    moe_status status = json_is_object(root) ? read_root(root, out)
                                             : moe_fail(MOE_E_CORRUPT, "it is not a JSON object");
    json_decref(root);
    return status;
}

moe_status moe_config_json_text(const char *text, size_t size, moe_layer *out) {
    json_error_t error;
    return read_json(json_loadb(text, size, 0, &error), &error, out);
}

moe_status moe_config_json(const char *path, moe_layer *out) {
    char file[4096];
    struct stat facts;
    json_error_t error;
    bool folder = stat(path, &facts) == 0 && S_ISDIR(facts.st_mode);
    int length = snprintf(file, sizeof file, "%s%s", path, folder ? "/config.json" : "");
    if ((size_t)length >= sizeof file)
        return moe_fail(MOE_E_NOT_FOUND, "%.64s...: the path is too long", path);
    if (stat(file, &facts)) return moe_fail(MOE_E_NOT_FOUND, "%s: %s", file, strerror(errno));
    moe_status status = read_json(json_load_file(file, 0, &error), &error, out);
    return status ? moe_fail_context(status, "%s", file) : MOE_OK;
}
