/* model_pattern.c - which layers of a model have experts. */
#include "models/model_family.h"

#include <stdlib.h>
#include <string.h>

/* Steps and counts of layers: never below `least`. */
static int64_t count_of(const json_t *root, const char *path, int64_t absent, int64_t least) {
    double value = moe_config_guess(root, path, (double)absent);
    return value >= (double)least && value < 1e9 ? (int64_t)value : least;
}

/* True where a list calls layer i by one of the names of layers with experts. */
static bool is_named(const json_t *list, int64_t i) {
    static const char *const names[] = {"E", "moe", "sparse"};
    const moe_config_word kind = moe_config_entry(list, i);
    for (size_t at = 0; at < sizeof names / sizeof *names; at++)
        if (!strcmp(kind.text, names[at])) return true;
    return false;
}

/* DeepSeek: a few dense layers first, unless a list says which. */
bool moe_pattern_first_dense(const json_t *root, int64_t i, int64_t n) {
    const json_t *kinds = moe_config_at(root, "mlp_layer_types");
    const json_t *each = moe_config_at(root, "moe_layer_freq");
    (void)n;
    if (json_is_array(kinds)) return is_named(kinds, i);
    if (json_is_array(each)) return json_integer_value(json_array_get(each, (size_t)i)) != 0;
    return i >= count_of(root, "first_k_dense_replace|num_dense_layers", 0, 0) &&
           i % count_of(root, "moe_layer_freq", 1, 1) == 0;
}

/* Step: numbers in a text, "3,4,5", or a few dense layers first. */
bool moe_pattern_enumerated(const json_t *root, int64_t i, int64_t n) {
    const char *list = json_string_value(moe_config_at(root, "moe_layers_enum"));
    if (!list) return moe_pattern_first_dense(root, i, n);
    for (char *end; *list; list = *end == ',' ? end + 1 : end) {
        if (strtoll(list, &end, 10) == i && end != list) return true;
        if (end == list) return false;
    }
    return false;
}

/* Qwen: every step-th layer, but for those named. */
bool moe_pattern_sparse_step(const json_t *root, int64_t i, int64_t n) {
    (void)n;
    const json_t *dense = moe_config_at(root, "mlp_only_layers");
    const json_t *kinds = moe_config_at(root, "mlp_layer_types");
    if (json_is_array(kinds)) return is_named(kinds, i);
    for (size_t at = 0; at < json_array_size(dense); at++)
        if (json_integer_value(json_array_get(dense, at)) == i) return false;
    return (i + 1) % count_of(root, "decoder_sparse_step", 1, 1) == 0;
}

/* Llama 4: every step-th layer, or those named. */
bool moe_pattern_interleave(const json_t *root, int64_t i, int64_t n) {
    (void)n;
    const json_t *named = moe_config_at(root, "moe_layers");
    if (!json_is_array(named))
        return (i + 1) % count_of(root, "interleave_moe_layer_step", 1, 1) == 0;
    for (size_t at = 0; at < json_array_size(named); at++)
        if (json_integer_value(json_array_get(named, at)) == i) return true;
    return false;
}

/* ERNIE: every interval-th layer from one to another. */
bool moe_pattern_interval(const json_t *root, int64_t i, int64_t n) {
    int64_t last = count_of(root, "moe_layer_end_index", -1, -1);
    return (i + 1) % count_of(root, "moe_layer_interval", 1, 1) == 0 &&
           i >= count_of(root, "moe_layer_start_index", 1, 0) && i <= (last < 0 ? n - 1 : last);
}

/* Layers that a list calls by their kind, one word or letter each. */
bool moe_pattern_named(const json_t *root, int64_t i, int64_t n) {
    const json_t *list =
        moe_config_at(root, "mlp_layer_types|layers_block_type|hybrid_override_pattern");
    (void)n;
    return list ? is_named(list, i) : i >= count_of(root, "first_k_dense_replace", 1, 0);
}

/* T5 and M2M100: every step-th layer of the encoder, which comes first, and of the decoder. */
bool moe_pattern_encoder_decoder(const json_t *root, int64_t i, int64_t n) {
    (void)n;
    int64_t encoder = count_of(root, "num_layers|encoder_layers", 0, 0);
    bool decoder = i >= encoder;
    int64_t step = count_of(root, decoder ? "decoder_sparse_step" : "encoder_sparse_step", 1, 1);
    return (decoder ? i - encoder + 1 : i + 1) % step == 0;
}
