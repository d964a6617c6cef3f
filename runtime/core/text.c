/* text.c - one-line text forms from field tables. */
#include "core/text.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WORD_SIZE = 512 };

moe_text moe_text_start(char *data, size_t size) {
    if (size) data[0] = '\0';
    return (moe_text){.data = data, .size = size};
}

void moe_text_add(moe_text *text, const char *format, ...) {
    size_t room = text->size - text->used;
    va_list args;
    va_start(args, format);
    int wanted = vsnprintf(room ? text->data + text->used : NULL, room, format, args);
    va_end(args);
    if (wanted < 0) return;
    text->cut = text->cut || (size_t)wanted >= room;
    text->used += (size_t)wanted < room ? (size_t)wanted : room ? room - 1 : 0;
}

void moe_text_add_real(moe_text *text, double value) {
    char digits[40];
    for (int precision = 6; precision <= 17; precision++) {
        snprintf(digits, sizeof digits, "%.*g", precision, value);
        if (strtod(digits, NULL) == value) break;
    }
    moe_text_add(text, "%s", digits);
}

moe_status moe_integer_parse(const char *text, int64_t *out) {
    char *end;
    errno = 0;
    long long value = strtoll(text, &end, 10);
    if (end == text || *end || errno || isspace((unsigned char)*text))
        return moe_fail(MOE_E_PARSE, "'%.64s' is not a whole number", text);
    *out = value;
    return MOE_OK;
}

moe_status moe_real_parse(const char *text, double *out) {
    char *end;
    errno = 0;
    double value = strtod(text, &end);
    /* Too small to be normal is a number all the same; too large is not. */
    bool overflow = errno && (value > 1 || value < -1);
    if (end == text || *end || overflow || isspace((unsigned char)*text) || value != value)
        return moe_fail(MOE_E_PARSE, "'%.64s' is not a number", text);
    *out = value;
    return MOE_OK;
}

static moe_status parse_integer(const moe_field *field, const char *text, void *value) {
    int64_t number = 0;
    MOE_TRY(moe_integer_parse(text, &number));
    bool bounded = field->minimum || field->maximum;
    if (bounded && (number < field->minimum || number > field->maximum))
        return moe_fail(MOE_E_INVALID, "%lld is not in %lld..%lld", (long long)number,
                        (long long)field->minimum, (long long)field->maximum);
    *(int64_t *)value = number;
    return MOE_OK;
}

static void print_integer(const moe_field *field, const void *value, moe_text *out) {
    (void)field;
    moe_text_add(out, "%lld", (long long)*(const int64_t *)value);
}

static moe_status parse_real(const moe_field *field, const char *text, void *value) {
    (void)field;
    return moe_real_parse(text, value);
}

static void print_real(const moe_field *field, const void *value, moe_text *out) {
    (void)field;
    moe_text_add_real(out, *(const double *)value);
}

static moe_status parse_enum(const moe_field *field, const char *text, void *value) {
    char known[WORD_SIZE];
    for (int i = 0; field->names[i]; i++)
        if (*text && !strcmp(field->names[i], text)) return *(int *)value = i, MOE_OK;
    moe_text list = moe_text_start(known, sizeof known);
    for (int i = 0; field->names[i]; i++)
        if (*field->names[i]) moe_text_add(&list, "%s%s", i ? ", " : "", field->names[i]);
    return moe_fail(MOE_E_PARSE, "'%.64s' is not known; use one of: %s", text, known);
}

static void print_enum(const moe_field *field, const void *value, moe_text *out) {
    moe_text_add(out, "%s", field->names[*(const int *)value]);
}

static moe_status parse_string(const moe_field *field, const char *text, void *value) {
    if (!strcmp(text, "-")) text = "";
    if (strlen(text) >= (size_t)field->maximum)
        return moe_fail(MOE_E_PARSE, "'%.64s' is longer than %lld characters", text,
                        (long long)field->maximum - 1);
    strcpy(value, text);
    return MOE_OK;
}

static void print_string(const moe_field *field, const void *value, moe_text *out) {
    (void)field;
    const char *text = value;
    moe_text_add(out, "%s", *text ? text : "-");
}

const moe_field_type moe_field_integer = {parse_integer, print_integer, true};
const moe_field_type moe_field_real = {parse_real, print_real, false};
const moe_field_type moe_field_enum = {parse_enum, print_enum, false};
const moe_field_type moe_field_string = {parse_string, print_string, false};

