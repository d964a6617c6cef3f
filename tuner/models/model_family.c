/* model_family.c - the families of MoE models: which keys of a config.json say what.
 *
 * Keys and rules are those of each family's code in Hugging Face's transformers, or in vLLM where a
 * model ships code of its own. The usual, where a column is empty: d hidden_size, f
 * moe_intermediate_size, e num_experts, num_local_experts or n_routed_experts (versions of
 * transformers differ), k num_experts_per_tok, act hidden_act or silu, layers num_hidden_layers,
 * dense intermediate_size. */
#include "models/model_family.h"

#include <ctype.h>
#include <string.h>

#define MLA .mixer = moe_mixer_latent
#define SPARSE_STEP .moe = moe_pattern_sparse_step
#define FIRST_DENSE .moe = moe_pattern_first_dense, .moe_keys = "moe_layer_freq"

/* Of DeepSeek-V3 and its many relatives. */
#define SIGMOID_WITH_BIAS                                                                          \
    .router = "sigmoid+bias>topk", .renorm = "norm_topk_prob", .renorm_default = true,             \
    .groups = "n_group topk_group",                                                                \
    .group_rule = MOE_GROUP_SUM2, .scale = "routed_scaling_factor",                                \
    .shared_count = "n_shared_experts|num_shared_experts"

