/* model_keys.c - whether a config.json says of its MoE layers what was read of them.
 *
 * Keys are told by words in their names. A key is read where a column of the family names it; where
 * a claim below knows what it means, the layer must agree, whoever reads it; and what trains a
 * model, or says how it is run, has no part in what a layer computes. All else is an error. */
#include "models/model_keys.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COUNT(table) (sizeof(table) / sizeof *(table))

/* What keys of MoE layers have in their names ... */
static const char *const words[] = {
    "expert", "moe", "rout", "topk", "top_k", "shared", "share_", "scor", "gate", "n_group",
    "swiglu", "mlp_bias", "norm_topk",
};

/* ... and keys of something else, of training, and of how a model is run. */
static const char *const harmless[] = {
    "attn", "attention", "output_gate", "index", "vision", "audio", "mtp", "aggregate", "n_groups",
    "loss", "jitter", "dropout", "init", "dtype", "fp32", "parallel", "overlap", "grouped_mm",
    "grouped_gemm", "output_router_logits", "bias_update", "load_balanc", "aux", "padding",
    "world_size", "moe_rank", "capacity", "fused", "backend", "implementation", "cast_probs",
};

static bool has_one(const char *key, const char *const *list, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (strstr(key, list[i])) return true;
    return false;
}

/* A generation's top_k stands among the keys of old files. */
static bool is_of_moe(const char *key) {
    return has_one(key, words, COUNT(words)) && !has_one(key, harmless, COUNT(harmless)) &&
           strcmp(key, "top_k") != 0;
}

/* ------------------------------------------------------------------------------------- claims */

static bool is_number(const json_t *value, double number) {
    return json_is_number(value) && fabs(json_number_value(value) - number) <= 1e-6 * fabs(number);
}

/* What says that there is none of a thing. */
static bool is_off(const json_t *value) {
    if (json_is_array(value)) {
        for (size_t i = 0; i < json_array_size(value); i++)
            if (!is_off(json_array_get(value, i))) return false;
        return true;
    }
    return json_is_null(value) || json_is_false(value) || is_number(value, 0) ||
           (json_is_string(value) && !*json_string_value(value)) ||
           (json_is_object(value) && !json_object_size(value));
}

static bool says(const json_t *value, const char *text) {
    return json_is_string(value) && !strcmp(json_string_value(value), text);
}

static bool says_experts(const json_t *value, const moe_layer *l) {
    return is_number(value, (double)l->e);
}
static bool says_chosen(const json_t *value, const moe_layer *l) {
    return is_number(value, (double)l->k);
}
static bool says_width(const json_t *value, const moe_layer *l) {
    return is_number(value, (double)l->f);
}
static bool says_shared(const json_t *value, const moe_layer *l) {
    return is_off(value) == (l->shared.f == 0);
}
static bool says_renorm(const json_t *value, const moe_layer *l) {
    return is_off(value) != (l->router.renorm || l->router.weigh == MOE_WEIGH_SOFTMAX);
}
static bool says_scale(const json_t *value, const moe_layer *l) {
    return json_is_null(value) || is_number(value, l->router.scale);
}
static bool says_key_bias(const json_t *value, const moe_layer *l) {
    return is_off(value) != l->router.key_bias;
}
static bool says_bias(const json_t *value, const moe_layer *l) {
    return is_off(value) || (l->bias & MOE_BIAS_UP && l->bias & MOE_BIAS_DOWN && !l->shared.f);
}
static bool says_groups(const json_t *value, const moe_layer *l) {
    return is_off(value) || is_number(value, l->router.groups ? (double)l->router.groups : 1);
}
static bool says_kept(const json_t *value, const moe_layer *l) {
    return is_off(value) || !l->router.groups || is_number(value, (double)l->router.groups_kept);
}
static bool says_limit(const json_t *value, const moe_layer *l) {
    return is_off(value) || is_number(value, l->act.limit);
}
static bool says_alpha(const json_t *value, const moe_layer *l) {
    return is_off(value) || is_number(value, l->act.alpha);
}
/* dots.llm1 calls its method so. */
static bool says_score(const json_t *value, const moe_layer *l) {
    const moe_score score = l->router.score;
    return (says(value, "softmax") && score == MOE_SCORE_SOFTMAX) ||
           (says(value, "sigmoid") && score == MOE_SCORE_SIGMOID) ||
           (says(value, "noaux_tc") && score == MOE_SCORE_SIGMOID && l->router.key_bias);
}
static bool says_method(const json_t *value, const moe_layer *l) {
    const moe_router *r = &l->router;
    if (says(value, "noaux_tc")) return r->key_bias;
    if (says(value, "greedy") || says(value, "topk")) return !r->key_bias && !r->groups;
    return says(value, "group_limited_greedy") && !r->key_bias &&
           (!r->groups || r->group_rule == MOE_GROUP_MAX);
}

