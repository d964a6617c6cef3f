/* config_read.c - values of a config.json by path. */
#include "models/config_read.h"

#include <stdio.h>
#include <string.h>

enum { KEY_SIZE = 64 };

/* The value at one path, which ends at `end`. */
static const json_t *value_at(const json_t *root, const char *path, const char *end) {
    while (root && path < end) {
        char key[KEY_SIZE];
        size_t length = strcspn(path, ".|");
        snprintf(key, sizeof key, "%.*s", (int)length, path);
        root = json_object_get(root, key);
        path += length + (path[length] == '.');
    }
    return root;
}

const json_t *moe_config_at(const json_t *root, const char *paths) {
    const json_t *value = NULL;
    while (*paths && !value) {
        const char *end = paths + strcspn(paths, "|");
        value = value_at(root, paths, end);
        if (json_is_null(value)) value = NULL;
        paths = end + (*end == '|');
    }
    return value;
}

bool moe_config_is_null(const json_t *root, const char *paths) {
    bool found = false;
    while (*paths && !found) {
        const char *end = paths + strcspn(paths, "|");
        found = json_is_null(value_at(root, paths, end));
        paths = end + (*end == '|');
    }
    return found;
}

/* The first of several paths, which is how the newest configs call it. */
static moe_status wrong(const char *paths, const char *what) {
    return moe_fail(MOE_E_CORRUPT, "'%.*s' is %s", (int)strcspn(paths, "|"), paths, what);
}

moe_status moe_config_size(const json_t *root, const char *paths, int64_t *out) {
    const json_t *value = moe_config_at(root, paths), *first = json_array_get(value, 0);
    if (!value) return wrong(paths, "missing");
    for (size_t i = 0; i < json_array_size(value); i++)
        if (!json_equal(json_array_get(value, i), first))
            return wrong(paths, "not the same in all layers; write the layer as text instead");
    if (json_is_array(value)) value = first;
    if (!json_is_integer(value)) return wrong(paths, "not a whole number");
    *out = json_integer_value(value);
    return MOE_OK;
}

moe_status moe_config_number(const json_t *root, const char *paths, double absent, double *out) {
    const json_t *value = moe_config_at(root, paths);
    if (value && !json_is_number(value)) return wrong(paths, "not a number");
    *out = value ? json_number_value(value) : absent;
    return MOE_OK;
}

double moe_config_guess(const json_t *root, const char *paths, double absent) {
    const json_t *value = moe_config_at(root, paths);
    if (json_is_array(value)) value = json_array_get(value, 0);
    return json_is_number(value) ? json_number_value(value) : absent;
}

bool moe_config_true(const json_t *root, const char *paths, bool absent) {
    const json_t *value = moe_config_at(root, paths);
    if (!value) return absent;
    return json_is_true(value) || (json_is_number(value) && json_number_value(value) != 0);
}

moe_config_word moe_config_entry(const json_t *list, int64_t index) {
    moe_config_word word = {""};
    const char *text = json_string_value(list);
    if (text && index < (int64_t)strlen(text)) word.text[0] = text[index];
    const char *entry = json_string_value(json_array_get(list, (size_t)index));
    if (entry) snprintf(word.text, sizeof word.text, "%s", entry);
    return word;
}
