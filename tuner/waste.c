/* waste.c - what a capacity costs: rows that are dropped, and rows of tiles that hold nothing. */
#include "waste.h"

#include "workload.h"

#include <stdlib.h>

static void count(const moe_layer *layer, int64_t slots, int64_t tile, const int *ids,
                  const unsigned char *kept, int64_t *rows, moe_waste *out) {
    int64_t used = 0, tiles = 0;
    for (int64_t s = 0; s < slots; s++)
        if (kept[s]) rows[ids[s]]++;
    for (int64_t e = 0; e < layer->e; e++) {
        used += rows[e];
        tiles += (rows[e] + tile - 1) / tile;
    }
    out->dropped = slots ? 1 - (double)used / (double)slots : 0;
    out->padding = tiles ? 1 - (double)used / (double)(tiles * tile) : 0;
}

moe_status moe_waste_of(const moe_layer *layer, int64_t tokens, moe_routing routing, int64_t tile,
                        uint64_t seed, moe_waste *out) {
    int64_t slots = tokens * layer->k, cells = tokens * layer->e;
    float *given = malloc((size_t)(cells + 1) * sizeof *given);
    double *logits = malloc((size_t)(cells + 1) * sizeof *logits);
    double *weights = malloc((size_t)(slots + 1) * sizeof *weights);
    int *ids = malloc((size_t)(slots + 1) * sizeof *ids);
    unsigned char *kept = malloc((size_t)(slots + 1));
    int64_t *rows = calloc((size_t)layer->e, sizeof *rows);
    moe_status status = MOE_OK;
    if (!given || !logits || !weights || !ids || !kept || !rows) {
        status = moe_fail(MOE_E_MEMORY, "no memory for the routing of %lld tokens",
                          (long long)tokens);
        goto out;
    }
    moe_workload_logits(layer, tokens, routing, seed, given);
    for (int64_t i = 0; i < cells; i++) logits[i] = (double)given[i];
    moe_ref_route(layer, tokens, logits, NULL, ids, weights, NULL, NULL);
    moe_ref_capacity(layer, tokens, ids, kept);
    count(layer, slots, tile, ids, kept, rows, out);
out:
    free(given);
    free(logits);
    free(weights);
    free(ids);
    free(kept);
    free(rows);
    return status;
}
