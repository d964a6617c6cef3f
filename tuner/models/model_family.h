/* model_family.h - the families of MoE models: which keys of a config.json say what.
 *
 * What differs between the layers of a model are functions: which layers are MoE layers
 * (model_pattern.c), and what else a layer holds (model_mixer.c). */
#ifndef MOE_MODEL_FAMILY_H
#define MOE_MODEL_FAMILY_H

#include "core/layer.h"
#include "models/config_read.h"

/* True where layer i of n has experts. */
typedef bool moe_pattern(const json_t *root, int64_t i, int64_t n);

/* Parameters of layer i next to its feed-forward part: attention or what stands in its place.
 * Negative where keys for it are missing. */
typedef double moe_mixer(const json_t *root, int64_t i);

/* Columns that are 0 or NULL mean the usual: see model_family.c. */
typedef struct moe_family {
    const char *types;       /* values of model_type, separated by blanks */
    const char *d, *f, *e, *k; /* keys */
    int64_t k_fixed;         /* experts a token uses, where no key says so */
    const char *act, *act_default; /* key of the activation's name; the name where it is absent */
    bool plain;              /* no gate */
    const char *router;      /* as in a layer's text; what follows adds to it */
    moe_router_dtype router_dtype; /* f32 where the family keeps the router's weight in it */
    const char *renorm;      /* key: true adds renorm */
    bool renorm_default;
    bool renorm_by_norm;     /* the key is the p of a norm that weights are divided by, or null */
    const char *groups;      /* keys "COUNT KEPT" of groups by the rule below */
    moe_group_rule group_rule;
    const char *groups_when; /* value of topk_method with which alone there are groups; NULL: any */
    const char *scale;       /* key */
    const char *jitter;      /* key of sparsemixer's number */
    const char *shared;      /* key of the shared expert's width */
    const char *shared_count; /* key of a number of shared experts, each as wide as f or `shared` */
    int64_t shared_default;  /* the number where that key is absent */
    bool shared_gated;
    unsigned bias;
    moe_layout layout;       /* of gate and up rows */
    double capacity;
    bool tied;               /* input and output embeddings are one, unless a key says otherwise */
    const char *layers;      /* keys of layer counts, separated by blanks */
    moe_pattern *moe;        /* NULL: every layer */
    const char *moe_keys;    /* keys that it reads, separated by blanks */
    const char *knows;       /* keys that change nothing, separated by blanks */
    moe_mixer *mixer;        /* NULL: moe_mixer_grouped */
    const char *dense;       /* key of the dense layers' width */
    bool alone;              /* a layer with no experts has no feed-forward part but its mixer */
    const char *needs;       /* key without which a model of the same name has another rule */
    const char *refuse;      /* key that makes the layer one that text cannot say, with ... */
    const char *missing;     /* ... what that is; without a key: always */
    const char *note;        /* what else the text cannot say */
    const char *note_when;   /* key that must be true for that; NULL: always */
} moe_family;

/* The family of a model_type, else that of a class such as "MixtralForCausalLM"; NULL if there is
 * none. Both may be NULL. */
const moe_family *moe_family_find(const char *type, const char *class);

/* True where one of the types, separated by blanks, is `name`, by letters and digits alone. */
bool moe_family_is(const char *types, const char *name);

/* "mixtral, qwen3_moe, ...", cut off at `size`. */
void moe_family_list(char *text, size_t size);

/* model_pattern.c */
moe_pattern moe_pattern_first_dense, moe_pattern_sparse_step, moe_pattern_interleave,
    moe_pattern_interval, moe_pattern_named, moe_pattern_enumerated, moe_pattern_encoder_decoder;

/* model_mixer.c */
moe_mixer moe_mixer_grouped, moe_mixer_latent, moe_mixer_delta, moe_mixer_listed,
    moe_mixer_encoder_decoder, moe_mixer_fused, moe_mixer_unknown;

#endif
