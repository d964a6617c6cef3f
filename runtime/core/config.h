/* config.h - one choice of a template's parameters.
 *
 * Text: bm=128 bn=256 bk=64 stages=4, in the template's order. All values are integers. */
#ifndef MOE_CONFIG_H
#define MOE_CONFIG_H

#include "core/text.h"

enum { MOE_MAX_PARAMS = 16, MOE_PARAM_NAME_SIZE = 24, MOE_CONFIG_TEXT_SIZE = 512 };

typedef struct moe_config {
    int64_t count;
    struct {
        char name[MOE_PARAM_NAME_SIZE];
        int64_t value;
    } param[MOE_MAX_PARAMS];
} moe_config;

moe_status moe_config_parse(const char *text, moe_config *out);
void moe_config_print(const moe_config *config, char *text, size_t size);

/* The value called `name`, or `absent`. */
int64_t moe_config_get(const moe_config *config, const char *name, int64_t absent);

#endif
