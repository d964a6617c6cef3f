/* config_json.h - the MoE layers of a Hugging Face config.json. */
#ifndef MOE_CONFIG_JSON_H
#define MOE_CONFIG_JSON_H

#include "core/layer.h"

enum { MOE_MODEL_LAYERS = 1024 };

/* Parameters of a whole model, without norms and biases of what is not MoE. */
typedef struct moe_model_parameters {
    double experts, routers, shared; /* of all MoE layers */
    double dense;                    /* feed-forward parts of the other layers */
    double mixers;                   /* attention, or what stands in its place */
    double embeddings;               /* input and output */
    double idle;                     /* of `experts`, those that a token does not use */
    bool whole;                      /* false: keys are missing, and only the first three count */
} moe_model_parameters;

typedef struct moe_model {
    char family[40];     /* model_type of what has the layers */
    moe_layer layer;
    int64_t shared; /* width of the shared expert, of which the layer has the next multiple of f */
    char quantised[32];  /* how the published weights are, where run cannot unpack it; else "" */
    const char *note;    /* what else the layer's text cannot say; NULL: nothing */
    int64_t layers;      /* of the model; 0: the file does not say */
    int64_t moe_layers;
    bool moe[MOE_MODEL_LAYERS]; /* which ones have experts */
    moe_model_parameters parameters;
} moe_model;

/* Reads a config.json, or that of a folder. Weights count in the dtype that the model runs in, also
 * where the published ones are quantised. MOE_E_NOT_FOUND, MOE_E_IO, MOE_E_CORRUPT (no JSON, or a
 * key is missing: the message names it), MOE_E_UNSUPPORTED (a family whose layer has what layer
 * text cannot say: the message names that), MOE_E_INVALID. */
moe_status moe_config_model(const char *path, moe_model *out);

/* The same, read as a family of this name whatever the file calls it; NULL: as it says. */
moe_status moe_config_model_as(const char *path, const char *family, moe_model *out);

/* The same of the file's text. */
moe_status moe_config_model_text(const char *text, size_t size, moe_model *out);

/* The layer alone. */
moe_status moe_config_json(const char *path, moe_layer *out);

/* MOE_E_UNSUPPORTED where the published weights are quantised in a way that is not known. */
moe_status moe_model_check_quantised(const moe_model *model);

/* MOE_E_INVALID where layer `index` of the model has no experts; the message names some that do. */
moe_status moe_model_check_layer(const moe_model *model, int64_t index);

#endif
