/* model_size.c - the parameters of a whole model.
 *
 * Sums are in floating point: a file may claim any size. */
#include "models/model_size.h"

#include <math.h>

static void count_moe(moe_model *model) {
    const moe_layer *l = &model->layer;
    double layers = (double)model->moe_layers, d = (double)l->d;
    double rows = (double)moe_layer_up_rows(l), wide = rows + (double)l->f;
    double biases = (l->bias & MOE_BIAS_UP ? rows : 0) + (l->bias & MOE_BIAS_DOWN ? d : 0);
    double expert = d * wide + biases;
    model->parameters.experts = layers * (double)l->e * expert;
    model->parameters.idle = layers * (double)(l->e - l->k) * expert;
    model->parameters.routers =
        layers * (double)l->e * (d + (moe_layer_router_bias(l) ? 1 : 0));
    model->parameters.shared = layers * d * (double)model->shared * wide / (double)l->f +
                               (l->shared.gated ? layers * d : 0);
}

/* Layers without experts, and what all layers have beside them; negative where a key is missing. */
static double count_dense(const json_t *root, const moe_family *family, const moe_model *model) {
    const moe_layer *l = &model->layer;
    double others = (double)(model->layers - model->moe_layers);
    const char *key = family->dense ? family->dense : "intermediate_size";
    double width = moe_config_guess(root, key, -1);
    if (family->alone || others == 0) return 0;
    return others * (double)l->d * width * (moe_layer_gated(l) ? 3 : 2);
}

static double count_mixers(const json_t *root, const moe_family *family, const moe_model *model) {
    moe_mixer *mixer = family->mixer ? family->mixer : moe_mixer_grouped;
    double sum = 0;
    for (int64_t i = 0; i < model->layers && sum >= 0; i++) {
        double parameters = mixer(root, i);
        sum = parameters < 0 ? -1 : sum + parameters;
    }
    return sum;
}

void moe_model_count(const json_t *root, const moe_family *family, moe_model *model) {
    moe_model_parameters *p = &model->parameters;
    bool tied = moe_config_true(root, "tie_word_embeddings", family->tied);
    count_moe(model);
    p->dense = count_dense(root, family, model);
    p->mixers = count_mixers(root, family, model);
    p->embeddings = moe_config_guess(root, "vocab_size", -1) * (double)model->layer.d *
                    (tied ? 1 : 2);
    p->whole = model->layers && p->dense >= 0 && p->mixers >= 0 && p->embeddings >= 0 &&
               isfinite(p->dense + p->mixers + p->embeddings);
}

double moe_model_total(const moe_model_parameters *p) {
    double moe = p->experts + p->routers + p->shared;
    return p->whole ? moe + p->dense + p->mixers + p->embeddings : moe;
}

double moe_model_active(const moe_model_parameters *p) { return moe_model_total(p) - p->idle; }
