/* model_size.h - the parameters of a whole model. */
#ifndef MOE_MODEL_SIZE_H
#define MOE_MODEL_SIZE_H

#include "models/config_json.h"
#include "models/model_family.h"

/* Fills in model->parameters from the rest of it and the other keys of its config.json. */
void moe_model_count(const json_t *root, const moe_family *family, moe_model *model);

/* All that is counted; without the experts that a token does not use. */
double moe_model_total(const moe_model_parameters *p);
double moe_model_active(const moe_model_parameters *p);

#endif
