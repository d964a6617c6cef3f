/* map.h - tensor maps as launch data: which argument, in boxes of what size, how swizzled.
 *
 * Text: "up(64,128,2,1;128)", several of them separated by commas, "none" for none. */
#ifndef MOE_MAP_H
#define MOE_MAP_H

#include "core/args.h"
#include "core/launch.h"
#include "core/tensor_view.h"
#include "core/text.h"

/* Text of a launch's maps, a moe_map_list. */
extern const moe_field_type moe_field_maps;

/* MOE_E_PARSE (no such tensor), MOE_E_INVALID (not as many sizes as it has dimensions, or more than
 * a copy can move). `name` is an argument's; box has `rank` sizes. */
moe_status moe_map_make(const char *name, int rank, const int64_t *box, int64_t swizzle,
                        moe_map *out);

/* The tensor behind a map, for `tokens` tokens and buffers of `rows` rows. The address is the
 * argument's in `values`. */
moe_tensor_view moe_map_view(const moe_map *map, const moe_layer *layer, int64_t tokens,
                             int64_t rows, const moe_arg_values *values);

#endif