static const moe_family families[] = {
    {.types = "mixtral", .f = "intermediate_size",
     .router = "softmax>topk>renorm"},
    {.types = "qwen2_moe", .router = "softmax>topk", .renorm = "norm_topk_prob",
     .shared = "shared_expert_intermediate_size", .shared_gated = true, SPARSE_STEP},
    {.types = "qwen3_moe", .router = "softmax>topk", .renorm = "norm_topk_prob",
     SPARSE_STEP},
    {.types = "qwen3_vl_moe_text qwen3_omni_moe_text",
     .router = "softmax>topk>renorm", SPARSE_STEP},
    {.types = "qwen3_next", .router = "softmax>topk",
     .renorm = "norm_topk_prob", .renorm_default = true,
     .shared = "shared_expert_intermediate_size", .shared_gated = true, SPARSE_STEP,
     .mixer = moe_mixer_delta},
    {.types = "qwen3_5_moe_text", .router = "softmax>topk>renorm",
     .shared = "shared_expert_intermediate_size", .shared_gated = true, SPARSE_STEP,
     .mixer = moe_mixer_delta},
    {.types = "olmoe flex_olmo", .f = "intermediate_size", .router = "softmax>topk",
     .renorm = "norm_topk_prob"},
    {.types = "granitemoe", .f = "intermediate_size",
     .router = "topk>softmax"},
    {.types = "granitemoeshared", .f = "intermediate_size",
     .router = "topk>softmax", .shared = "shared_intermediate_size"},
    {.types = "granitemoehybrid", .f = "intermediate_size",
     .router = "topk>softmax", .shared = "shared_intermediate_size", .mixer = moe_mixer_listed},
    {.types = "gpt_oss", .f = "intermediate_size", .act = "",
     .act_default = "gpt_oss", .router = "topk>softmax",
     .bias = MOE_BIAS_ROUTER | MOE_BIAS_UP | MOE_BIAS_DOWN, .layout = MOE_LAYOUT_INTERLEAVED,
     .note = "published weights are MXFP4, which run --weights unpacks"},
    {.types = "dbrx", .d = "d_model", .f = "ffn_config.ffn_hidden_size",
     .e = "ffn_config.moe_num_experts", .k = "ffn_config.moe_top_k",
     .act = "ffn_config.ffn_act_fn.name", .router = "softmax>topk",
     .renorm = "ffn_config.moe_normalize_expert_weights", .renorm_by_norm = true,
     .layers = "n_layers", .mixer = moe_mixer_fused},
    {.types = "deepseek", .router = "softmax>topk",
     .renorm = "norm_topk_prob", .shared_count = "n_shared_experts", FIRST_DENSE},
    {.types = "deepseek_v2", .router = "softmax>topk",
     .groups = "n_group topk_group", .group_rule = MOE_GROUP_MAX,
     .groups_when = "group_limited_greedy", .scale = "routed_scaling_factor",
     .shared_count = "n_shared_experts", FIRST_DENSE, MLA,
     .knows = "norm_topk_prob n_group topk_group",
     .note = "norm_topk_prob is left out, as in transformers; vLLM divides by the sum, and "
             "DeepSeek does so in place of the factor: for these, write the layer as text",
     .note_when = "norm_topk_prob"},
    {.types = "deepseek_v3 deepseek_v32 kimi_k2 glm4_moe_lite glm_moe_dsa", SIGMOID_WITH_BIAS,
     FIRST_DENSE, MLA},
    {.types = "glm4_moe glm4v_moe_text dots1 solar_open exaone_moe", SIGMOID_WITH_BIAS,
     FIRST_DENSE},
    {.types = "lfm2_moe", .router = "sigmoid+bias>topk>renorm(1e-6)",
     .scale = "routed_scaling_factor", FIRST_DENSE, .mixer = moe_mixer_unknown},
    {.types = "minimax", .f = "intermediate_size", .router = "softmax>topk>renorm",
     .knows = "shared_moe_mode", .mixer = moe_mixer_unknown},
    {.types = "deepseek_v4", .router = "sqrtsoftplus+bias>topk",
     .missing = "limits on gate and up before silu, and layers that choose experts by token id"},
    {.types = "minimax_m2", .f = "intermediate_size",
     .router = "sigmoid+bias>topk>renorm", .knows = "shared_moe_mode"},
    {.types = "minimax_m3 minimax_m3_text", .f = "moe_intermediate_size|intermediate_size",
     .router = "sigmoid+bias>topk>renorm", .scale = "routed_scaling_factor",
     .shared = "shared_intermediate_size", .shared_count = "n_shared_experts", FIRST_DENSE,
     .dense = "dense_intermediate_size", .mixer = moe_mixer_unknown},
    {.types = "mimo_v2_flash", SIGMOID_WITH_BIAS, FIRST_DENSE, .mixer = moe_mixer_unknown},
    {.types = "laguna", .router = "sigmoid+bias>topk", .renorm = "norm_topk_prob",
     .renorm_default = true, .scale = "moe_routed_scaling_factor",
     .shared = "shared_expert_intermediate_size", SPARSE_STEP, .mixer = moe_mixer_unknown},
    {.types = "bailing_moe_v2 bailing_moe", SIGMOID_WITH_BIAS, .needs = "score_function",
     .shared = "moe_shared_expert_intermediate_size|moe_intermediate_size", FIRST_DENSE},
    {.types = "afmoe", .router = "sigmoid+bias>topk", .renorm = "route_norm",
     .renorm_default = true, .scale = "route_scale", .shared_count = "num_shared_experts",
     FIRST_DENSE, .mixer = moe_mixer_unknown},
    {.types = "step3p7 step3p5", .e = "num_experts|moe_num_experts",
     .k = "num_experts_per_tok|moe_top_k", .router = "sigmoid+bias>topk>renorm",
     .scale = "moe_router_scaling_factor", .shared = "share_expert_dim",
     .moe = moe_pattern_enumerated, .moe_keys = "moe_layers_enum", .mixer = moe_mixer_unknown},
    {.types = "qwen4_exp_text", .router = "softmax>topk>renorm",
     .shared = "shared_expert_intermediate_size", .shared_gated = true, SPARSE_STEP,
     .mixer = moe_mixer_unknown},
    {.types = "hy_v3", .router = "sigmoid+bias>topk>renorm",
     .scale = "router_scaling_factor", .shared_count = "num_shared_experts",
     .moe = moe_pattern_named, .knows = "moe_router_use_sigmoid"},
    {.types = "hunyuan_v1_moe hunyuan", .f = "moe_intermediate_size|intermediate_size",
     .k = "moe_topk", .router = "softmax>topk>renorm",
     .router_dtype = MOE_ROUTER_F32,
     .shared_count = "num_shared_expert", .shared_default = 1,
     .knows = "use_mixed_mlp_moe moe_layer_num_skipped"},
    {.types = "ernie4_5_moe", .e = "moe_num_experts", .k = "moe_k",
     .router = "softmax+bias>topk>renorm", .router_dtype = MOE_ROUTER_F32,
     .shared_count = "moe_num_shared_experts",
     .moe = moe_pattern_interval,
     .moe_keys = "moe_layer_interval moe_layer_start_index moe_layer_end_index",
     .knows = "moe_norm_min moe_group"},
    {.types = "llama4_text", .f = "intermediate_size",
     .router = "topk>sigmoid>input", .shared = "intermediate_size", .moe = moe_pattern_interleave,
     .moe_keys = "moe_layers interleave_moe_layer_step",
     .dense = "intermediate_size_mlp"},
    {.types = "phimoe", .f = "intermediate_size",
     .router = "topk>sparsemixer(0.01)", .jitter = "router_jitter_noise"},
    {.types = "nemotron_h", .act = "mlp_hidden_act", .act_default = "relu2", .plain = true,
     SIGMOID_WITH_BIAS, .router_dtype = MOE_ROUTER_F32,
     .shared = "moe_shared_expert_intermediate_size", .moe = moe_pattern_named,
     .mixer = moe_mixer_listed, .alone = true, .refuse = "moe_latent_size",
     .missing = "experts that work on a projection of what the router reads"},
    {.types = "gemma4_text", .k = "top_k_experts", .act = "hidden_activation",
     .act_default = "gelu_pytorch_tanh", .router = "softmax>topk>renorm", .tied = true,
     .knows = "enable_moe_block",
     .note = "its router reads a norm of its own, and every expert's weight has a factor: give the "
             "routing, or put the factors into down"},
    {.types = "switch_transformers", .d = "d_model", .f = "d_ff", .k_fixed = 1,
     .act = "dense_act_fn", .act_default = "relu", .plain = true, .router = "softmax>topk",
     .capacity = 1.25, .tied = true, .layers = "num_layers num_decoder_layers",
     .moe = moe_pattern_encoder_decoder, .mixer = moe_mixer_encoder_decoder, .dense = "d_ff",
     .note = "trained with capacity 1.25; the published code drops beyond expert_capacity rows"},
    {.types = "nllb-moe", .d = "d_model", .f = "encoder_ffn_dim", .k_fixed = 2,
     .act = "activation_function", .act_default = "relu", .plain = true,
     .router = "softmax>topk>renorm", .bias = MOE_BIAS_UP | MOE_BIAS_DOWN,
     .tied = true, .layers = "encoder_layers decoder_layers", .moe = moe_pattern_encoder_decoder,
     .mixer = moe_mixer_encoder_decoder, .dense = "encoder_ffn_dim",
     .note = "trained with capacity 2*ceil(T/e) and, for some tokens, no second expert"},
};

