/* params.h - the parameters of a template: configs are completed, checked and numbered by them. */
#ifndef GEN_PARAMS_H
#define GEN_PARAMS_H

#include "core/config.h"

enum { GEN_MAX_VALUES = 64 };

/* What a template may vary for an op and a device. */
typedef struct gen_params {
    int count;
    struct {
        char name[MOE_PARAM_NAME_SIZE];
        int count;
        int64_t value[GEN_MAX_VALUES]; /* ascending */
    } param[MOE_MAX_PARAMS];
} gen_params;

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