/* Keys that mean the same wherever they stand. */
static const struct {
    const char *keys;
    bool (*agrees)(const json_t *value, const moe_layer *layer);
    const char *what; /* that layers lack; NULL: the layer says */
} claims[] = {
    {"num_experts|num_local_experts|n_routed_experts|moe_num_experts", says_experts, NULL},
    {"num_experts_per_tok|experts_per_token|moe_topk|moe_top_k|moe_k|top_k_experts", says_chosen,
     NULL},
    {"moe_intermediate_size|expert_intermediate_size|expert_hidden_dim", says_width, NULL},
    {"n_shared_experts|num_shared_experts|num_shared_expert|moe_num_shared_experts|"
     "shared_expert_intermediate_size|moe_shared_expert_intermediate_size|"
     "shared_intermediate_size|share_expert_dim", says_shared, NULL},
    {"norm_topk_prob|route_norm|norm_expert_weight", says_renorm, NULL},
    {"routed_scaling_factor|moe_routed_scaling_factor|router_scaling_factor|"
     "moe_router_scaling_factor|route_scale", says_scale, NULL},
    {"use_routing_bias|use_expert_bias|use_moe_router_bias|moe_router_enable_expert_bias|"
     "moe_use_aux_free", says_key_bias, NULL},
    {"scoring_func|score_func|score_function|moe_router_score_function|moe_router_activation",
     says_score, NULL},
    {"topk_method|moe_gate", says_method, NULL},
    {"n_group|num_expert_group|num_expert_groups", says_groups, NULL},
    {"topk_group|num_limited_groups", says_kept, NULL},
    {"swiglu_limit", says_limit, NULL},
    {"swiglu_alpha", says_alpha, NULL},
    {"mlp_bias", says_bias, "biases of shared experts, which layers cannot have yet"},
};

/* ------------------------------------------------------------------------------------- reading */

/* True where `path` is one of the paths, which are joined by '|' or blanks. */
static bool lists(const char *paths, const char *path) {
    for (const char *at = paths; at && *at; at += strspn(at, "| ")) {
        const size_t length = strcspn(at, "| ");
        if (length == strlen(path) && !strncmp(at, path, length)) return true;
        at += length;
    }
    return false;
}

static bool reads(const moe_family *f, const char *path) {
    const char *const columns[] = {f->d,      f->f,      f->e,            f->k,         f->act,
                                   f->renorm, f->scale,  f->jitter,       f->shared,    f->groups,
                                   f->dense,  f->refuse, f->shared_count, f->moe_keys,  f->knows};
    for (size_t i = 0; i < COUNT(columns); i++)
        if (lists(columns[i], path)) return true;
    return false;
}

/* A list says something of every layer; patterns of layers are the family's to know. */
static bool agrees(size_t claim, const json_t *value, const moe_layer *layer) {
    for (size_t i = 0; i < json_array_size(value); i++)
        if (!claims[claim].agrees(json_array_get(value, i), layer)) return false;
    return json_is_array(value) || json_is_null(value) || claims[claim].agrees(value, layer);
}

static moe_status refuse(const char *path, const json_t *value, const char *why) {
    char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
    moe_status status = moe_fail(MOE_E_UNSUPPORTED, "'%s' is %.60s, %s", path,
                                 text ? text : "something", why);
    free(text);
    return status;
}

/* What the family makes of the layer, beside the key. */
static moe_status contradicts(const char *path, const json_t *value, const moe_layer *layer) {
    char router[MOE_LAYER_TEXT_SIZE], why[MOE_LAYER_TEXT_SIZE + 128];
    MOE_TRY(moe_layer_print(layer, router, sizeof router));
    snprintf(why, sizeof why, "but layers of its family are read as '%s'; write the layer as text, "
                              "if text can say it", router);
    return refuse(path, value, why);
}

static moe_status check_key(const moe_family *family, const moe_layer *layer, const char *path,
                            const json_t *value) {
    const char *dot = strrchr(path, '.'), *key = dot ? dot + 1 : path;
    if (lists(family->knows, path)) return MOE_OK;
    for (size_t i = 0; i < COUNT(claims); i++)
        if (lists(claims[i].keys, key))
            return agrees(i, value, layer) ? MOE_OK
                   : claims[i].what        ? refuse(path, value, claims[i].what)
                                           : contradicts(path, value, layer);
    if (!is_of_moe(key) || reads(family, path) || is_off(value)) return MOE_OK;
    return refuse(path, value, "which nobody knows how to read; write the layer as text instead");
}

static moe_status check_object(const json_t *object, const char *before, const moe_family *family,
                               const moe_layer *layer) {
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)object, key, value) {
        char path[128];
        if (json_is_object(value)) continue;
        snprintf(path, sizeof path, "%s%s", before, key);
        MOE_TRY(check_key(family, layer, path, value));
    }
    return MOE_OK;
}

moe_status moe_model_keys_check(const json_t *root, const moe_family *family,
                                const moe_layer *layer) {
    MOE_TRY(check_object(root, "", family, layer));
    return check_object(json_object_get(root, "ffn_config"), "ffn_config.", family, layer);
}
