/* waste.c - what a capacity costs: rows that are dropped, and rows of tiles that hold nothing. */
#include "waste.h"

#include "workload.h"

#include <stdlib.h>

static double share(double part, double all) { return all > 0 ? part / all : 0; }

static void count_rows(const moe_layer *layer, int64_t slots, const int *ids,
                       const unsigned char *kept, int64_t tile, int64_t *rows, moe_waste *out) {
    int64_t used = 0, tiles = 0, mine = 0;
    for (int64_t s = 0; s < slots; s++) {
        mine += ids[s] >= 0 && ids[s] < layer->e;
        if (kept[s]) rows[ids[s]]++;
    }
    for (int64_t e = 0; e < layer->e; e++) {
        used += rows[e];
        tiles += (rows[e] + tile - 1) / tile;
    }
    out->dropped = share((double)(mine - used), (double)mine);
    out->padding = share((double)(tiles * tile - used), (double)(tiles * tile));
}

static void count_tokens(const moe_layer *layer, int64_t tokens, const unsigned char *kept,
                         const float *weights, moe_waste *out) {
    double lost = 0, weight = 0, all = 0;
    for (int64_t t = 0; t < tokens; t++) {
        bool any = false;
        for (int64_t s = t * layer->k; s < (t + 1) * layer->k; s++) {
            any |= kept[s];
            all += (double)weights[s];
            weight += kept[s] ? 0 : (double)weights[s];
        }
        lost += !any;
    }
    out->lost = share(lost, (double)tokens);
    out->weight = share(weight, all);
}

moe_status moe_waste_of_ids(const moe_layer *layer, int64_t tokens, const int *ids,
                            const float *weights, int64_t tile, moe_waste *out) {
    int64_t slots = tokens * layer->k;
    unsigned char *kept = malloc((size_t)(slots + 1));
    int64_t *rows = calloc((size_t)layer->e, sizeof *rows);
    if (kept && rows) {
        moe_ref_capacity(layer, tokens, ids, weights, kept);
        count_rows(layer, slots, ids, kept, tile, rows, out);
        count_tokens(layer, tokens, kept, weights, out);
    }
    bool made = kept && rows;
    free(kept);
    free(rows);
    return made ? MOE_OK : moe_fail(MOE_E_MEMORY, "no memory for %lld slots", (long long)slots);
}

moe_status moe_waste_of(const moe_layer *layer, int64_t tokens, moe_routing routing, int64_t tile,
                        uint64_t seed, moe_waste *out) {
    int64_t slots = tokens * layer->k, cells = tokens * layer->e;
    float *given = malloc((size_t)(cells + 1) * sizeof *given);
    double *logits = malloc((size_t)(cells + 1) * sizeof *logits);
    double *exact = malloc((size_t)(slots + 1) * sizeof *exact);
    float *weights = malloc((size_t)(slots + 1) * sizeof *weights);
    int *ids = malloc((size_t)(slots + 1) * sizeof *ids);
    moe_status status = MOE_OK;
    if (!given || !logits || !exact || !weights || !ids) {
        status = moe_fail(MOE_E_MEMORY, "no memory for the routing of %lld tokens",
                          (long long)tokens);
        goto out;
    }
    moe_workload_logits(layer, tokens, routing, seed, given);
    for (int64_t i = 0; i < cells; i++) logits[i] = (double)given[i];
    moe_ref_route(layer, tokens, logits, NULL, ids, exact, NULL, NULL);
    for (int64_t i = 0; i < slots; i++) weights[i] = (float)exact[i];
    status = moe_waste_of_ids(layer, tokens, ids, weights, tile, out);
out:
    free(given);
    free(logits);
    free(exact);
    free(weights);
    free(ids);
    return status;
}