bool moe_next_word(const char **cursor, char *word, size_t size) {
    const char *start = *cursor + strspn(*cursor, " \t\r\n");
    size_t length = strcspn(start, " \t\r\n");
    *cursor = start + length;
    if (length >= size) length = size - 1;
    memcpy(word, start, length);
    word[length] = '\0';
    return length > 0;
}

const moe_field *moe_field_find(const moe_field *fields, const char *name) {
    for (; fields->name; fields++)
        if (!strcmp(fields->name, name)) return fields;
    return NULL;
}

static moe_status parse_value(const moe_field *field, const char *what, const char *text,
                              void *object) {
    moe_status status = field->type->parse(field, text, (char *)object + field->offset);
    return status ? moe_fail_context(status, "%s: %s", what, field->name) : MOE_OK;
}

static void list_keys(const moe_field *fields, char *keys, size_t size) {
    moe_text list = moe_text_start(keys, size);
    for (const moe_field *field = fields; field->name; field++)
        moe_text_add(&list, "%s%s", field == fields ? "" : " ", field->name);
}

static moe_status parse_pair(const moe_field *fields, const char *what, char *word, void *object,
                             uint64_t *seen) {
    char *equals = strchr(word, '=');
    if (!equals) return moe_fail(MOE_E_PARSE, "%s: '%.64s' is not key=value", what, word);
    *equals = '\0';
    const moe_field *field = moe_field_find(fields, word);
    if (!field) {
        char keys[WORD_SIZE];
        list_keys(fields, keys, sizeof keys);
        return moe_fail(MOE_E_PARSE, "%s: unknown key '%.64s'; known keys: %s", what, word, keys);
    }
    uint64_t bit = UINT64_C(1) << (field - fields);
    if (*seen & bit) return moe_fail(MOE_E_PARSE, "%s: key '%s' comes twice", what, word);
    *seen |= bit;
    return parse_value(field, what, equals + 1, object);
}

moe_status moe_fields_parse(const moe_field *fields, const char *what, const char *text,
                            void *object) {
    char word[WORD_SIZE];
    uint64_t seen = 0;
    for (const moe_field *field = fields; field->name; field++)
        if (field->initial) MOE_TRY(parse_value(field, what, field->initial, object));
    while (moe_next_word(&text, word, sizeof word)) {
        if (strlen(word) == sizeof word - 1)
            return moe_fail(MOE_E_PARSE, "%s: '%.32s...' is too long", what, word);
        MOE_TRY(parse_pair(fields, what, word, object, &seen));
    }
    for (const moe_field *field = fields; field->name; field++)
        if (!field->initial && !(seen & UINT64_C(1) << (field - fields)))
            return moe_fail(MOE_E_PARSE, "%s: '%s=' is missing", what, field->name);
    return MOE_OK;
}

static bool is_initial(const moe_field *field, const void *object) {
    char value[WORD_SIZE];
    moe_text text = moe_text_start(value, sizeof value);
    field->type->print(field, (const char *)object + field->offset, &text);
    return !strcmp(value, field->initial);
}

void moe_fields_print(const moe_field *fields, uint64_t mask, const void *object, moe_text *out) {
    bool first = true;
    for (const moe_field *field = fields; field->name; field++) {
        if (!(mask & UINT64_C(1) << (field - fields))) continue;
        if (field->quiet && is_initial(field, object)) continue;
        moe_text_add(out, "%s%s=", first ? "" : " ", field->name);
        field->type->print(field, (const char *)object + field->offset, out);
        first = false;
    }
}

/* The value of a key among words, up to whatever ends the word; NULL where there is none. */
static const char *find_value(const char *text, const char *key) {
    const size_t length = strlen(key);
    for (const char *at = text; (at = strstr(at, key)) != NULL; at += length)
        if ((at == text || at[-1] == ' ') && at[length] == '=') return at + length + 1;
    return NULL;
}

bool moe_text_has_key(const char *text, const char *key) { return find_value(text, key) != NULL; }

void moe_text_value(const char *text, const char *key, char *value, size_t size) {
    const char *found = find_value(text, key);
    snprintf(value, size, "%.*s", found ? (int)strcspn(found, " ") : 0, found ? found : "");
}
