/* maps.h - index maps of routed rows on the host, as a permute kernel makes them. They let the
 * other kernels be tried without one.
 *
 * Here the rows of shared experts have numbers of their own: pairs of token and expert are the T*k
 * slots, and then pair T*k + i*T + t is token t of the i-th shared expert. */
#ifndef MOE_MAPS_H
#define MOE_MAPS_H

#include "core/args.h"

typedef struct moe_row_maps {
    int64_t rows;      /* entries of row_slots, gaps included */
    int *expert_start; /* [listed+1] */
    int *expert_rows;  /* [listed] */
    int *row_slots;    /* [rows] pair of each row; -1 in a gap */
    int *slot_rows;    /* [pairs] row of each; -1 where dropped */
    int *tile_start;   /* [MOE_TILE_HEIGHTS][listed+1] */
} moe_row_maps;

/* Maps of the slots that `kept` marks (NULL: all), in slot order within an expert. `align` is a
 * power of two. MOE_E_MEMORY. */
moe_status moe_row_maps_init(moe_row_maps *maps, const moe_layer *layer, int64_t tokens,
                             int64_t align, const int *ids, const unsigned char *kept);
/* Pairs at T tokens; the token of a pair; what stands in a kernel's row_slots for it. */
int64_t moe_row_pairs(const moe_layer *layer, int64_t tokens);
int64_t moe_pair_token(const moe_layer *layer, int64_t tokens, int64_t pair);
int moe_pair_slot(const moe_layer *layer, int64_t tokens, int64_t pair);

void moe_row_maps_free(moe_row_maps *maps);

#endif
