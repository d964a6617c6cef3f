/* workload.c - random inputs of a layer. */
#include "workload.h"

#include "core/router.h"
#include "random.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const double bias_deviation = 0.25;

/* Logits that no noise of 4.2 deviations can turn round. */
static const double far_away = 16;

/* Where each tensor's array, and its number of elements, stands. */
static const size_t arrays[MOE_TENSORS] = {
#define MOE_TENSOR MOE_READ_ROW
#define MOE_READ(dtype, name) [MOE_ARG_##name] = offsetof(moe_workload, name),
#include "core/tensor.def"
#undef MOE_READ
#undef MOE_TENSOR
};

static const size_t counts[MOE_TENSORS] = {
#define MOE_TENSOR(name, ...) [MOE_ARG_##name] = offsetof(moe_layer_sizes, name),
#include "core/tensor.def"
#undef MOE_TENSOR
};

static moe_tensor_desc describe(const moe_sizes *sizes, moe_arg tensor) {
    moe_tensor_desc desc = moe_tensor_describe(sizes, tensor);
    for (int i = 0; i < desc.rank; i++)
        if (desc.shape[i] < 0) desc.shape[i] = MOE_WORKLOAD_VOCAB;
    return desc;
}

moe_layer_sizes moe_layer_elements(const moe_layer *layer, int64_t tokens) {
    const moe_sizes sizes = moe_sizes_make(layer, tokens, 1);
    moe_layer_sizes out = {0};
    for (moe_arg i = 0; i < MOE_TENSORS; i++) {
        const moe_tensor_desc desc = describe(&sizes, i);
        const int64_t elements = moe_tensor_elements(&desc);
        memcpy((char *)&out + counts[i], &elements, sizeof elements);
    }
    return out;
}

const void *moe_workload_array(const moe_workload *w, moe_arg tensor) {
    const void *array = NULL;
    if (arrays[tensor]) memcpy(&array, (const char *)w + arrays[tensor], sizeof array);
    return array;
}

static void set_array(moe_workload *w, moe_arg tensor, void *array) {
    memcpy((char *)w + arrays[tensor], &array, sizeof array);
}

size_t moe_workload_bytes(const moe_workload *w, moe_arg tensor) {
    const moe_sizes sizes = moe_sizes_make(&w->layer, w->tokens, 1);
    const moe_tensor_desc desc = describe(&sizes, tensor);
    return (size_t)moe_tensor_bytes_of(&desc);
}

/* Log-popularity of an expert, or a key, under a routing class. */
static double popularity(const moe_layer *layer, moe_routing routing, int64_t expert) {
    int64_t all = moe_layer_choices(layer), picks = moe_layer_picks(layer), step = all / picks;
    bool open = true;
    switch (routing) {
    case MOE_ROUTING_ZIPF: return -log((double)(expert + 1));
    case MOE_ROUTING_ONE: open = expert % step == 0 && expert / step < picks; break;
    case MOE_ROUTING_EMPTY: open = expert % 2 == 0 || 2 * picks > all; break;
    default: break;
    }
    return open ? 0 : -far_away;
}

void moe_workload_logits(const moe_layer *layer, int64_t tokens, moe_routing routing, uint64_t seed,
                         float *logits) {
    moe_random random = moe_random_stream(seed, MOE_ARG_logits);
    const int64_t width = moe_layer_logits(layer);
    moe_random_normal(random, MOE_F32, logits, tokens * width, 1);
    if (routing == MOE_ROUTING_UNIFORM) return;
#pragma omp parallel for
    for (int64_t e = 0; e < width; e++) {
        double bias = popularity(layer, routing, e % moe_layer_choices(layer));
        for (int64_t i = e; i < tokens * width; i += width) {
            double noise = (double)logits[i];
            if (routing == MOE_ROUTING_ZIPF)
                noise = -log(-log(moe_random_uniform(random, (uint64_t)i)));
            logits[i] = (float)(bias + noise);
        }
    }
}

/* Products of unit rows with these have unit scale; a row is what lies together. */
static double deviation_of(const moe_tensor_desc *desc) {
    if (desc->role == MOE_ROLE_BIAS) return bias_deviation;
    const double row = (double)desc->shape[desc->rank - 1];
    return desc->role == MOE_ROLE_WEIGHT ? 1 / sqrt(row) : 1;
}

/* An array of normal numbers in its own stream, where the layer has it. */
static bool make(moe_workload *w, moe_arg tensor, const moe_sizes *sizes, uint64_t seed) {
    const moe_tensor_desc desc = describe(sizes, tensor);
    const int64_t n = moe_tensor_elements(&desc);
    if (!n || (int)desc.dtype >= MOE_FLOATS) return true;
    void *array = malloc((size_t)moe_tensor_bytes_of(&desc));
    set_array(w, tensor, array);
    if (array && tensor != MOE_ARG_logits) /* which follow the routing */
        moe_random_normal(moe_random_stream(seed, tensor), desc.dtype, array, n,
                          deviation_of(&desc));
    return array != NULL;
}

