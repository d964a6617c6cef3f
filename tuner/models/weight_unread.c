/* weight_unread.c - tensors of a layer that nobody reads. */
#include "models/weight_unread.h"

#include <stdio.h>
#include <string.h>

/* What a tensor is by its name, in order of the first that fits; NULL: harmless. */
static const struct {
    const char *part, *end; /* both in the name, the second at its end */
    const char *what;
} kinds[] = {
    {"", "_extra_state", NULL},      /* Transformer Engine's notes to itself */
    {"", "tokens_per_expert", NULL}, /* counters of training */
    {"shared", ".bias", "a bias of a shared expert, which layers cannot have yet"},
    {"", "lora_A.weight", "half of an adapter; merge it into the weights first"},
    {"", "lora_B.weight", "half of an adapter; merge it into the weights first"},
    {"", "scale", "a scale of quantised weights in a form that is not known; convert the model to "
                  "bf16 first, or take a copy of it that was published in bf16"},
    {"", "_scale_inv", "a scale of weights that have none in this form"},
    {"", ".weight_packed", "quantised; convert the model to bf16 first, or take a copy of it that "
                           "was published in bf16"},
    {"experts.", "", "of an expert, or a part of one, that the layer does not have; see its e"},
    {"", "", "for which the layer has no use; say --as FAMILY if it is read as the wrong one"},
};

static bool is_of(const char *name, const char *part, const char *end) {
    const size_t length = strlen(name), tail = strlen(end);
    return strstr(name, part) && length >= tail && !strcmp(name + length - tail, end);
}

static const char *what_is(const char *name) {
    size_t i = 0;
    while (!is_of(name, kinds[i].part, kinds[i].end)) i++;
    return kinds[i].what;
}

/* True where the name behind `block` is of the layer. */
static bool is_part(const char *parts, const char *name) {
    for (const char *at = parts; at && *at;) {
        const size_t length = strcspn(at, "|");
        if (!strncmp(name, at, length)) return true;
        at += length + (at[length] == '|');
    }
    return !parts;
}

moe_status moe_weight_unread(const moe_shards *shards, const char *prefix,
                             const moe_weight_names *names, int64_t layer, const json_t *read) {
    char block[MOE_WEIGHT_NAME_SIZE];
    const char *name;
    moe_weight_name(shards, prefix, names, "", layer, 0, block);
    const size_t length = strlen(block);
    for (int64_t i = 0; (name = moe_shards_name(shards, i)) != NULL; i++) {
        if (strncmp(name, block, length) || !is_part(names->parts, name + length)) continue;
        if (json_object_get(read, name) || !what_is(name)) continue;
        return moe_fail(MOE_E_UNSUPPORTED, "%s: nobody reads '%s': it is %s",
                        moe_shards_path(shards), moe_tensor_label_of(name).text, what_is(name));
    }
    return MOE_OK;
}
