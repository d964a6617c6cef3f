/* model_keys.h - whether a config.json says of its MoE layers what was read of them. */
#ifndef MOE_MODEL_KEYS_H
#define MOE_MODEL_KEYS_H

#include "models/model_family.h"

/* MOE_E_UNSUPPORTED names a key of the MoE layers that nobody read, or that says something else
 * than the layer. */
moe_status moe_model_keys_check(const json_t *root, const moe_family *family,
                                const moe_layer *layer);

#endif
