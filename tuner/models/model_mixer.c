/* model_mixer.c - parameters of what stands beside the experts in a layer, without norms and
 * biases, which are too few to matter. */
#include "models/model_family.h"

#include <math.h>
#include <string.h>

static double size_of(const json_t *root, const char *path) {
    return moe_config_guess(root, path, NAN);
}

static double known(double parameters) { return isfinite(parameters) ? parameters : -1; }

/* Queries, keys, values and output, where several queries share keys and values. `query` counts the
 * projections as large as the queries': 2, or 3 where the output has a gate. */
static double grouped(const json_t *root, double query) {
    double d = size_of(root, "hidden_size"), heads = size_of(root, "num_attention_heads");
    double width = moe_config_guess(root, "head_dim|attention_head_dim", d / heads);
    double kv = moe_config_guess(root, "num_key_value_heads", heads);
    return d * width * (query * heads + 2 * kv);
}

double moe_mixer_grouped(const json_t *root, int64_t i) {
    (void)i;
    return known(grouped(root, 2));
}

/* DeepSeek's attention: queries and keys come out of narrow projections. */
double moe_mixer_latent(const json_t *root, int64_t i) {
    double d = size_of(root, "hidden_size"), heads = size_of(root, "num_attention_heads");
    double rope = size_of(root, "qk_rope_head_dim"), nope = size_of(root, "qk_nope_head_dim");
    double value = size_of(root, "v_head_dim"), kv = size_of(root, "kv_lora_rank");
    double query = moe_config_guess(root, "q_lora_rank", 0), each = heads * (nope + rope);
    (void)i;
    if (!moe_config_at(root, "kv_lora_rank")) return moe_mixer_grouped(root, i);
    return known((query > 0 ? d * query + query * each : d * each) + d * (kv + rope) +
                 kv * heads * (nope + value) + heads * value * d);
}

/* Qwen3-Next: full attention with a gate in every interval-th layer, else a gated delta rule. */
double moe_mixer_delta(const json_t *root, int64_t i) {
    double interval = moe_config_guess(root, "full_attention_interval", 4);
    if (!(interval >= 1 && interval < 1e9) || (i + 1) % (int64_t)interval == 0)
        return known(grouped(root, 3));
    double d = size_of(root, "hidden_size"), heads = size_of(root, "linear_num_value_heads");
    double key = size_of(root, "linear_num_key_heads") * size_of(root, "linear_key_head_dim");
    double value = heads * size_of(root, "linear_value_head_dim");
    return known(d * (2 * key + 3 * value + 2 * heads) +
                 (2 * key + value) * size_of(root, "linear_conv_kernel_dim"));
}

static double mamba2(const json_t *root, int64_t i) {
    double d = size_of(root, "hidden_size"), heads = size_of(root, "mamba_num_heads|mamba_n_heads");
    double inner = heads * size_of(root, "mamba_head_dim|mamba_d_head");
    double states = 2 * size_of(root, "n_groups|mamba_n_groups") *
                    size_of(root, "ssm_state_size|mamba_d_state");
    (void)i;
    return known(d * (3 * inner + states + heads) +
                 (inner + states) * size_of(root, "conv_kernel|mamba_d_conv"));
}

static double plain_mlp(const json_t *root, int64_t i) {
    (void)i;
    return known(2 * size_of(root, "hidden_size") * size_of(root, "intermediate_size"));
}

static double nothing(const json_t *root, int64_t i) {
    (void)root, (void)i;
    return 0;
}

/* Hybrids: a list says what each layer is, by a word or a letter. */
double moe_mixer_listed(const json_t *root, int64_t i) {
    static const struct {
        const char *kind;
        moe_mixer *mixer;
    } kinds[] = {
        {"M", mamba2},        {"mamba", mamba2},
        {"*", moe_mixer_grouped},        {"attention", moe_mixer_grouped},
        {"E", nothing},       {"moe", nothing},
        {"-", plain_mlp},     {"mlp", plain_mlp},
        {"linear_attention", mamba2}, {"full_attention", moe_mixer_grouped},
    };
    const json_t *list =
        moe_config_at(root, "layers_block_type|hybrid_override_pattern|layer_types");
    const moe_config_word kind = moe_config_entry(list, i);
    for (size_t at = 0; at < sizeof kinds / sizeof *kinds; at++)
        if (!strcmp(kinds[at].kind, kind.text)) return kinds[at].mixer(root, i);
    return -1;
}

/* An encoder layer has one attention, a decoder layer two. */
double moe_mixer_encoder_decoder(const json_t *root, int64_t i) {
    double d = size_of(root, "d_model");
    double heads = moe_config_guess(root, "num_heads|encoder_attention_heads", NAN);
    double inner = moe_config_guess(root, "d_kv", d / heads) * heads;
    double encoder = moe_config_guess(root, "num_layers|encoder_layers", 0);
    return known(4 * d * inner * ((double)i < encoder ? 1 : 2));
}

/* DBRX: one projection makes queries, keys and values. */
double moe_mixer_fused(const json_t *root, int64_t i) {
    double d = size_of(root, "d_model"), heads = size_of(root, "n_heads");
    double kv = moe_config_guess(root, "attn_config.kv_n_heads", heads);
    (void)i;
    return known(d * d / heads * (2 * heads + 2 * kv));
}

/* Attention that nobody has counted here: figures are of the experts alone. */
double moe_mixer_unknown(const json_t *root, int64_t i) {
    (void)root, (void)i;
    return -1;
}
