/* presets.h - layers by name: of known models, of a model's config.json, or in text form. */
#ifndef MOE_PRESETS_H
#define MOE_PRESETS_H

#include "models/config_json.h"

typedef struct moe_preset_entry {
    const char *name;
    const char *layer; /* text form */
    const char *note;  /* what the text cannot say; "" mostly */
} moe_preset_entry;

/* Every preset, by name; the last has a NULL name. */
extern const moe_preset_entry moe_preset_list[];

/* The layer that `what` names: a preset, else text with an '=', else the path of a config.json or
 * of the folder that holds one. MOE_E_PARSE names the presets that are spelled most alike; errors
 * of the text and of the file as moe_layer_parse and moe_config_json say. */
moe_status moe_preset(const char *what, moe_layer *out);

/* The same with all that a config.json says of the model; of text the layer alone. A config.json is
 * read as one of `family` unless that is NULL; what else `what` names is then called so. */
moe_status moe_preset_model(const char *what, const char *family, moe_model *out);

#endif