enum { FAMILIES = sizeof families / sizeof *families };

enum { TYPE_SIZE = 64 };

/* A name by its letters and digits alone, in small letters, up to what classes end in: "Qwen3Moe"
 * of "Qwen3MoeForCausalLM" and "qwen3_moe" are the same. */
static void squeeze(const char *name, size_t length, char *out) {
    const char *end = strstr(name, "For");
    size_t used = 0;
    if (end && (size_t)(end - name) < length) length = (size_t)(end - name);
    for (size_t i = 0; i < length && used < TYPE_SIZE - 1; i++)
        if (isalnum((unsigned char)name[i])) out[used++] = (char)tolower((unsigned char)name[i]);
    out[used] = '\0';
}

bool moe_family_is(const char *types, const char *name) {
    char wanted[TYPE_SIZE], type[TYPE_SIZE];
    squeeze(name, strlen(name), wanted);
    for (const char *at = types; *at; at += strspn(at, " ")) {
        size_t length = strcspn(at, " ");
        squeeze(at, length, type);
        if (*wanted && !strcmp(type, wanted)) return true;
        at += length;
    }
    return false;
}

const moe_family *moe_family_find(const char *type, const char *class) {
    const char *const names[] = {type, class};
    for (int n = 0; n < 2; n++)
        for (int i = 0; i < FAMILIES && names[n]; i++)
            if (moe_family_is(families[i].types, names[n])) return &families[i];
    return NULL;
}

void moe_family_list(char *text, size_t size) {
    moe_text list = moe_text_start(text, size);
    for (int i = 0; i < FAMILIES; i++)
        for (const char *at = families[i].types; *at; at += strspn(at, " ")) {
            int length = (int)strcspn(at, " ");
            moe_text_add(&list, "%s%.*s", list.used ? ", " : "", length, at);
            at += length;
        }
}
