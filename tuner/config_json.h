/* config_json.h - the MoE layer of a Hugging Face config.json. */
#ifndef MOE_CONFIG_JSON_H
#define MOE_CONFIG_JSON_H

#include "layer.h"

/* Reads the layer from a file. Weights count in the dtype that the model runs in, also where the
 * published ones are quantised. MOE_E_NOT_FOUND, MOE_E_IO, MOE_E_CORRUPT (no JSON, or a key is
 * missing: the message names it), MOE_E_UNSUPPORTED (a family whose layer has what layer text
 * cannot say yet: the message names that), MOE_E_INVALID. */
moe_status moe_config_json(const char *path, moe_layer *out);

/* The same of the file's text. */
moe_status moe_config_json_text(const char *text, size_t size, moe_layer *out);

#endif
