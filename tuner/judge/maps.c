/* maps.c - index maps of routed rows on the host. */
#include "judge/maps.h"

#include <stdlib.h>
#include <string.h>

static bool is_row(const moe_layer *layer, const int *ids, const unsigned char *kept,
                   int64_t slot) {
    return ids[slot] >= 0 && ids[slot] < moe_layer_held(layer) && (!kept || kept[slot]);
}

static void count_tiles(moe_row_maps *maps, int64_t experts) {
    for (int s = 0; s < MOE_TILE_HEIGHTS; s++) {
        int *start = maps->tile_start + s * (experts + 1), size = moe_tile_heights[s];
        start[0] = 0;
        for (int64_t e = 0; e < experts; e++)
            start[e + 1] = start[e] + (maps->expert_rows[e] + size - 1) / size;
    }
}

static void place_experts(moe_row_maps *maps, int64_t experts, int64_t align) {
    maps->expert_start[0] = 0;
    for (int64_t e = 0; e < experts; e++) {
        int64_t next = maps->expert_start[e] + maps->expert_rows[e];
        maps->expert_start[e + 1] = (int)((next + align - 1) / align * align);
    }
    maps->rows = maps->expert_start[experts];
}

static void place_slots(moe_row_maps *maps, const moe_layer *layer, int64_t slots, const int *ids,
                        const unsigned char *kept) {
    memset(maps->row_slots, 0xff, (size_t)maps->rows * sizeof(int));
    memset(maps->expert_rows, 0, (size_t)moe_layer_held(layer) * sizeof(int));
    for (int64_t slot = 0; slot < slots; slot++) {
        maps->slot_rows[slot] = -1;
        if (!is_row(layer, ids, kept, slot)) continue;
        int row = maps->expert_start[ids[slot]] + maps->expert_rows[ids[slot]]++;
        maps->slot_rows[slot] = row;
        maps->row_slots[row] = (int)slot;
    }
}

static void place_shared(moe_row_maps *maps, const moe_layer *layer, int64_t tokens) {
    int64_t pair = tokens * layer->k;
    for (int64_t e = moe_layer_held(layer); e < moe_layer_listed(layer); e++)
        for (int64_t t = 0; t < tokens; t++, pair++) {
            int row = maps->expert_start[e] + (int)t;
            maps->slot_rows[pair] = row;
            maps->row_slots[row] = (int)pair;
        }
}

int64_t moe_row_pairs(const moe_layer *layer, int64_t tokens) {
    return tokens * (layer->k + moe_layer_shared_experts(layer));
}

int64_t moe_pair_token(const moe_layer *layer, int64_t tokens, int64_t pair) {
    int64_t slots = tokens * layer->k;
    return pair < slots ? pair / layer->k : (pair - slots) % tokens;
}

int moe_pair_slot(const moe_layer *layer, int64_t tokens, int64_t pair) {
    int64_t slots = tokens * layer->k;
    return (int)(pair < slots ? pair : (pair - slots) % tokens * layer->k);
}

moe_status moe_row_maps_init(moe_row_maps *maps, const moe_layer *layer, int64_t tokens,
                             int64_t align, const int *ids, const unsigned char *kept) {
    int64_t slots = tokens * layer->k, experts = moe_layer_listed(layer);
    moe_row_maps made = {0};
    made.expert_start = calloc((size_t)experts + 1, sizeof(int));
    made.expert_rows = calloc((size_t)experts, sizeof(int));
    made.slot_rows = calloc((size_t)moe_row_pairs(layer, tokens) + 1, sizeof(int));
    made.tile_start = calloc((size_t)(MOE_TILE_HEIGHTS * (experts + 1)), sizeof(int));
    if (!made.expert_start || !made.expert_rows || !made.slot_rows || !made.tile_start) goto out;
    for (int64_t slot = 0; slot < slots; slot++)
        if (is_row(layer, ids, kept, slot)) made.expert_rows[ids[slot]]++;
    for (int64_t e = moe_layer_held(layer); e < experts; e++) made.expert_rows[e] = (int)tokens;
    place_experts(&made, experts, align);
    made.row_slots = calloc((size_t)made.rows + 1, sizeof(int));
    if (!made.row_slots) goto out;
    place_slots(&made, layer, slots, ids, kept);
    place_shared(&made, layer, tokens);
    count_tiles(&made, experts);
    *maps = made;
    return MOE_OK;
out:
    moe_row_maps_free(&made);
    return moe_fail(MOE_E_MEMORY, "no memory for the maps of %lld rows", (long long)slots);
}

void moe_row_maps_free(moe_row_maps *maps) {
    free(maps->expert_start);
    free(maps->expert_rows);
    free(maps->row_slots);
    free(maps->slot_rows);
    free(maps->tile_start);
    *maps = (moe_row_maps){0};
}
