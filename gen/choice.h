/* choice.h - configs against parameters: completing, checking, and numbering them. */
#ifndef GEN_CHOICE_H
#define GEN_CHOICE_H

#include "schema.h"

/* How many configs the values make, legal or not; over INT64_MAX / 64 it stays there. */
int64_t gen_params_total(const gen_params *params);

/* Number `at` of them, last parameter fastest. */
void gen_params_config(const gen_params *params, int64_t at, moe_config *out);

/* The number of a complete config. MOE_E_INVALID naming the parameter whose value is none of those
 * listed, is missing or is unknown. */
moe_status gen_params_index(const gen_params *params, const moe_config *config, int64_t *out);

/* `config` in the order of the parameters, with what it leaves out taken from `rest`.
 * MOE_E_INVALID on unknown names. */
moe_status gen_params_complete(const gen_params *params, const moe_config *config,
                               const moe_config *rest, moe_config *out);

#endif
