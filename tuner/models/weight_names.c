/* weight_names.c - how families of models call and lay out the tensors of a MoE layer.
 *
 * Each row was read from the code that loads such models: transformers (its modeling files, and
 * conversion_mapping.py, which lists the names in published files) and llama.cpp's
 * tensor_mapping.py. Gemma 4 is left out, whose router reads a norm of its own; Switch and NLLB
 * were published in another file format. */
#include "models/weight_names.h"

#include "models/model_family.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* What stands before the block. */
static const char *const prefixes[] = {
    "model.", "model.language_model.", "language_model.model.", "thinker.model.", "backbone.",
    "transformer.", "", NULL,
};

/* Families whose experts are `mlp.experts.N.gate_proj` and so on where they are published. */
#define MLP_FAMILIES                                                                               \
    "qwen2_moe qwen3_moe qwen3_next qwen3_omni_moe_text olmoe deepseek deepseek_v2 deepseek_v3 "   \
    "deepseek_v32 kimi_k2 glm4_moe glm4v_moe_text glm4_moe_lite glm_moe_dsa dots1 hunyuan_v1_moe " \
    "hunyuan ernie4_5_moe hy_v3 mimo_v2_flash laguna bailing_moe bailing_moe_v2 afmoe flex_olmo "  \
    "solar_open exaone_moe qwen4_exp_text"

#define MLP_ROUTER "gate.weight|gate.wg.weight|router.gate.weight"

#define MLP_KEY_BIAS                                                                               \
    "gate.e_score_correction_bias|e_score_correction_bias|"                                        \
    "moe_statics.e_score_correction_bias|gate.moe_statics.e_score_correction_bias|"                \
    "gate.expert_bias|expert_bias|experts.e_score_correction_bias"

/* An expert for every token, by any of its names. */
#define SHARED                                                                                     \
    .shared_gate = "shared_experts.gate_proj.weight|shared_expert.gate_proj.weight|"               \
                   "shared_mlp.gate_proj.weight",                                                  \
    .shared_up = "shared_experts.up_proj.weight|shared_expert.up_proj.weight|"                     \
                 "shared_mlp.up_proj.weight",                                                      \
    .shared_down = "shared_experts.down_proj.weight|shared_expert.down_proj.weight|"               \
                   "shared_mlp.down_proj.weight"

