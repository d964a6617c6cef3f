/* weight_unread.h - tensors of a layer that nobody reads. */
#ifndef MOE_WEIGHT_UNREAD_H
#define MOE_WEIGHT_UNREAD_H

#include "models/weight_names.h"

#include <jansson.h>

/* MOE_E_UNSUPPORTED where the layer's block holds a tensor that is no key of `read`, unless it is
 * of no use to anyone: what is left out of a sum in silence makes it wrong. */
moe_status moe_weight_unread(const moe_shards *shards, const char *prefix,
                             const moe_weight_names *names, int64_t layer, const json_t *read);

#endif
