/* config_read.h - values of a config.json by path.
 *
 * A path goes down by dots, "ffn_config.moe_top_k"; of paths joined by '|' the first that is there
 * counts. null counts as absent. */
#ifndef MOE_CONFIG_READ_H
#define MOE_CONFIG_READ_H

#include "core/status.h"

#include <jansson.h>

/* The value, or NULL. */
const json_t *moe_config_at(const json_t *root, const char *paths);

/* True where one of the paths leads to null. */
bool moe_config_is_null(const json_t *root, const char *paths);

/* A whole number, or a list of equal ones: one a layer. MOE_E_CORRUPT names the key. */
moe_status moe_config_size(const json_t *root, const char *paths, int64_t *out);

/* A number; `absent` where there is none. MOE_E_CORRUPT where it is something else. */
moe_status moe_config_number(const json_t *root, const char *paths, double absent, double *out);

/* The number again where a wrong one does no harm; `absent` also where it is something else. */
double moe_config_guess(const json_t *root, const char *paths, double absent);

/* Truth as Python has it: true, or a number other than 0. */
bool moe_config_true(const json_t *root, const char *paths, bool absent);

/* Entry `index` of a list of texts, or of a text's letters as one-letter texts; "" if none. */
typedef struct moe_config_word {
    char text[24];
} moe_config_word;
moe_config_word moe_config_entry(const json_t *list, int64_t index);

#endif
