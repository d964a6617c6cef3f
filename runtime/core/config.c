/* config.c - one choice of a template's parameters. */
#include "core/config.h"

#include <string.h>

static moe_status parse_param(char *word, moe_config *config) {
    char *equals = strchr(word, '=');
    if (!equals || equals == word || equals - word >= MOE_PARAM_NAME_SIZE)
        return moe_fail(MOE_E_PARSE, "config: '%.64s' is not name=integer", word);
    if (config->count == MOE_MAX_PARAMS)
        return moe_fail(MOE_E_PARSE, "config: more than %d parameters", MOE_MAX_PARAMS);
    *equals = '\0';
    for (int64_t i = 0; i < config->count; i++)
        if (!strcmp(config->param[i].name, word))
            return moe_fail(MOE_E_PARSE, "config: '%s' comes twice", word);
    strcpy(config->param[config->count].name, word);
    moe_status status = moe_integer_parse(equals + 1, &config->param[config->count].value);
    if (status) return moe_fail_context(status, "config: %s", word);
    config->count++;
    return MOE_OK;
}

moe_status moe_config_parse(const char *text, moe_config *out) {
    char word[64];
    moe_config config = {0};
    while (moe_next_word(&text, word, sizeof word)) MOE_TRY(parse_param(word, &config));
    *out = config;
    return MOE_OK;
}

void moe_config_print(const moe_config *config, char *text, size_t size) {
    moe_text out = moe_text_start(text, size);
    for (int64_t i = 0; i < config->count; i++)
        moe_text_add(&out, "%s%s=%lld", i ? " " : "", config->param[i].name,
                     (long long)config->param[i].value);
}

int64_t moe_config_get(const moe_config *config, const char *name, int64_t absent) {
    for (int64_t i = 0; i < config->count; i++)
        if (!strcmp(config->param[i].name, name)) return config->param[i].value;
    return absent;
}
