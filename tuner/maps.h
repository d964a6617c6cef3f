/* maps.h - index maps of routed rows on the host, as a permute kernel makes them. They let the
 * other kernels be tried without one. */
#ifndef MOE_MAPS_H
#define MOE_MAPS_H

#include "args.h"

typedef struct moe_row_maps {
    int64_t rows;      /* entries of row_slots, gaps included */
    int *expert_start; /* [e+1] */
    int *expert_rows;  /* [e] */
    int *row_slots;    /* [rows]; -1 in a gap */
    int *slot_rows;    /* [T,k]; -1 where dropped */
    int *tile_start;   /* [MOE_TILE_HEIGHTS][e+1] */
} moe_row_maps;

/* Maps of the slots that `kept` marks (NULL: all), in slot order within an expert. `align` is a
 * power of two. MOE_E_MEMORY. */
moe_status moe_row_maps_init(moe_row_maps *maps, const moe_layer *layer, int64_t tokens,
                             int64_t align, const int *ids, const unsigned char *kept);
void moe_row_maps_free(moe_row_maps *maps);

#endif