static void make_table(const moe_layer *layer, moe_routing routing, uint64_t seed, float *logits,
                       double *exact, double *weights, int *table) {
    uint64_t own = moe_random_bits(moe_random_stream(seed, MOE_ARG_expert_table), 0);
    moe_workload_logits(layer, MOE_WORKLOAD_VOCAB, routing, own, logits);
    for (int64_t i = 0; i < MOE_WORKLOAD_VOCAB * layer->e; i++) exact[i] = (double)logits[i];
    moe_ref_route(layer, MOE_WORKLOAD_VOCAB, exact, NULL, table, weights, NULL, NULL);
    for (int64_t j = 0; j < layer->k; j++) table[j] = table[layer->k - 1];
    table[layer->k] = (int)layer->e;
}

/* Rows of the table are as a router would choose by the routing class. */
static bool make_hash(moe_workload *w, moe_routing routing, uint64_t seed) {
    const moe_layer *layer = &w->layer;
    if (!moe_router_looks_up(&layer->router)) return true;
    size_t rows = MOE_WORKLOAD_VOCAB, e = (size_t)layer->e, k = (size_t)layer->k;
    float *logits = malloc(rows * e * sizeof *logits);
    double *exact = malloc(rows * e * sizeof *exact), *weights = malloc(rows * k * sizeof *weights);
    w->token_ids = malloc((size_t)w->tokens * sizeof *w->token_ids + 1);
    w->expert_table = malloc(rows * k * sizeof *w->expert_table);
    bool made = logits && exact && weights && w->token_ids && w->expert_table;
    if (made) make_table(layer, routing, seed, logits, exact, weights, w->expert_table);
    for (int64_t t = 0; made && t < w->tokens; t++)
        w->token_ids[t] = (int)(moe_random_bits(moe_random_stream(seed, MOE_ARG_token_ids),
                                                (uint64_t)t) %
                                (MOE_WORKLOAD_VOCAB + 2)) - 1;
    free(logits);
    free(exact);
    free(weights);
    return made;
}

static bool make_seed(moe_workload *w, uint64_t seed) {
    if (!moe_layer_has(&w->layer, MOE_ARG_seed)) return true;
    w->seed = malloc(sizeof *w->seed);
    if (w->seed) *w->seed = seed;
    return w->seed != NULL;
}

static bool make_all(moe_workload *w, moe_routing routing, uint64_t seed, uint64_t set) {
    const moe_sizes sizes = moe_sizes_make(&w->layer, w->tokens, 1);
    /* Keys have their bias whoever makes the logits. */
    if (w->layer.router.key_bias && set & MOE_MAKE_LOGITS) set |= MOE_MAKE(router_bias);
    bool made = make_seed(w, seed) && make_hash(w, routing, seed);
    for (moe_arg i = 0; (int)i < MOE_CALLER_TENSORS && made; i++)
        if (arrays[i] && set & UINT64_C(1) << i) made = make(w, i, &sizes, seed);
    if (made && w->logits) moe_workload_logits(&w->layer, w->tokens, routing, seed, w->logits);
    return made;
}

static moe_status fail_memory(const moe_layer *layer) {
    const moe_layer_sizes n = moe_layer_elements(layer, 1);
    return moe_fail(MOE_E_MEMORY,
                    "no memory for a layer of %.1f GB; use a machine with more or a smaller one",
                    (double)moe_dtype_bytes(layer->w, n.up + n.down) / 1e9);
}

moe_status moe_workload_init(moe_workload *workload, const moe_layer *layer, int64_t tokens,
                             moe_routing routing, uint64_t seed, uint64_t set) {
    moe_workload w = {.layer = *layer, .tokens = tokens, .random = seed};
    if (!make_all(&w, routing, seed, set)) {
        moe_workload_free(&w);
        return fail_memory(layer);
    }
    *workload = w;
    return MOE_OK;
}

void moe_workload_free(moe_workload *w) {
    for (moe_arg i = 0; i < MOE_TENSORS; i++) free((void *)moe_workload_array(w, i));
    *w = (moe_workload){0};
}

moe_host_layer moe_workload_host(const moe_workload *w) {
    return (moe_host_layer){
#define MOE_TENSOR MOE_READ_ROW
#define MOE_READ(dtype, name) .name = w->name,
#include "core/tensor.def"
#undef MOE_READ
#undef MOE_TENSOR
        .vocab = MOE_WORKLOAD_VOCAB,
    };
}
