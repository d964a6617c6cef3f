/* traffic.c - how the tokens of a benchmark spread over experts. */
#include "judge/traffic.h"

#include "models/safetensors.h"
#include "random.h"
#include "workload.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ------------------------------------------------------------------------------------- text */

/* What stands behind `prefix`, or NULL. */
static const char *behind(const char *text, const char *prefix) {
    size_t length = strlen(prefix);
    return strncmp(text, prefix, length) ? NULL : text + length;
}

moe_status moe_traffic_parse(const char *text, moe_traffic *out) {
    moe_traffic traffic = {.exponent = 1};
    const char *trace = behind(text, "trace:"), *exponent = behind(text, "zipf:");
    const moe_field names = {.names = moe_routing_names};
    int routing = MOE_ROUTING_ZIPF;
    if (trace) {
        if (!*trace || strlen(trace) >= sizeof traffic.trace)
            return moe_fail(MOE_E_PARSE,
                            "'%.32s...' should name a file, as in trace:ids.safetensors", text);
        snprintf(traffic.trace, sizeof traffic.trace, "%s", trace);
    } else if (exponent) {
        MOE_TRY(moe_real_parse(exponent, &traffic.exponent));
        if (!(traffic.exponent >= 0 && traffic.exponent <= 10))
            return moe_fail(MOE_E_PARSE, "the exponent of '%.32s' is not in 0..10", text);
    } else {
        MOE_TRY(moe_field_enum.parse(&names, text, &routing));
    }
    traffic.routing = trace ? MOE_ROUTING_UNIFORM : (moe_routing)routing;
    *out = traffic;
    return MOE_OK;
}

bool moe_traffic_plain(const moe_traffic *traffic) {
    return !*traffic->trace && traffic->exponent == 1;
}

void moe_traffic_print(const moe_traffic *traffic, moe_text *out) {
    if (*traffic->trace) {
        moe_text_add(out, "trace:%s", traffic->trace);
        return;
    }
    moe_text_add(out, "%s", moe_routing_names[traffic->routing]);
    if (traffic->exponent == 1) return;
    moe_text_add(out, ":");
    moe_text_add_real(out, traffic->exponent);
}

/* ------------------------------------------------------------------------------------ traces */

static moe_status read_trace(const moe_tensor_file *file, const moe_layer *layer, int64_t tokens,
                             int *ids, float *weights) {
    const moe_tensor *all = moe_tensor_find(file, "ids"), *kept = moe_tensor_find(file, "weights");
    if (!all || all->type != MOE_TENSOR_I32 || all->rank != 2 || all->shape[1] != layer->k)
        return moe_fail(MOE_E_INVALID, "%s: there must be a tensor ids [n,%lld] of I32, as "
                                       "'moetune run' writes it",
                        file->path, (long long)layer->k);
    if (all->shape[0] < tokens)
        return moe_fail(MOE_E_INVALID, "%s: %lld tokens are fewer than the %lld asked for",
                        file->path, (long long)all->shape[0], (long long)tokens);
    memcpy(ids, all->data, (size_t)(tokens * layer->k) * sizeof *ids);
    for (int64_t s = 0; s < tokens * layer->k; s++) weights[s] = 1 / (float)layer->k;
    if (!kept) return MOE_OK;
    MOE_TRY(moe_tensor_get(file, "weights", MOE_TENSOR_F32, 2, all->shape, &kept));
    memcpy(weights, kept->data, (size_t)(tokens * layer->k) * sizeof *weights);
    return MOE_OK;
}

static moe_status open_trace(const char *path, const moe_layer *layer, int64_t tokens, int *ids,
                             float *weights) {
    moe_tensor_file *file;
    MOE_TRY(moe_tensor_file_open(path, &file));
    moe_status status = read_trace(file, layer, tokens, ids, weights);
    moe_tensor_file_close(file);
    return status;
}

/* ------------------------------------------------------------------------------------- laws */

/* Logits whose k largest are k draws without replacement by popularity (Gumbel's trick). */
static void make_zipf(const moe_layer *layer, int64_t tokens, double exponent, uint64_t seed,
                      double *logits) {
    const moe_random random = moe_random_stream(seed, 'z');
    for (int64_t i = 0; i < tokens * moe_layer_logits(layer); i++)
        logits[i] = -exponent * log((double)(i % moe_layer_choices(layer) + 1)) -
                    log(-log(moe_random_uniform(random, (uint64_t)i)));
}

static moe_status make_logits(const moe_traffic *traffic, const moe_layer *layer, int64_t tokens,
                              uint64_t seed, double *logits) {
    if (!moe_traffic_plain(traffic)) {
        make_zipf(layer, tokens, traffic->exponent, seed, logits);
        return MOE_OK;
    }
    const int64_t n = tokens * moe_layer_logits(layer);
    float *given = malloc((size_t)(n + 1) * sizeof *given);
    if (!given) return moe_fail(MOE_E_MEMORY, "no memory for %lld tokens", (long long)tokens);
    moe_workload_logits(layer, tokens, traffic->routing, seed, given);
    for (int64_t i = 0; i < n; i++) logits[i] = (double)given[i];
    free(given);
    return MOE_OK;
}

moe_status moe_traffic_route(const moe_traffic *traffic, const moe_layer *layer, int64_t tokens,
                             uint64_t seed, int *ids, float *weights) {
    if (*traffic->trace) return open_trace(traffic->trace, layer, tokens, ids, weights);
    double *logits = malloc((size_t)(tokens * moe_layer_logits(layer) + 1) * sizeof *logits);
    double *exact = malloc((size_t)(tokens * layer->k + 1) * sizeof *exact);
    moe_status status = MOE_OK;
    if (!logits || !exact)
        status = moe_fail(MOE_E_MEMORY, "no memory for %lld tokens", (long long)tokens);
    if (!status) status = make_logits(traffic, layer, tokens, seed, logits);
    if (!status) status = moe_ref_rule(layer, tokens, logits, NULL, ids, exact);
    for (int64_t s = 0; s < tokens * layer->k && !status; s++) weights[s] = (float)exact[s];
    free(logits);
    free(exact);
    return status;
}
