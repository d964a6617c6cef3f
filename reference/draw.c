/* draw.c - what a router draws: jitter of its input, noise of its logits, and whether a second
 * expert stays. */
#include "draw.h"

#include "core/number.h"
#include "logit.h"

#include <math.h>
#include <string.h>

void moe_philox(const uint32_t counter[4], uint64_t key, uint32_t words[4]) {
    uint32_t low_key = (uint32_t)key, high_key = (uint32_t)(key >> 32);
    memcpy(words, counter, 4 * sizeof *words);
    for (int round = 0; round < 10; round++) {
        uint64_t a = UINT64_C(0xd2511f53) * words[0], b = UINT64_C(0xcd9e8d57) * words[2];
        const uint32_t next[4] = {(uint32_t)(b >> 32) ^ words[1] ^ low_key, (uint32_t)b,
                                  (uint32_t)(a >> 32) ^ words[3] ^ high_key, (uint32_t)a};
        memcpy(words, next, sizeof next);
        low_key += UINT32_C(0x9e3779b9), high_key += UINT32_C(0xbb67ae85);
    }
}

void moe_draw_words(uint64_t seed, uint32_t token, uint32_t i, moe_draw stream, uint32_t words[4]) {
    moe_philox((const uint32_t[4]){token, i, (uint32_t)stream, 0}, seed, words);
}

float moe_draw_uniform(uint32_t word) { return (float)(word >> 8) * 0x1p-24f; }

double moe_draw_normal(const uint32_t words[4]) {
    const double two_pi = 6.28318530717958647693;
    double radius = sqrt(-2 * log((double)moe_draw_uniform(words[0]) + 0x1p-24));
    return radius * cos(two_pi * (double)moe_draw_uniform(words[1]));
}

/* The number of token t in the call that its draws belong to. */
static uint32_t number_of(const moe_host_layer *in, int64_t t) {
    return (uint32_t)(in->numbers ? in->numbers[t] : t);
}

/* ---------------------------------------------------------------------------------- jitter */

/* In fp32, operation by operation, as moe_router says: the very same bits. By way of double, where
 * a compiler has nothing to fuse: each result is rounded once. */
static void jitter_row(const moe_layer *layer, uint64_t seed, uint32_t number, float *row) {
    const float least = (float)(1 - layer->router.jitter_input);
    const float range = (float)(2 * layer->router.jitter_input);
    for (int64_t i = 0; i < layer->d; i += 4) {
        uint32_t words[4];
        moe_draw_words(seed, number, (uint32_t)(i / 4), MOE_DRAW_JITTER, words);
        for (int64_t j = 0; j < 4; j++) {
            float spread = (float)((double)range * (double)moe_draw_uniform(words[j]));
            float by = (float)((double)least + (double)spread);
            row[i + j] = (float)((double)row[i + j] * (double)by);
        }
    }
}

void moe_ref_router_x(const moe_layer *layer, const moe_host_layer *in, int64_t t, float *row) {
    moe_load_block(layer->x, in->x, t * layer->d, layer->d, row);
    if (!layer->router.jitter_input || !in->seed) return;
    jitter_row(layer, *in->seed, number_of(in, t), row);
    for (int64_t i = 0; i < layer->d; i++) row[i] = (float)moe_round(layer->x, (double)row[i]);
}

void moe_ref_jittered(const moe_layer *layer, int64_t tokens, const moe_host_layer *in, void *x,
                      float *row) {
    for (int64_t t = 0; t < tokens; t++) {
        moe_ref_router_x(layer, in, t, row);
        moe_store_block(layer->x, x, t * layer->d, layer->d, row);
    }
}

/* ----------------------------------------------------------------------------------- noise */

void moe_ref_noise(const moe_layer *layer, int64_t tokens, const moe_host_layer *in,
                   const double *raw, double *logits) {
    for (int64_t t = 0; t < tokens; t++)
        for (int64_t e = 0; e < layer->e; e++) {
            uint32_t words[4];
            double at = raw[t * layer->e + e];
            double size = fmax(at, 0) + log1p(exp(-fabs(at))) + layer->router.noise;
            moe_draw_words(*in->seed, number_of(in, t), (uint32_t)e, MOE_DRAW_NOISE, words);
            logits[t * layer->e + e] += moe_draw_normal(words) * size;
        }
}

/* -------------------------------------------------------------------------- second experts */

static double law_of_none(const moe_layer *layer, const double *logits, int id, double weight) {
    (void)layer, (void)logits, (void)id, (void)weight;
    return 1;
}

static double mesh(const moe_layer *layer, const double *logits, int id, double weight) {
    (void)layer, (void)logits, (void)id;
    return weight / 0.2;
}

static double nllb(const moe_layer *layer, const double *logits, int id, double weight) {
    (void)weight;
    double largest, sum = moe_ref_softmax_sum(layer, logits, &largest);
    return 2 * exp(moe_ref_finite(logits[id]) - largest) / sum;
}

static double paper(const moe_layer *layer, const double *logits, int id, double weight) {
    (void)layer, (void)logits, (void)id;
    return 2 * weight;
}

static double (*const laws[MOE_SECOND_COUNT])(const moe_layer *layer, const double *logits, int id,
                                              double weight) = {
    [MOE_SECOND_ALWAYS] = law_of_none,
    [MOE_SECOND_MESH] = mesh,
    [MOE_SECOND_NLLB] = nllb,
    [MOE_SECOND_PAPER] = paper,
};

double moe_ref_second_law(const moe_layer *layer, const double *logits, const int *ids,
                          const double *weights) {
    return laws[layer->router.second](layer, logits, ids[1], weights[1]);
}

double moe_ref_second_draw(const moe_host_layer *in, int64_t t) {
    uint32_t words[4];
    if (!in || !in->seed) return 0;
    moe_draw_words(*in->seed, number_of(in, t), 1, MOE_DRAW_SECOND, words);
    return (double)moe_draw_uniform(words[0]);
}

void moe_ref_second(const moe_layer *layer, int64_t tokens, const double *logits,
                    const moe_host_layer *in, int *ids, double *weights) {
    for (int64_t t = 0; t < tokens && layer->router.second && in && in->seed; t++) {
        int *chosen = ids + 2 * t;
        double *mine = weights + 2 * t;
        double law = moe_ref_second_law(layer, logits + t * layer->e, chosen, mine);
        if (moe_ref_second_draw(in, t) < law) continue;
        chosen[1] = -1;
        mine[1] = 0;
    }
}
