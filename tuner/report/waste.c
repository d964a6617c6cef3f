/* waste.c - what a capacity costs: rows that are dropped, and rows of tiles that hold nothing. */
#include "report/waste.h"

#include "reference.h"

#include <stdlib.h>

static double share(double part, double all) { return all > 0 ? part / all : 0; }

static int64_t tiles_of(int64_t rows, int64_t tile) { return (rows + tile - 1) / tile; }

/* The shared expert is as many experts of width f, with all tokens and none dropped. */
static void count_rows(const moe_layer *layer, int64_t tokens, const int *ids,
                       const unsigned char *kept, int64_t tile, int64_t *rows, moe_waste *out) {
    int64_t used = 0, mine = 0, shared = moe_layer_shared_experts(layer);
    int64_t tiles = shared * tiles_of(tokens, tile);
    for (int64_t s = 0; s < tokens * layer->k; s++) {
        mine += ids[s] >= 0 && ids[s] < layer->e;
        if (kept[s]) rows[ids[s]]++;
    }
    for (int64_t e = 0; e < layer->e; e++) {
        used += rows[e];
        tiles += tiles_of(rows[e], tile);
    }
    int64_t empty = tiles * tile - used - shared * tokens;
    out->dropped = share((double)(mine - used), (double)mine);
    out->padding = share((double)empty, (double)(tiles * tile));
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
        count_rows(layer, tokens, ids, kept, tile, rows, out);
        count_tokens(layer, tokens, kept, weights, out);
    }
    bool made = kept && rows;
    free(kept);
    free(rows);
    return made ? MOE_OK : moe_fail(MOE_E_MEMORY, "no memory for %lld slots", (long long)slots);
}

moe_status moe_waste_of(const moe_layer *layer, int64_t tokens, const moe_traffic *traffic,
                        int64_t tile, uint64_t seed, moe_waste *out) {
    size_t slots = (size_t)(tokens * layer->k + 1);
    int *ids = malloc(slots * sizeof *ids);
    float *weights = malloc(slots * sizeof *weights);
    moe_status status = MOE_OK;
    if (!ids || !weights)
        status = moe_fail(MOE_E_MEMORY, "no memory for the routing of %lld tokens",
                          (long long)tokens);
    if (!status) status = moe_traffic_route(traffic, layer, tokens, seed, ids, weights);
    if (!status) status = moe_waste_of_ids(layer, tokens, ids, weights, tile, out);
    free(ids);
    free(weights);
    return status;
}
