/* text.h - one-line text forms from field tables.
 *
 * A noun that is written as `key=value` pairs describes its fields once, in a table; parsing,
 * printing, the database and the Lua host loop over the table. parse(print(x)) == x. */
#ifndef MOE_TEXT_H
#define MOE_TEXT_H

#include "core/status.h"

/* A bounded string under construction. What does not fit is dropped and `cut` is set. */
typedef struct moe_text {
    char *data;
    size_t size, used; /* bytes of data; bytes written, without the NUL */
    bool cut;
} moe_text;

moe_text moe_text_start(char *data, size_t size);
void moe_text_add(moe_text *text, const char *format, ...) MOE_PRINTF(2, 3);

typedef struct moe_field moe_field;

/* How a field's value is read and written. `value` points at the member. */
typedef struct moe_field_type {
    moe_status (*parse)(const moe_field *field, const char *text, void *value);
    void (*print)(const moe_field *field, const void *value, moe_text *out);
    bool integer; /* the member is an int64_t */
} moe_field_type;

struct moe_field {
    const char *name; /* NULL ends a table */
    size_t offset;    /* of the member in its struct */
    const moe_field_type *type;
    const char *initial; /* value text when absent; NULL: the field is required */
    const char *const *names; /* of an enum: value texts by number, NULL-terminated */
    int64_t minimum, maximum; /* of an integer; both 0: any. Of a string: 0 and the array's size */
    bool quiet; /* not written while it is `initial`: for what few objects have */
};

extern const moe_field_type moe_field_integer; /* int64_t */
extern const moe_field_type moe_field_real;    /* double, shortest text that reads back */
extern const moe_field_type moe_field_enum;    /* int, by `names` */
extern const moe_field_type moe_field_string;  /* char[maximum], one word; "-" stands for "" */

/* Reads `key=value` pairs separated by spaces, in any order, into `object`. A key that is not in
 * the table, comes twice, or is required and absent is an error that names `what`. */
moe_status moe_fields_parse(const moe_field *fields, const char *what, const char *text,
                            void *object);

/* Writes every field whose bit is set in `mask` (bit i = table row i), in table order; of the quiet
 * ones those that are not as initially. */
void moe_fields_print(const moe_field *fields, uint64_t mask, const void *object, moe_text *out);

/* The row called `name`, or NULL. */
const moe_field *moe_field_find(const moe_field *fields, const char *name);

/* Integers and reals with nothing behind them. */
moe_status moe_integer_parse(const char *text, int64_t *out);
moe_status moe_real_parse(const char *text, double *out);

/* Adds the shortest decimal form that reads back as the same double. */
void moe_text_add_real(moe_text *text, double value);

/* True where one of a text's `key=value` words has the key. */
bool moe_text_has_key(const char *text, const char *key);

/* Copies the value of that word, cut off at `size`; "" where there is none. */
void moe_text_value(const char *text, const char *key, char *value, size_t size);

/* Copies the next word of *cursor (up to a space) and steps over it; false at the end. A word that
 * does not fit is cut, and `size` is then full. */
bool moe_next_word(const char **cursor, char *word, size_t size);

#endif
