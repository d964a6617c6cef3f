/* python_json.c - JSON as Python writes it, with numbers that JSON does not have. */
#include "models/python_json.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_FILE = 16 << 20 }; /* bytes of a config.json */

static const char *const words[] = {"-Infinity", "Infinity", "NaN"};

/* Bytes of the word that stands at `at`, before `end`; 0: none does. */
static size_t word_at(const char *at, const char *end) {
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        const size_t length = strlen(words[i]);
        if ((size_t)(end - at) >= length && !memcmp(at, words[i], length)) return length;
    }
    return 0;
}

/* Copies with the words in quotes, and returns how many bytes came of it: at most 5 of 3. */
static size_t quote(const char *text, size_t size, char *out) {
    const char *const end = text + size;
    char *to = out;
    bool inside = false, escaped = false;
    while (text < end) {
        const size_t length = inside ? 0 : word_at(text, end);
        if (length) {
            *to++ = '"';
            memcpy(to, text, length);
            to += length;
            *to++ = '"';
            text += length;
            continue;
        }
        if (*text == '"' && !escaped) inside = !inside;
        escaped = inside && *text == '\\' && !escaped;
        *to++ = *text++;
    }
    return (size_t)(to - out);
}

json_t *moe_python_json(const char *text, size_t size, json_error_t *error) {
    char *copy = malloc(2 * size + 1);
    memset(error, 0, sizeof *error);
    snprintf(error->text, sizeof error->text, "no memory for it");
    json_t *root = copy ? json_loadb(copy, quote(text, size, copy), 0, error) : NULL;
    free(copy);
    return root;
}

json_t *moe_python_json_file(const char *path, json_error_t *error) {
    FILE *file = fopen(path, "rb");
    char *text = file ? malloc(MAX_FILE) : NULL;
    memset(error, 0, sizeof *error);
    snprintf(error->text, sizeof error->text, "%s", file ? "no memory for it" : strerror(errno));
    const size_t size = text ? fread(text, 1, MAX_FILE, file) : 0;
    json_t *root = text ? moe_python_json(text, size, error) : NULL;
    free(text);
    if (file) fclose(file);
    return root;
}
