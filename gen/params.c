/* params.c - the parameters of a template: configs are completed, checked and numbered by them. */
#include "params.h"

#include <stdio.h>
#include <string.h>

int64_t gen_params_total(const gen_params *params) {
    int64_t total = 1;
    for (int i = 0; i < params->count; i++)
        if (total <= INT64_MAX / GEN_MAX_VALUES) total *= params->param[i].count;
    return total;
}

void gen_params_config(const gen_params *params, int64_t at, moe_config *out) {
    out->count = params->count;
    for (int i = params->count - 1; i >= 0; i--) {
        strcpy(out->param[i].name, params->param[i].name);
        out->param[i].value = params->param[i].value[at % params->param[i].count];
        at /= params->param[i].count;
    }
}

static int find_param(const gen_params *params, const char *name) {
    int at = 0;
    while (at < params->count && strcmp(params->param[at].name, name)) at++;
    return at;
}

static moe_status check_names(const gen_params *params, const moe_config *config) {
    for (int64_t i = 0; i < config->count; i++) {
        char known[512];
        moe_text list = moe_text_start(known, sizeof known);
        if (find_param(params, config->param[i].name) < params->count) continue;
        for (int j = 0; j < params->count; j++)
            moe_text_add(&list, "%s%s", j ? " " : "", params->param[j].name);
        return moe_fail(MOE_E_INVALID, "config: unknown parameter '%s'; known parameters: %s",
                        config->param[i].name, known);
    }
    return MOE_OK;
}

static moe_status fail_value(const gen_params *params, int at, int64_t value) {
    char known[512];
    moe_text list = moe_text_start(known, sizeof known);
    for (int j = 0; j < params->param[at].count; j++)
        moe_text_add(&list, " %lld", (long long)params->param[at].value[j]);
    return moe_fail(MOE_E_INVALID, "config: %s=%lld is none of its values:%s",
                    params->param[at].name, (long long)value, known);
}

moe_status gen_params_index(const gen_params *params, const moe_config *config, int64_t *out) {
    int64_t index = 0;
    MOE_TRY(check_names(params, config));
    for (int i = 0; i < params->count; i++) {
        const char *name = params->param[i].name;
        int64_t value = moe_config_get(config, name, INT64_MIN);
        int at = 0;
        if (value == INT64_MIN) return moe_fail(MOE_E_INVALID, "config: '%s=' is missing", name);
        while (at < params->param[i].count && params->param[i].value[at] != value) at++;
        if (at == params->param[i].count) return fail_value(params, i, value);
        index = index * params->param[i].count + at;
    }
    *out = index;
    return MOE_OK;
}

moe_status gen_params_complete(const gen_params *params, const moe_config *config,
                               const moe_config *rest, moe_config *out) {
    MOE_TRY(check_names(params, config));
    out->count = params->count;
    for (int i = 0; i < params->count; i++) {
        const char *name = params->param[i].name;
        strcpy(out->param[i].name, name);
        out->param[i].value = moe_config_get(config, name, moe_config_get(rest, name, 0));
    }
    return MOE_OK;
}