/* Every way of naming; the last has no types. */
static const moe_weight_names families[] = {
    {.types = MLP_FAMILIES " qwen3_vl_moe_text qwen3_5_moe_text", .block = "layers.#.mlp.",
     .router = MLP_ROUTER, .key_bias = MLP_KEY_BIAS,
     .gate = "experts.*.gate_proj.weight", .up = "experts.*.up_proj.weight",
     .down = "experts.*.down_proj.weight", SHARED, .shared_weight = "shared_expert_gate.weight"},
    {.types = "mixtral phimoe minimax minimax_m2 minimax_m3 minimax_m3_text",
     .block = "layers.#.block_sparse_moe.", .router = "gate.weight",
     .key_bias = "e_score_correction_bias|gate.e_score_correction_bias",
     .gate = "experts.*.w1.weight", .up = "experts.*.w3.weight", .down = "experts.*.w2.weight",
     SHARED},
    {.types = "phimoe mixtral minimax", .block = "layers.#.mlp.",
     .router = "router.weight|gate.weight", .gate = "experts.*.w1.weight",
     .up = "experts.*.w3.weight", .down = "experts.*.w2.weight"},
    {.types = "lfm2_moe", .block = "layers.#.feed_forward.", .router = "gate.weight",
     .key_bias = "expert_bias", .gate = "experts.*.w1.weight", .up = "experts.*.w3.weight",
     .down = "experts.*.w2.weight"},
    {.types = "lfm2_moe", .block = "layers.#.feed_forward.", .router = "gate.weight",
     .key_bias = "expert_bias", .gate_up = "experts.gate_up_proj", .down = "experts.down_proj"},
    {.types = "gpt_oss", .block = "layers.#.mlp.", .router = "router.weight",
     .router_bias = "router.bias", .gate_up = "experts.gate_up_proj",
     .up_bias = "experts.gate_up_proj_bias", .down = "experts.down_proj",
     .down_bias = "experts.down_proj_bias", .turned = true, .alternating = true},
    {.types = "gpt_oss", .block = "layers.#.mlp.", .router = "router.weight",
     .router_bias = "router.bias", .gate_up = "experts.gate_up_proj_blocks",
     .up_bias = "experts.gate_up_proj_bias", .down = "experts.down_proj_blocks",
     .down_bias = "experts.down_proj_bias", .alternating = true},
    {.types = "llama4_text", .block = "layers.#.feed_forward.", .router = "router.weight",
     .gate_up = "experts.gate_up_proj", .down = "experts.down_proj",
     .shared_gate = "shared_expert.gate_proj.weight", .shared_up = "shared_expert.up_proj.weight",
     .shared_down = "shared_expert.down_proj.weight", .turned = true},
    {.types = "qwen3_vl_moe_text", .block = "layers.#.mlp.", .router = "gate.weight",
     .gate_up = "experts.gate_up_proj", .down = "experts.down_proj", .turned = true},
    /* As transformers 5 holds every family in memory, and saves them where told not to convert. */
    {.types = "qwen3_5_moe_text " MLP_FAMILIES " mixtral phimoe minimax minimax_m2 "
              "qwen3_vl_moe_text",
     .block = "layers.#.mlp.", .router = MLP_ROUTER "|router.weight", .key_bias = MLP_KEY_BIAS,
     .gate_up = "experts.gate_up_proj", .down = "experts.down_proj", SHARED,
     .shared_weight = "shared_expert_gate.weight"},
    {.types = "granitemoe granitemoeshared granitemoehybrid", .block = "layers.#.",
     .parts = "block_sparse_moe.|shared_mlp.",
     .router = "block_sparse_moe.router.layer.weight",
     .gate_up = "block_sparse_moe.input_linear.weight",
     .down = "block_sparse_moe.output_linear.weight",
     .shared_gate_up = "shared_mlp.input_linear.weight",
     .shared_down = "shared_mlp.output_linear.weight"},
    {.types = "dbrx", .block = "blocks.#.ffn.", .router = "router.layer.weight",
     .gate = "experts.mlp.w1", .up = "experts.mlp.v1", .down = "experts.mlp.w2",
     .turned_down = true},
    {.types = "nemotron_h", .block = "layers.#.mixer.", .router = "gate.weight",
     .key_bias = "gate.e_score_correction_bias", .up = "experts.*.up_proj.weight",
     .down = "experts.*.down_proj.weight", .shared_up = "shared_experts.up_proj.weight",
     .shared_down = "shared_experts.down_proj.weight"},
    {.types = "nemotron_h", .block = "layers.#.mixer.", .router = "gate.weight",
     .key_bias = "gate.e_score_correction_bias", .up = "experts.up_proj",
     .down = "experts.down_proj", .shared_up = "shared_experts.up_proj.weight",
     .shared_down = "shared_experts.down_proj.weight"},
    {.types = NULL},
};

/* One pattern, up to `length`, with the numbers put in. */
static void fill_in(const char *prefix, const char *block, const char *pattern, size_t length,
                    int64_t layer, int64_t expert, char *name) {
    moe_text out = moe_text_start(name, MOE_WEIGHT_NAME_SIZE);
    moe_text_add(&out, "%s", prefix);
    for (; *block; block++)
        if (*block == '#') moe_text_add(&out, "%" PRId64, layer);
        else moe_text_add(&out, "%c", *block);
    for (size_t i = 0; i < length; i++)
        if (pattern[i] == '*') moe_text_add(&out, "%" PRId64, expert);
        else moe_text_add(&out, "%c", pattern[i]);
}

bool moe_weight_name(const moe_shards *shards, const char *prefix, const moe_weight_names *names,
                     const char *pattern, int64_t layer, int64_t expert,
                     char name[MOE_WEIGHT_NAME_SIZE]) {
    for (const char *at = pattern; *at;) {
        size_t length = strcspn(at, "|");
        fill_in(prefix, names->block, at, length, layer, expert, name);
        if (moe_shards_has(shards, name)) return true;
        at += length + (at[length] == '|');
    }
    fill_in(prefix, names->block, pattern, strcspn(pattern, "|"), layer, expert, name);
    return false;
}

/* ------------------------------------------------------------------------------------- finding */

static bool has(const moe_shards *shards, const char *prefix, const moe_weight_names *names,
                const char *pattern, int64_t layer) {
    char name[MOE_WEIGHT_NAME_SIZE];
    return pattern && moe_weight_name(shards, prefix, names, pattern, layer, 0, name);
}

static bool is_named_so(const moe_shards *shards, const char *prefix,
                        const moe_weight_names *names, int64_t layer) {
    bool up = has(shards, prefix, names, names->gate_up ? names->gate_up : names->up, layer);
    bool gate = !names->gate || has(shards, prefix, names, names->gate, layer);
    return up && gate && has(shards, prefix, names, names->router, layer) &&
           has(shards, prefix, names, names->down, layer);
}

/* Quantised weights have companions, which tell what became of them. */
static const char *const packed_ends[] = {"_blocks", "_scales", ".qweight", ".weight_packed",
                                          ".qzeros", NULL};

