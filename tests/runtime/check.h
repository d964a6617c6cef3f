/* check.h - what the runtime's tests share: expected results, random numbers, scratch folders. */
#ifndef CHECK_H
#define CHECK_H

#include "moetune.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* Fails the test with the call and the error's text unless it gives MOE_OK. */
#define CHECK(call) check_ok((call), #call, __FILE__, __LINE__)
void check_ok(moe_status status, const char *call, const char *file, int line);

/* Fails the test unless the call gave `expected` and its message contains `text`. */
#define CHECK_FAILS(call, expected, text)                                                          \
    check_fails((call), (expected), (text), #call, __FILE__, __LINE__)
void check_fails(moe_status status, moe_status expected, const char *text, const char *call,
                 const char *file, int line);

#define CHECK_CONTAINS(text, part) check_contains((text), (part), __FILE__, __LINE__)
void check_contains(const char *text, const char *part, const char *file, int line);

/* A repeatable source of numbers. */
typedef struct dice {
    uint64_t state;
} dice;
uint64_t dice_roll(dice *from);
int64_t dice_between(dice *from, int64_t low, int64_t high); /* both included */
double dice_real(dice *from);                                /* 0 or of any magnitude, any sign */
void dice_word(dice *from, char *word, size_t size);         /* 1 to size-1 harmless characters */

/* A fresh folder under $TMPDIR or /tmp; removed with all its files by scratch_remove. */
void scratch_make(char *folder, size_t size);
void scratch_remove(const char *folder);

/* The whole of a file, NUL-terminated; free() it. NULL if it cannot be read. */
char *read_text(const char *path, size_t *size);
void write_text(const char *path, const void *text, size_t size);

#endif