static bool is_packed(const char *name) {
    for (const char *const *end = packed_ends; *end; end++) {
        size_t length = strlen(name), tail = strlen(*end);
        if (length > tail && !strcmp(name + length - tail, *end)) return true;
    }
    return false;
}

/* True where the first number between dots, which is the layer's, is this one. */
static bool is_of_layer(const char *name, int64_t layer) {
    for (const char *at = name; (at = strchr(at, '.')) != NULL;) {
        size_t digits = strspn(++at, "0123456789");
        if (digits && digits < 18 && at[digits] == '.') return strtoll(at, NULL, 10) == layer;
    }
    return false;
}

static moe_status no_names(const moe_shards *shards, int64_t layer) {
    char list[400];
    moe_text out = moe_text_start(list, sizeof list);
    const char *packed = NULL, *name;
    for (int64_t i = 0, shown = 0; (name = moe_shards_name(shards, i)) != NULL; i++) {
        if (!is_of_layer(name, layer)) continue;
        if (is_packed(name)) packed = name;
        if (shown++ < 4)
            moe_text_add(&out, "%s%s", out.used ? ", " : "", moe_tensor_label_of(name).text);
    }
    if (packed)
        return moe_fail(MOE_E_UNSUPPORTED,
                        "%s: the experts of layer %" PRId64 " are quantised ('%s'); convert the "
                        "model to bf16 first, or take a copy of it that was published in bf16",
                        moe_shards_path(shards), layer, moe_tensor_label_of(packed).text);
    return moe_fail(MOE_E_NOT_FOUND,
                    "%s: no experts of layer %" PRId64 " by any name that is known; its tensors: "
                    "%s",
                    moe_shards_path(shards), layer, *list ? list : "none");
}

/* Rows of gate and up in turn look like rows one after the other. A model of no known family is
 * read so only where it has every tensor of those that are so. */
static bool is_complete(const moe_shards *shards, const char *prefix, const moe_weight_names *names,
                        int64_t layer) {
    const char *const patterns[] = {names->router_bias, names->up_bias, names->down_bias};
    for (size_t i = 0; i < sizeof patterns / sizeof *patterns; i++)
        if (patterns[i] && !has(shards, prefix, names, patterns[i], layer)) return false;
    return true;
}

/* A row under a prefix, and how well it fits. Shapes of up and down together tell turned layouts
 * from others. */
typedef struct reading {
    const char *prefix;
    const moe_weight_names *names;
    enum { NAMED = 1, FITTING, OWN, OWN_FITTING } rank;
} reading;

static moe_status two_readings(const moe_shards *shards, const char *type, const reading *best) {
    const char *types = best->names->types;
    return moe_fail(MOE_E_UNSUPPORTED,
                    "%s: by names and shapes its rows of gate and up may stand in turn, as those "
                    "of %.*s, or one after the other, and '%s' is no family that is known; say "
                    "--as FAMILY",
                    moe_shards_path(shards), (int)strcspn(types, " "), types, type ? type : "");
}

static moe_status not_its_names(const moe_shards *shards, const char *type, const reading *best) {
    const char *types = best->names->types;
    return moe_fail(MOE_E_UNSUPPORTED,
                    "%s: its tensors are not called as %s calls them, but as %.*s does; where they "
                    "are laid out so, too, say --as %.*s",
                    moe_shards_path(shards), type, (int)strcspn(types, " "), types,
                    (int)strcspn(types, " "), types);
}

static bool is_known(const char *type) {
    for (const moe_weight_names *n = families; type && n->types; n++)
        if (moe_family_is(n->types, type)) return true;
    return false;
}

moe_status moe_weight_names_find(const moe_shards *shards, const char *type, int64_t layer,
                                 moe_weight_fits *fits, void *context, const char **prefix,
                                 const moe_weight_names **out) {
    reading best = {0};
    for (const char *const *p = prefixes; *p && !best.rank; p++)
        for (const moe_weight_names *n = families; n->types; n++) {
            if (!is_named_so(shards, *p, n, layer)) continue;
            const bool own = type && moe_family_is(n->types, type), fit = fits(context, *p, n);
            const reading now = {*p, n, own ? fit ? OWN_FITTING : OWN : fit ? FITTING : NAMED};
            if (now.rank > best.rank) best = now;
        }
    if (!best.rank) return no_names(shards, layer);
    if (best.rank < OWN && is_known(type)) return not_its_names(shards, type, &best);
    if (best.rank < OWN && best.names->alternating &&
        !is_complete(shards, best.prefix, best.names, layer))
        return two_readings(shards, type, &best);
    *prefix = best.prefix;
    *out = best.names;
    return MOE_OK;
}
